"""Protocols for what the core needs from the apps above it, registered by their `apps.py` and checked at start-up.

`conversations` imports neither `retention` nor `portraits`: they register objects that implement these protocols.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from django.db.models import Q, QuerySet

from conversations.principals import Actor


@dataclass(frozen=True)
class Expiry:
    """When messages of a tenant end: an ISO 8601 period, added on the calendar of a zone."""

    period: str
    zone: str
    fewest_days: int  # the period on the calendar where it is shortest
    most_days: int  # and where it is longest
    summary_days: int = 0  # the fewest days for which summaries are kept

    def floor(self, now: datetime) -> datetime:
        """A moment before which everything has expired; two days of slack for zones and clock changes."""
        return now - timedelta(days=self.most_days + 2)

    def surely_alive_since(self, now: datetime) -> datetime:
        """A moment after which nothing has expired."""
        return now - timedelta(days=self.fewest_days - 1)


@dataclass(frozen=True)
class Target:
    """What somebody asked to be deleted: a customer, a session or some messages, never wider."""

    customer_id: UUID | None = None
    session_id: UUID | None = None
    message_ids: tuple[UUID, ...] = ()


@dataclass(frozen=True)
class PurgedIds:
    """Ids of one tenant that went together: every mirrored entry of `kind` in `[first, before)`."""

    kind: str  # a `backends.values.Kind`
    first: UUID
    before: UUID


class Lifecycle(Protocol):
    """The retention law as the core sees it. Called inside a tenant scope."""

    def expiry(self, tenant_id: UUID) -> Expiry:
        """When this tenant's messages end; cached for some seconds."""

    def held_sessions(self, tenant_id: UUID, session_ids: Sequence[UUID]) -> set[UUID]:
        """Those of the sessions that a legal hold covers, in whole or in part."""

    def held_messages(self, tenant_id: UUID, message_ids: Sequence[UUID]) -> set[UUID]:
        """Those of the messages that a legal hold covers."""

    def held_memories(self, tenant_id: UUID, memory_ids: Sequence[UUID]) -> set[UUID]:
        """Those of the memories that a legal hold covers."""

    def held_customers(self, tenant_id: UUID, customer_ids: Sequence[UUID]) -> set[UUID]:
        """Those of the customers that a legal hold covers: not only a session of theirs."""

    def summaries_over(self, tenant_id: UUID, customer_ids: Sequence[UUID]) -> set[UUID]:
        """Those of the customers whose summary period is over: nothing known about them is shown any more."""

    def summary_lives(self, tenant_id: UUID, customer: str) -> Q:
        """The opposite, for querysets of which the field `customer` has the customer's id."""

    def purged_ranges(self, range_ids: Sequence[UUID]) -> Mapping[UUID, "PurgedIds"]:
        """What went with dropped partitions, by the id that `PURGED_RANGE` events carry. Needs no tenant scope."""

    def open_erasure(
        self, *, tenant_id: UUID, target: Target, actor: Actor, reason: str, basis: str
    ) -> Mapping[str, Any]:
        """Hide the target at once and see to its end. Returns the erasure case as the API shows it; Held if held."""


@dataclass(frozen=True)
class ContextRequest:
    tenant_id: UUID
    session_id: UUID
    customer_id: UUID | None
    now: datetime
    read: dict[str, Any] = field(default_factory=dict)  # what one part has read for the others of its app


class ContextPart(Protocol):
    """A part of the context answer that another app knows, such as the portrait."""

    name: str

    def fetch(self, request: ContextRequest) -> Mapping[str, Any]:
        """The fields this part adds to the answer."""

    def render(self, fields: Mapping[str, Any]) -> str:
        """The part as text, ready for a prompt; empty when there is nothing to say."""

    def shown(self, request: ContextRequest, fields: Mapping[str, Any]) -> Iterable[tuple[str, UUID]]:
        """What of it the context receipt is to name: (kind, id), never content."""


class Projection(Protocol):
    """A copy of another app's rows in stores that the mirror keeps."""

    entity: int  # the number its mirror events carry
    kind: str  # a `backends.values.Kind`: what its entries are called in the stores
    table: str  # its rows have `id`, `tenant_id` and `row_version`
    condition: str  # in SQL: those that are mirrored
    sinks: Sequence[int]

    def changes(self, due: Sequence[Any]) -> Iterable[tuple[Any, Any]]:
        """(change, due) for each due row: an upsert of the row as it is now, a removal when it is gone."""


class Holding(Protocol):
    """A place where a person's data is stored. The eraser and the exporter only iterate over these."""

    name: str
    tables: Sequence[str]  # database tables it answers for
    record_class: str  # whose period ends it: `messages`, `summaries` or `archive`

    def rows(self, tenant_id: UUID, target: Target) -> Sequence[QuerySet[Any]]:
        """The records of the target, not read yet: what all holdings have is counted with one statement."""

    def export(self, tenant_id: UUID, target: Target) -> Iterable[Mapping[str, Any]]:
        """Every record, as JSON values."""

    def erase(self, tenant_id: UUID, target: Target) -> int:
        """Erase what no hold or legal minimum defers; returns how many records went."""


class Transfer(Protocol):
    """Exports and imports another app's records with a tenant's. Called inside a tenant scope."""

    name: str  # of its file in an export
    accepts: tuple[type, ...]  # records of `conversations.importing`

    def export_records(self, tenant_id: UUID) -> Iterable[Mapping[str, Any]]:
        """Every record, as a line of our own format."""

    def import_record(self, tenant_id: UUID, record: Any, message_ids: Mapping[str, UUID]) -> UUID:
        """Store a record; `message_ids` maps the ids of messages it refers to. Refused, and nothing is stored."""

    def message_ids(self, record: Any) -> Iterable[str]:
        """Source ids of the messages that a record refers to."""


class Registry:
    """The registered implementations of the protocols above."""

    def __init__(self) -> None:
        self.lifecycle: Lifecycle | None = None
        self.context_parts: dict[str, ContextPart] = {}
        self.projections: dict[int, Projection] = {}
        self.holdings: dict[str, Holding] = {}
        self.transfers: dict[str, Transfer] = {}
        self.drop_statements: list[str] = []

    def add_part(self, part: ContextPart) -> None:
        self.context_parts[part.name] = part

    def add_projection(self, projection: Projection) -> None:
        self.projections[projection.entity] = projection

    def add_holding(self, holding: Holding) -> None:
        self.holdings[holding.name] = holding

    def add_transfer(self, transfer: Transfer) -> None:
        self.transfers[transfer.name] = transfer

    def add_drop_statement(self, statement: str) -> None:
        """Register SQL over `{partition}` that does what the delete triggers do: dropping a partition fires none."""
        self.drop_statements.append(statement)


registry = Registry()


def lifecycle() -> Lifecycle:
    """The registered retention law; start-up checks ensure that there is one."""
    if registry.lifecycle is None:
        raise RuntimeError("No Lifecycle is registered: is `retention` in INSTALLED_APPS?")
    return registry.lifecycle
