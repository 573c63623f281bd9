"""A portrait as a value: what is known about a customer, and which messages are the evidence."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct, structs

from portraits.enums import Provenance

FROM_CONVERSATIONS = "from_conversations"  # in a purchase history: what was learnt, beside what was asserted
MOST_SENTIMENTS = 20
MOST_SOURCES = 20  # messages named for one trait: the newest


class Preference(Struct, frozen=True):
    value: Any
    created_at: datetime
    updated_at: datetime


class Sentiment(Struct, frozen=True):
    """A sentiment from -1 to 1; asserted by a person or system if it has no message."""

    score: float
    at: datetime
    message_id: UUID | None = None


class Purchase(Struct, frozen=True):
    """A purchase mentioned in a conversation."""

    value: Any
    at: datetime
    message_id: UUID


class KnownTrait(Struct, frozen=True, kw_only=True):
    name: str
    value: Any
    confidence: float
    kind: Provenance
    source_message_ids: tuple[UUID, ...] = ()
    valid_from: datetime
    valid_to: datetime | None = None
    by_model: bool = False


class Summary(Struct, frozen=True):
    text: str
    kind: Provenance
    source_message_ids: tuple[UUID, ...] = ()


class State(Struct, frozen=True, kw_only=True):
    """Everything a portrait says; traits by name, sentiments and purchases oldest first."""

    preferences: dict[str, Preference] = {}
    purchase_history: dict[str, Any] = {}
    purchases: tuple[Purchase, ...] = ()
    traits: tuple[KnownTrait, ...] = ()
    sentiments: tuple[Sentiment, ...] = ()
    asserted_trend: Any = None
    summary: Summary | None = None

    @property
    def evidence(self) -> frozenset[UUID]:
        """Every message that something here rests on."""
        found = {source for trait in self.traits for source in trait.source_message_ids}
        found |= {one.message_id for one in self.sentiments if one.message_id is not None}
        found |= {one.message_id for one in self.purchases}
        return frozenset(found | set(self.summary.source_message_ids if self.summary else ()))

    @property
    def sentiment_score(self) -> float | None:
        return self.sentiments[-1].score if self.sentiments else None

    @property
    def sentiment_trend(self) -> Any:
        return trend_of(self.sentiments) if self.asserted_trend is None else self.asserted_trend

    def resting_on(self, seen: Collection[UUID]) -> "State":
        """What remains when only these messages may still be seen.

        A trait goes with its last evidence, a summary with the first: it may repeat any of them.
        """
        if self.evidence <= set(seen):
            return self
        left = (_trait_resting_on(trait, seen) for trait in self.traits)
        summary = self.summary
        return structs.replace(
            self,
            traits=tuple(trait for trait in left if trait is not None),
            sentiments=tuple(s for s in self.sentiments if s.message_id is None or s.message_id in seen),
            purchases=tuple(one for one in self.purchases if one.message_id in seen),
            summary=summary if summary and set(summary.source_message_ids) <= set(seen) else None,
        )

    def with_traits(self, traits: Iterable[KnownTrait]) -> "State":
        """These traits in the place of those of the same name."""
        by_name = {trait.name: trait for trait in (*self.traits, *traits)}
        return structs.replace(self, traits=tuple(by_name[name] for name in sorted(by_name)))

    def without_traits(self, names: Collection[str]) -> "State":
        return structs.replace(self, traits=tuple(t for t in self.traits if t.name not in names))

    def with_sentiments(self, given: Iterable[Sentiment]) -> "State":
        """With these samples; of each message the newest word counts, and only the latest samples are kept."""
        by_source = {one.message_id or one.at: one for one in (*self.sentiments, *given)}
        latest = sorted(by_source.values(), key=lambda one: one.at)[-MOST_SENTIMENTS:]
        return structs.replace(self, sentiments=tuple(latest))


def trend_of(sentiments: Sequence[Sentiment]) -> str | None:
    """Whether the later half of the last ten samples is better than the earlier one; None before there are two."""
    latest = [one.score for one in sentiments[-10:]]
    half = len(latest) // 2
    if half == 0:
        return None
    difference = sum(latest[-half:]) / half - sum(latest[: len(latest) - half]) / (len(latest) - half)
    if abs(difference) < 0.1:
        return "stable"
    return "improving" if difference > 0 else "declining"


def newest_sources(sources: Iterable[UUID]) -> tuple[UUID, ...]:
    """The newest of them, oldest first: an id carries its time."""
    return tuple(sorted(set(sources)))[-MOST_SOURCES:]


def _trait_resting_on(trait: KnownTrait, seen: Collection[UUID]) -> KnownTrait | None:
    if not trait.source_message_ids:
        return trait
    left = tuple(source for source in trait.source_message_ids if source in seen)
    if not left:
        return None
    return trait if left == trait.source_message_ids else structs.replace(trait, source_message_ids=left)
