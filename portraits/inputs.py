"""Request bodies about customers: unknown fields are refused, and nothing is converted."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from django.conf import settings
from msgspec import UNSET, Meta, Struct, UnsetType

from conversations import ids
from conversations.exceptions import FieldError, Invalid
from conversations.inputs import (
    CLOCK_TOLERANCE,
    EPOCH_START,
    Count,
    Fraction,
    JSONObject,
    Moment,
    Name,
)

Counts = dict[str, Count]
Score = Annotated[float, Meta(ge=-1, le=1)]
LONGEST_KEY = 200
Key = Annotated[str, Meta(min_length=1, max_length=LONGEST_KEY)]

MOST_TRAITS = 200
LARGEST_TRAIT = 8 * 1024  # bytes of a value as JSON


class TraitIn(Struct, forbid_unknown_fields=True, kw_only=True):
    """A trait somebody asserts; a value of null takes back what is said under that name."""

    name: Name
    value: Any
    confidence: Fraction = 1.0
    source_message_ids: Annotated[list[str], Meta(max_length=20)] = []
    valid_from: Moment | None = None
    valid_to: Moment | None = None


class PortraitPatch(Struct, forbid_unknown_fields=True, kw_only=True):
    """A merge patch. Traits merge by name, because one trait a name is current: see `docs/decisions`."""

    preferences: dict[Key, Any] | UnsetType | None = UNSET
    purchase_history: JSONObject | UnsetType | None = UNSET
    traits: Annotated[list[TraitIn], Meta(max_length=MOST_TRAITS)] | UnsetType | None = UNSET
    sentiment_score: Score | UnsetType | None = UNSET
    sentiment_trend: Annotated[str, Meta(max_length=40)] | Score | UnsetType | None = UNSET
    summary: Annotated[str, Meta(max_length=16_384)] | UnsetType | None = UNSET

    def check(self) -> None:
        """Invalid names every field that breaks a limit."""
        problems: list[FieldError] = []
        traits = self.traits or []
        for number, trait in enumerate(traits):
            if len(msgspec.json.encode(trait.value)) > LARGEST_TRAIT:
                problems.append(
                    FieldError(f"traits[{number}].value", "too_large", f"At most {LARGEST_TRAIT} bytes.")
                )
            if trait.valid_from and trait.valid_to and trait.valid_from >= trait.valid_to:
                problems.append(
                    FieldError(f"traits[{number}].valid_to", "empty_span", "It ends before it begins.")
                )
        if len({trait.name for trait in traits}) < len(traits):
            problems.append(FieldError("traits", "repeated", "A name may be given once."))
        if problems:
            raise Invalid(problems)


class PreferencesIn(Struct, forbid_unknown_fields=True):
    preferences: dict[Key, Any]


class PreferenceIn(Struct, forbid_unknown_fields=True):
    value: Any


class SummaryIn(Struct, forbid_unknown_fields=True, kw_only=True):
    """Counters from another system."""

    session_count: Count = 0
    message_count: Count = 0
    intents: Counts = {}
    languages: Counts = {}
    channels: Counts = {}
    outlets: Counts = {}
    first_interaction_at: Moment | None = None
    last_interaction_at: Moment | None = None

    def check(self) -> None:
        first, last = self.first_interaction_at, self.last_interaction_at
        if first is not None and last is not None and first > last:
            raise Invalid.field("last_interaction_at", "The last comes before the first.", code="empty_span")
        check_past(first_interaction_at=first, last_interaction_at=last)
        for name in ("intents", "languages", "channels", "outlets"):
            check_size(name, getattr(self, name))


def check_past(**moments: datetime | None) -> None:
    """Invalid names the first that lies before 1970 or further ahead than clocks differ."""
    latest = ids.now() + CLOCK_TOLERANCE
    for field, at in moments.items():
        if at is not None and not EPOCH_START <= at <= latest:
            raise Invalid.field(field, "Between 1970 and five minutes ahead.", code="out_of_range")


def check_size(field: str, value: Any) -> None:
    """Invalid when the whole of it is larger than metadata may be."""
    size = len(msgspec.json.encode(value))
    if size > settings.MAX_METADATA:
        raise Invalid.field(
            field, f"At most {settings.MAX_METADATA} bytes; this is {size}.", code="too_large"
        )
