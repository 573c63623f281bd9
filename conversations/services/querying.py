"""`/query`, `/count` and `/exists`: the rows of one kind that match a filter, as far as agents may see them.

Row-level security keeps PostgreSQL from answering JSON paths by an index, because their operators are not leakproof.
A filter with paths is therefore asked as `ops`, the tenant named; what is shown is read again as `app`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections, transaction
from django.db.models import Model, Q, QuerySet, Value

from conversations import ids
from conversations.exceptions import FieldError, Invalid, NotFound
from conversations.filters import (
    And,
    Comparison,
    FieldPath,
    Filter,
    Kind,
    Operator,
    Order,
    comparisons,
    compile_filter,
    unindexed_fields,
)
from conversations.filters.ordering import OrderKey
from conversations.models import Memory, Session
from conversations.models.fields import hour_of
from conversations.services.memories.reading import present_memories
from conversations.services.messages.reading import present, visible_messages
from conversations.services.sessions import present_sessions
from conversations.tenancy import tenant_scope

PATIENCE = timedelta(seconds=2)
_OPS = "ops"
_MILLISECOND = timedelta(milliseconds=1)

Rows = QuerySet[Any]


@dataclass(frozen=True, kw_only=True)
class Queryable:
    """One kind of rows. Both functions are called inside the tenant's scope."""

    visible: Callable[[UUID], Rows]
    """What agents of the tenant may see now."""
    present: Callable[[UUID, Sequence[Any]], list[dict[str, Any]]]
    """Rows as the API shows them, in order."""
    columns: Mapping[str, str]
    """The model's own lookups for fields of other names."""
    indexed: frozenset[str]
    """Fields that an index of the table answers: of JSON, equality only."""
    cursors: Callable[[UUID], Rows] | None = None
    """All rows that a cursor may name, where these are not simply those of the table."""


@dataclass(frozen=True)
class Selected:
    """Rows of which only the ids are read here, and all rows that a cursor may name."""

    rows: Rows
    cursors: Rows


_queryables: dict[Kind, Queryable] = {}


def register_queryable(kind: Kind, queryable: Queryable) -> None:
    """Called by the wiring of the app that has these rows."""
    _queryables[kind] = queryable


@contextmanager
def selecting(kind: Kind, tenant_id: UUID, tree: Filter) -> Iterator[Selected]:
    """The rows the filter describes, to be counted or listed inside the block.

    Invalid, with the fields' names, when that takes longer than two seconds.
    """
    queryable = _queryable(kind)
    with tenant_scope(tenant_id):
        visible = queryable.visible(tenant_id)
    rows = visible.filter(compile_filter(tree, queryable.columns), _moments(tree))
    alias = _OPS if any(leaf.field.segments for leaf, _ in comparisons(tree)) else DEFAULT_DB_ALIAS
    try:
        with transaction.atomic(using=_OPS) if alias == _OPS else tenant_scope(tenant_id):
            with connections[alias].cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {PATIENCE // _MILLISECOND}")
            if queryable.cursors is None:
                everything = visible.model._default_manager.filter(tenant_id=tenant_id)
            else:
                everything = queryable.cursors(tenant_id)
            yield Selected(rows.using(alias).only("pk"), everything.using(alias))
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            raise _too_slow(tree, queryable) from error
        raise


def show(kind: Kind, tenant_id: UUID, rows: Iterable[Model]) -> list[dict[str, Any]]:
    """Selected rows as the API shows them, in order, read under row-level security; what went meanwhile is left out."""
    queryable, wanted = _queryable(kind), [row.pk for row in rows]
    with tenant_scope(tenant_id):
        found = {row.pk: row for row in queryable.visible(tenant_id).filter(pk__in=wanted)}
        return queryable.present(tenant_id, [found[key] for key in wanted if key in found])


def by_index(order: Order) -> Order:
    """The same order by columns that an index has.

    An id carries the microsecond of its row, so it sorts as `created_at` does; a time comes in the order of its hour.
    """
    match order.keys:
        case (OrderKey("created_at", descending), OrderKey("id", same)) if same is descending:
            return Order(order.keys[1:])
        case (OrderKey("last_message_at", descending), *_):
            return Order((OrderKey("last_message_hour", descending), *order.keys))
        case _:
            return order


def _queryable(kind: Kind) -> Queryable:
    if (queryable := _queryables.get(kind)) is None:
        raise NotFound
    return queryable


def _moments(tree: Filter) -> Q:
    """What a filter by time says of columns that an index has: of ids, which also prune partitions, and of hours."""
    bounds = Q()
    for part in tree.parts if isinstance(tree, And) else (tree,):
        match part:
            case Comparison(FieldPath(name="created_at"), Operator.GT | Operator.GTE, datetime() as at):
                bounds &= Q(pk__gte=ids.floor_id(at))
            case Comparison(FieldPath(name="created_at"), Operator.LT | Operator.LTE, datetime() as at):
                bounds &= Q(pk__lt=ids.floor_id(at + _MILLISECOND))
            case Comparison(FieldPath(name="last_message_at"), Operator.GT | Operator.GTE, datetime() as at):
                bounds &= Q(last_message_hour__gte=hour_of(Value(at)))
            case Comparison(FieldPath(name="last_message_at"), Operator.LT | Operator.LTE, datetime() as at):
                bounds &= Q(last_message_hour__lte=hour_of(Value(at)))
    return bounds


def _too_slow(tree: Filter, queryable: Queryable) -> Invalid:
    unindexed = {leaf.field.name for leaf, _ in comparisons(tree)} - queryable.indexed
    blamed = dict.fromkeys(
        str(leaf.field)
        for leaf, _ in comparisons(tree)
        if leaf.field.name in unindexed or str(leaf.field) in unindexed_fields(tree)
    )
    detail = f"No index serves this filter, and it took longer than {PATIENCE.seconds} s: narrow it by other fields."
    fields = [f"filter.{name}" for name in blamed] or ["filter"]
    return Invalid([FieldError(field, "too_slow", detail) for field in fields])


# -- the core's own kinds ------------------------------------------------------------------------------------------

_CUSTOMER = {"customer_id": "customer__external_id"}


def _visible_sessions(tenant_id: UUID) -> Rows:
    return Session.objects.for_tenant(tenant_id).live()


def _current_memories(tenant_id: UUID) -> Rows:
    return Memory.objects.for_tenant(tenant_id).current(ids.now())


register_queryable(
    Kind.MESSAGES,
    Queryable(
        visible=visible_messages,
        present=present,
        columns=_CUSTOMER,
        indexed=frozenset({"id", "session_id", "customer_id", "created_at", "metadata"}),
    ),
)
register_queryable(
    Kind.SESSIONS,
    Queryable(
        visible=_visible_sessions,
        present=present_sessions,
        columns=_CUSTOMER,
        indexed=frozenset({"id", "external_id", "customer_id", "created_at", "last_message_at", "metadata"}),
    ),
)
register_queryable(
    Kind.MEMORIES,
    Queryable(
        visible=_current_memories,
        present=present_memories,
        columns=_CUSTOMER,
        indexed=frozenset({"id", "external_id", "customer_id", "created_at", "expires_at", "metadata"}),
    ),
)
