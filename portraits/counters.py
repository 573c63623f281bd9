"""The counters of a customer as a value."""

from datetime import datetime

from msgspec import Struct


class Interactions(Struct, frozen=True, kw_only=True):
    """Counters as of one moment; all zero for a customer without interactions."""

    session_count: int = 0
    message_count: int = 0
    intents: dict[str, int] = {}  # per message
    languages: dict[str, int] = {}  # these three per session
    channels: dict[str, int] = {}
    outlets: dict[str, int] = {}
    first_interaction_at: datetime | None = None
    last_interaction_at: datetime | None = None
