"""Milvus filters are strings, without bound parameters: only ids, numbers and plain codes ever get into one."""

from __future__ import annotations

import datetime as dt
import re
from uuid import UUID

from conversations.backends.values import IdRange, Kind, SearchFilter, ceil_ms, floor_ms
from conversations.exceptions import TenantMissing
from conversations.ids import moment_of

NEVER = 2**63 - 1
"""`expires_at` of what does not expire."""

_CODE = re.compile(r"[A-Za-z0-9_-]{1,35}")


def code(value: str | None) -> str:
    """A role, kind or language as it is stored: letters, digits, hyphens; anything else is like none."""
    return value if value is not None and _CODE.fullmatch(value) else ""


def search_filter(where: SearchFilter, kind: Kind) -> str | None:
    """Every condition of `where`; None when nothing can match it."""
    conditions = [_tenant(where.tenant_id), _equals("kind", Kind(kind))]
    for field, value in (("role", where.role), ("language", where.language), ("memory_kind", where.kind)):
        if value is not None:
            if not code(value):
                return None
            conditions.append(_equals(field, value))
    return " and ".join([*conditions, *_owner(where), *_time(where)])


def entries_filter(
    kind: Kind,
    tenant_id: UUID | None,
    *,
    start: dt.datetime | None = None,
    end: dt.datetime | None = None,
    ids: IdRange | None = None,
) -> str:
    """Entries for the mirror's own upkeep; without a tenant those of all, as only operators' work asks."""
    conditions = [] if tenant_id is None else [_tenant(tenant_id)]
    conditions += [_equals("kind", Kind(kind)), *_between(start, end)]
    if ids is not None:
        conditions += [f'id >= "{_uuid(ids.first)}"', f'id < "{_uuid(ids.before)}"']
    return " and ".join(conditions)


def _tenant(tenant_id: UUID) -> str:
    """The one place where a filter gets its tenant; refuses to make one without."""
    if not isinstance(tenant_id, UUID):
        raise TenantMissing("A vector search was built without a tenant.")
    return _equals("tenant_id", tenant_id)


def _owner(where: SearchFilter) -> list[str]:
    conditions = []
    if where.session_id is not None:
        conditions.append(_equals("session_id", _uuid(where.session_id)))
    if where.customer_id is not None:
        mine = _equals("customer_id", _uuid(where.customer_id))
        conditions.append(f'({mine} or customer_id == "")' if where.shared else mine)
    elif where.shared:
        conditions.append('customer_id == ""')
    return conditions


def _time(where: SearchFilter) -> list[str]:
    conditions = _between(where.start, where.end)
    if where.min_id is not None:
        conditions.append(f"created_at >= {floor_ms(moment_of(_uuid(where.min_id)))}")
    if where.now is not None:
        conditions.append(f"expires_at > {floor_ms(where.now)}")
    return conditions


def _between(start: dt.datetime | None, end: dt.datetime | None) -> list[str]:
    conditions = []
    if start is not None:
        conditions.append(f"created_at >= {floor_ms(start)}")
    if end is not None:
        conditions.append(f"created_at < {ceil_ms(end)}")
    return conditions


def _equals(field: str, value: UUID | str) -> str:
    return f'{field} == "{value}"'


def _uuid(value: UUID) -> UUID:
    if not isinstance(value, UUID):
        raise TypeError("A vector filter takes ids as UUIDs only.")
    return value
