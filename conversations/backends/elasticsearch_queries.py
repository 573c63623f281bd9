"""Queries for Elasticsearch, built from typed values only: no client ever supplies query language."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from elasticsearch.dsl.query import Bool, Exists, Match, Query, Range, Term, Terms

from conversations.backends.values import IdRange, Kind, SearchFilter, ceil_ms, floor_ms
from conversations.exceptions import TenantMissing
from conversations.ids import moment_of

# Longer questions add words, not meaning; each word is a clause, and the server refuses too many of them.
LONGEST_QUESTION = 1_000
MOST_SESSIONS = 1_000
TIMELESS = 0  # where entries without a time are counted and listed: they are not ours
TEXT_FIELD = {Kind.SESSIONS: "knowledge"}


def tenant_term(tenant_id: UUID) -> Query:
    """The one place where a query gets its tenant; refuses to make one without."""
    if not isinstance(tenant_id, UUID):
        raise TenantMissing("A search was built without a tenant.")
    return Term(tenant_id=str(tenant_id))


def filters(where: SearchFilter) -> list[Query]:
    """Every condition of `where`."""
    found = [tenant_term(where.tenant_id), *_owner(where), *_time(where.start, where.end, where.min_id)]
    found += [
        Term(**{field: value})
        for field, value in (("role", where.role), ("language", where.language), ("kind", where.kind))
        if value is not None
    ]
    if where.now is not None:
        found.append(_either(Range(expires_at={"gt": floor_ms(where.now)}), _without("expires_at")))
    return found


def candidates_body(words: str, where: SearchFilter, limit: int) -> dict[str, Any]:
    """Messages by their context field."""
    return _body(_match("context", words), filters(where), limit)


def sessions_body(question: str, where: SearchFilter) -> dict[str, Any]:
    """Sessions by their best chapter."""
    owner = [tenant_term(where.tenant_id), *_owner(where)]
    return {**_body(_match("text", question), owner, MOST_SESSIONS), "collapse": {"field": "session_id"}}


def matches_body(kind: Kind, words: str, where: SearchFilter, limit: int) -> dict[str, Any]:
    """Entries of a kind by their own text."""
    return _body(_match(TEXT_FIELD.get(kind, "text"), words), filters(where), limit)


def entries(
    tenant_id: UUID | None,
    *,
    start: dt.datetime | None = None,
    end: dt.datetime | None = None,
    ids: IdRange | None = None,
    among: Sequence[UUID] | None = None,
) -> dict[str, Any]:
    """Entries for the mirror's own upkeep; without a tenant those of all, as only operators' work asks."""
    found = [] if tenant_id is None else [tenant_term(tenant_id)]
    timed = _time(start, end, None)
    if start is not None and floor_ms(start) == TIMELESS:
        found.append(_either(Bool(filter=timed), _without("created_at")))
    else:
        found += timed
    if ids is not None:
        # The time narrows by points first: a range over the ids alone would walk every id of the index.
        found.append(Range(created_at={"gte": _ms_of(ids.first), "lte": _ms_of(ids.before)}))
        found.append(Range(id={"gte": str(ids.first), "lt": str(ids.before)}))
    if among is not None:
        found.append(Terms(id=[str(each) for each in among]))
    return dict(Bool(filter=found).to_dict())


def _owner(where: SearchFilter) -> list[Query]:
    found: list[Query] = []
    if where.session_id is not None:
        found.append(Term(session_id=str(where.session_id)))
    if where.customer_id is not None:
        mine = Term(customer_id=str(where.customer_id))
        found.append(_either(mine, _without("customer_id")) if where.shared else mine)
    elif where.shared:
        found.append(_without("customer_id"))
    return found


def _time(start: dt.datetime | None, end: dt.datetime | None, min_id: UUID | None) -> list[Query]:
    # As numbers: of a written time without its fraction the server would fill in 999 ms.
    bounds: list[Query] = []
    if start is not None:
        bounds.append(Range(created_at={"gte": floor_ms(start)}))
    if end is not None:
        bounds.append(Range(created_at={"lt": ceil_ms(end)}))
    if min_id is not None:
        bounds.append(Range(created_at={"gte": _ms_of(min_id)}))
    return bounds


def _ms_of(identifier: UUID) -> int:
    return floor_ms(moment_of(identifier))


def _match(field: str, text: str) -> Query:
    return Match(**{field: {"query": text[:LONGEST_QUESTION]}})


def _either(*queries: Query) -> Query:
    return Bool(should=list(queries), minimum_should_match=1)


def _without(field: str) -> Query:
    return Bool(must_not=[Exists(field=field)])


def _body(match: Query, conditions: list[Query], size: int) -> dict[str, Any]:
    return {
        "query": Bool(must=[match], filter=conditions).to_dict(),
        "size": size,
        # The id from its column: `_id` and the source lie compressed, and unpacking them costs more than the search.
        "docvalue_fields": ["id"],
        "stored_fields": "_none_",
        "track_total_hits": False,
    }
