"""The core's holdings: where it stores the data of a person, a session or messages, to be counted, exported, erased.

The eraser and the exporter iterate over these (`ports.Holding`). What makes a target invisible and decides what has
to stay is the eraser's; it has happened, and committed, before `erase` is called.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet

from conversations import ids, keyring, presenters
from conversations.exceptions import KeyDestroyed
from conversations.models import (
    ChapterIndex,
    ContextReceipt,
    Customer,
    DataKey,
    IdempotencyRecord,
    Memory,
    Message,
    MessageIndex,
    Session,
)
from conversations.ports import Holding, Registry, Target, lifecycle, registry
from conversations.services import idempotency
from conversations.services.memories.contents import open_memories
from conversations.services.messages.contents import unseal_messages
from conversations.services.messages.reading import external_ids

Record = Mapping[str, Any]
T = TypeVar("T")

PAGE = 500


def register(registry: Registry) -> None:
    """Register every holding of the core, in the order in which things are erased."""
    holdings: list[Holding] = [
        MessageHolding(),
        MemoryHolding(),
        ContextReceiptHolding(),
        IdempotencyHolding(),
        SearchTableHolding(),
        SessionHolding(),
        CustomerHolding(),
        KeyHolding(),
    ]
    for holding in holdings:
        registry.add_holding(holding)


class MessageHolding:
    """Messages. The deletion engine erases them, under the law, so that nothing is left to erase here."""

    name = "messages"
    tables: Sequence[str] = (Message._meta.db_table,)
    record_class = "messages"

    def rows(self, tenant_id: UUID, target: Target) -> Sequence[QuerySet[Any]]:
        return [messages_of(tenant_id, target)]

    def export(self, tenant_id: UUID, target: Target) -> Iterator[Record]:
        message_ids = messages_of(tenant_id, target).order_by("id").values_list("id", flat=True)
        for page in _pages(list(message_ids), PAGE):
            rows = list(Message.objects.for_tenant(tenant_id).filter(id__in=page).order_by("id"))
            customers = external_ids(tenant_id, {row.customer_id for row in rows})
            for row in rows:
                content, attachments = _opened(tenant_id, row)
                yield presenters.message(
                    row, content=content, attachments=attachments, customer=customers.get(row.customer_id)
                )

    def erase(self, tenant_id: UUID, target: Target) -> int:
        return 0


class MemoryHolding:
    """A customer's memories, and those that were drawn from messages of the target."""

    name = "memories"
    tables: Sequence[str] = (Memory._meta.db_table,)
    record_class = "summaries"

    def rows(self, tenant_id: UUID, target: Target) -> Sequence[QuerySet[Any]]:
        return [self._rows(tenant_id, target)]

    def export(self, tenant_id: UUID, target: Target) -> Iterator[Record]:
        customers = external_ids(tenant_id, {target.customer_id})
        for page in _pages(self._rows(tenant_id, target).order_by("id").iterator(PAGE), PAGE):
            for row, content in zip(page, open_memories(page), strict=True):
                yield presenters.memory(row, content=content, customer=customers.get(row.customer_id))

    def erase(self, tenant_id: UUID, target: Target) -> int:
        rows = self._rows(tenant_id, target)
        # Of other targets only what was hidden: a memory with evidence elsewhere stays.
        chosen = rows if target.customer_id else rows.filter(hidden_at__isnull=False)
        return chosen.delete()[0]

    def _rows(self, tenant_id: UUID, target: Target) -> QuerySet[Memory]:
        rows = Memory.objects.for_tenant(tenant_id)
        if target.customer_id is not None:
            return rows.filter(customer_id=target.customer_id)
        if target.session_id is not None:
            return rows.filter(source_message_ids__overlap=messages_of(tenant_id, target).values("id"))
        return rows.filter(source_message_ids__overlap=list(target.message_ids))


class ContextReceiptHolding:
    """What agents were shown: ids and a keyed hash of the question. Of single messages only their ids stay."""

    name = "context_receipts"
    tables: Sequence[str] = (ContextReceipt._meta.db_table,)
    record_class = "messages"

    def rows(self, tenant_id: UUID, target: Target) -> Sequence[QuerySet[Any]]:
        return [self._rows(tenant_id, target)]

    def export(self, tenant_id: UUID, target: Target) -> Iterator[Record]:
        for row in self._rows(tenant_id, target).order_by("id").iterator(PAGE):
            yield {
                "object": "context_receipt",
                "id": row.id,
                "session_id": row.session_id,
                "created_at": row.created_at,
                "items": row.items,
            }

    def erase(self, tenant_id: UUID, target: Target) -> int:
        return self._rows(tenant_id, target).delete()[0]

    def _rows(self, tenant_id: UUID, target: Target) -> QuerySet[ContextReceipt]:
        rows = ContextReceipt.objects.for_tenant(tenant_id)
        if target.customer_id is not None:
            sessions = sessions_of(tenant_id, target).values("id")
            return rows.filter(Q(customer_id=target.customer_id) | Q(session_id__in=sessions))
        return rows.filter(session_id=target.session_id) if target.session_id else rows.none()


class IdempotencyHolding:
    """First answers to an `Idempotency-Key`. They are emptied, not removed: a replay must not do it all again."""

    name = "idempotency_answers"
    tables: Sequence[str] = (IdempotencyRecord._meta.db_table,)
    record_class = "messages"

    def rows(self, tenant_id: UUID, target: Target) -> Sequence[QuerySet[Any]]:
        return [idempotency.answers_about(tenant_id=tenant_id, **self._which(tenant_id, target))]

    def export(self, tenant_id: UUID, target: Target) -> Iterator[Record]:
        yield from ()  # copies of what the other holdings export

    def erase(self, tenant_id: UUID, target: Target) -> int:
        return idempotency.blank_answers(
            tenant_id=tenant_id, gone=_subject_of(target), **self._which(tenant_id, target)
        )

    def _which(self, tenant_id: UUID, target: Target) -> dict[str, Any]:
        if target.customer_id is not None:
            return {"keys": keyring.live_keys(tenant_id, customer_id=target.customer_id), "shown": None}

        def shown() -> set[UUID]:
            ids_of_messages = messages_of(tenant_id, target).values_list("id", flat=True)
            return {*ids_of_messages, *target.message_ids, *filter(None, [target.session_id])}

        sessions = (
            sessions_of(tenant_id, target) if target.session_id else _sessions_around(tenant_id, target)
        )
        return {"keys": keyring.live_keys_around(tenant_id, sessions), "shown": shown}


class SearchTableHolding:
    """PostgreSQL's own search tables. Their writer is the mirror's worker, which follows what was hidden."""

    name = "search_tables"
    tables: Sequence[str] = (MessageIndex._meta.db_table, ChapterIndex._meta.db_table)
    record_class = "messages"

    def rows(self, tenant_id: UUID, target: Target) -> Sequence[QuerySet[Any]]:
        messages = MessageIndex.objects.for_tenant(tenant_id)
        chapters = ChapterIndex.objects.for_tenant(tenant_id)
        if target.customer_id is not None:
            mine = Q(customer_id=target.customer_id)
            return [messages.filter(mine), chapters.filter(mine)]
        if target.session_id is not None:
            mine = Q(session_id=target.session_id)
            return [messages.filter(mine), chapters.filter(mine)]
        return [messages.filter(message_id__in=target.message_ids)]

    def export(self, tenant_id: UUID, target: Target) -> Iterator[Record]:
        yield from ()  # drawn from the messages

    def erase(self, tenant_id: UUID, target: Target) -> int:
        return 0


class SessionHolding:
    """Data about conversations. A bare row stays until the mirrors have removed its chapters."""

    name = "sessions"
    tables: Sequence[str] = (Session._meta.db_table,)
    record_class = "messages"

    def rows(self, tenant_id: UUID, target: Target) -> Sequence[QuerySet[Any]]:
        return [self._rows(tenant_id, target)]

    def export(self, tenant_id: UUID, target: Target) -> Iterator[Record]:
        customers = external_ids(tenant_id, {target.customer_id})
        for row in self._rows(tenant_id, target).order_by("id").iterator(PAGE):
            yield presenters.session(row, customer=customers.get(row.customer_id), held=False)

    def erase(self, tenant_id: UUID, target: Target) -> int:
        """Clear those that have no message left and that no hold covers."""
        rows = self._rows(tenant_id, target).filter(hidden_at__isnull=False)
        messages = Message.objects.for_tenant(tenant_id).filter(session_id=OuterRef("id"))
        empty = set(rows.filter(~Exists(messages)).values_list("id", flat=True))
        empty -= lifecycle().held_sessions(tenant_id, sorted(empty))
        return (
            Session.objects.for_tenant(tenant_id)
            .filter(id__in=empty)
            .update(
                external_id=None,
                title=None,
                outcome=None,
                outlet_id=None,
                channel=None,
                language=None,
                intents={},
                context={},
                metadata={},
                cleared_at=ids.now(),
            )
        )

    def _rows(self, tenant_id: UUID, target: Target) -> QuerySet[Session]:
        return sessions_of(tenant_id, target).filter(Q(cleared_at__isnull=True) | ~Q(external_id=None))


class CustomerHolding:
    """The person's own row. Without a name it stays until nothing refers to it."""

    name = "customers"
    tables: Sequence[str] = (Customer._meta.db_table,)
    record_class = "archive"

    def rows(self, tenant_id: UUID, target: Target) -> Sequence[QuerySet[Any]]:
        return [self._rows(tenant_id, target)]

    def export(self, tenant_id: UUID, target: Target) -> Iterator[Record]:
        for row in self._rows(tenant_id, target):
            yield presenters.customer(row)

    def erase(self, tenant_id: UUID, target: Target) -> int:
        return self._rows(tenant_id, target).update(
            external_id=None, language=None, metadata={}, identifiers=[], erased_at=ids.now()
        )

    def _rows(self, tenant_id: UUID, target: Target) -> QuerySet[Customer]:
        rows = Customer.objects.for_tenant(tenant_id)
        if target.customer_id is None:
            return rows.none()
        return rows.filter(id=target.customer_id, erased_at__isnull=True)


class KeyHolding:
    """The keys of a customer, or of a session without one. Destroying them shreds every copy, backups included."""

    name = "keys"
    tables: Sequence[str] = (DataKey._meta.db_table,)
    record_class = "archive"

    def rows(self, tenant_id: UUID, target: Target) -> Sequence[QuerySet[Any]]:
        return [self._rows(tenant_id, target)]

    def export(self, tenant_id: UUID, target: Target) -> Iterator[Record]:
        yield from ()  # secrets, not data about anybody

    def erase(self, tenant_id: UUID, target: Target) -> int:
        return keyring.destroy_keys(
            tenant_id, list(self._rows(tenant_id, target).values_list("id", flat=True))
        )

    def _rows(self, tenant_id: UUID, target: Target) -> QuerySet[DataKey]:
        if target.customer_id is None and target.session_id is None:
            return DataKey.objects.for_tenant(tenant_id).none()
        return keyring.live_keys(tenant_id, customer_id=target.customer_id, session_id=target.session_id)


def count_records(tenant_id: UUID, target: Target) -> dict[str, int]:
    """How many records of the target each holding has; one statement for all. Runs inside a tenant scope."""
    parts, values = [], []
    for name, holding in registry.holdings.items():
        for rows in holding.rows(tenant_id, target):
            with suppress(EmptyResultSet):
                sql, given = rows.order_by().values("pk").query.sql_with_params()
                parts.append(f"SELECT %s, count(*) FROM ({sql}) held")
                values += [name, *given]
    counts = dict.fromkeys(registry.holdings, 0)
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), values)
        for name, count in cursor.fetchall():
            counts[name] += count
    return counts


def _pages(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(rows)
    while page := list(islice(rest, size)):
        yield page


def sessions_of(tenant_id: UUID, target: Target) -> QuerySet[Session]:
    """The sessions that the target takes with it; none for single messages."""
    rows = Session.objects.for_tenant(tenant_id)
    if target.customer_id is not None:
        return rows.filter(customer_id=target.customer_id)
    return rows.filter(id=target.session_id) if target.session_id else rows.none()


def messages_of(tenant_id: UUID, target: Target) -> QuerySet[Message]:
    """The messages that the target takes with it, hidden ones included."""
    rows = Message.objects.for_tenant(tenant_id)
    if target.customer_id is not None:
        return rows.filter(customer_id=target.customer_id)
    if target.session_id is not None:
        return rows.filter(session_id=target.session_id)
    return rows.filter(id__in=target.message_ids)


def _sessions_around(tenant_id: UUID, target: Target) -> QuerySet[Session]:
    messages = messages_of(tenant_id, target).values("session_id")
    return Session.objects.for_tenant(tenant_id).filter(id__in=messages)


def _subject_of(target: Target) -> UUID:
    return target.customer_id or target.session_id or target.message_ids[0]


def _opened(tenant_id: UUID, row: Message) -> tuple[Any, Any]:
    try:
        return unseal_messages(tenant_id, [(row.id, bytes(row.sealed))])[0]
    except KeyDestroyed:
        return None, None
