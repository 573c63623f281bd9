from portraits.models.counted import CountedMessage, CountedSession
from portraits.models.portraits import Portrait, PortraitVersion, Trait
from portraits.models.summaries import CurrentSummary, InteractionSummary, SummaryDelta
from portraits.models.work import RefreshMark

__all__ = [
    "CountedMessage",
    "CountedSession",
    "CurrentSummary",
    "InteractionSummary",
    "Portrait",
    "PortraitVersion",
    "RefreshMark",
    "SummaryDelta",
    "Trait",
]
