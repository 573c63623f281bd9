"""Re-encrypts what retired keys have sealed under the current keys of the same owners."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from django.db import OperationalError, connection

from conversations import crypto, keyring
from conversations.crypto import DataKeyMaterial
from conversations.exceptions import SealBroken
from conversations.models import DataKey
from conversations.sealed_columns import SealedColumn, sealed_columns
from conversations.tenancy import tenant_scope

log = structlog.get_logger(__name__)

BATCH = 200  # values, of up to some hundred kilobytes each
ATTEMPTS = 5

Report = Callable[[str, int, int], None]  # what is being worked on, how many are done, of about how many

# Shorter than a key's id: no sealed value, and not to be taken for one.
_KEY_ID = (
    "CASE WHEN length(t.{column}) > 17 THEN encode(substring(t.{column} FROM 2 FOR 16), 'hex')::uuid END"
)
_UNDER_RETIRED = """
    SELECT t.id, t.{column}, k.id FROM {table} t
    JOIN conversations_datakey k ON k.tenant_id = t.tenant_id AND k.id = {key_id}
    WHERE t.tenant_id = %(tenant)s AND t.id > %(after)s AND k.retired_at IS NOT NULL AND k.wrapped IS NOT NULL
    ORDER BY t.id LIMIT %(limit)s FOR UPDATE OF t
"""
_RESEAL = """
    UPDATE {table} t SET {column} = u.sealed {and_key}
    FROM unnest(%(ids)s::uuid[], %(sealed)s::bytea[], %(keys)s::uuid[]) AS u (id, sealed, key)
    WHERE t.tenant_id = %(tenant)s AND t.id = u.id
"""
_USED = """
    SELECT DISTINCT k.id FROM {table} t
    JOIN conversations_datakey k ON k.tenant_id = t.tenant_id AND k.id = {key_id}
    WHERE t.tenant_id = %(tenant)s AND k.id = ANY (%(keys)s)
"""


def no_progress(what: str, done: int, total: int) -> None:
    """A progress callback that does nothing."""


@dataclass
class Rotation:
    """What was done. `waiting`: retired keys that are kept on; `broken`: values that did not authenticate."""

    rewrapped: int = 0
    replaced: int = 0
    resealed: dict[str, int] = field(default_factory=dict)
    destroyed: int = 0
    waiting: int = 0
    broken: int = 0

    def add(self, other: "Rotation") -> None:
        """Count another tenant's too."""
        for name in ("rewrapped", "replaced", "destroyed", "waiting", "broken"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for column, count in other.resealed.items():
            self.resealed[column] = self.resealed.get(column, 0) + count


@dataclass(frozen=True)
class _Batch:
    last: UUID
    resealed: int
    broken: int


@dataclass(frozen=True)
class _Resealed:
    """A value under its new key."""

    id: UUID
    sealed: bytes
    key_id: UUID


def reseal(tenant_id: UUID, done: Rotation, report: Report = no_progress) -> None:
    """Reseal every value of the tenant, in batches that are transactions of their own; what is done is not done again.

    A row keeps its version: no mirror shows sealed bytes, hence none has to follow.
    """
    for column in sealed_columns():
        after, total = UUID(int=0), _count(tenant_id, column)
        while (batch := _patiently(partial(_reseal_batch, tenant_id, column, after))) is not None:
            after = batch.last
            done.broken += batch.broken
            done.resealed[str(column)] = done.resealed.get(str(column), 0) + batch.resealed
            report(str(column), done.resealed[str(column)], total)


def used_keys(tenant_id: UUID, key_ids: Collection[UUID]) -> set[UUID]:
    """Those of the keys that still seal a value or wrap another key. Runs inside a tenant scope."""
    wrapping = DataKey.objects.for_tenant(tenant_id).filter(
        wrapped__isnull=False, wrapped_by__in=[str(key_id) for key_id in key_ids]
    )
    used = {UUID(wrapped_by) for wrapped_by in wrapping.values_list("wrapped_by", flat=True)}
    with connection.cursor() as cursor:
        for column in sealed_columns():
            values: dict[str, Any] = {"tenant": tenant_id, "keys": list(key_ids)}
            cursor.execute(_USED.format(**_names(column)), values)
            used |= {key_id for (key_id,) in cursor.fetchall()}
    return used


def _patiently(batch: Callable[[], _Batch | None]) -> _Batch | None:
    """Run the batch, and retry when it could not get a lock: it yields to requests."""
    for _ in range(ATTEMPTS - 1):
        with suppress(OperationalError):
            return batch()
    return batch()


def _reseal_batch(tenant_id: UUID, column: SealedColumn, after: UUID) -> _Batch | None:
    """The next values beyond that id; None when there are no more."""
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        values: dict[str, Any] = {"tenant": tenant_id, "after": after, "limit": BATCH}
        cursor.execute(_UNDER_RETIRED.format(**_names(column)), values)
        rows = [(row_id, bytes(sealed), key_id) for row_id, sealed, key_id in cursor.fetchall()]
        if not rows:
            return None
        keys = _keys_and_successors(tenant_id, {key_id for _, _, key_id in rows})
        resealed, broken = [], 0
        for row_id, sealed, key_id in rows:
            if key_id not in keys:
                continue
            try:
                resealed.append(_reseal(tenant_id, column, row_id, sealed, *keys[key_id]))
            except SealBroken:
                log.error("keys.broken_seal", column=str(column), id=str(row_id))
                broken += 1
        cursor.execute(*_update(tenant_id, column, resealed))
    return _Batch(rows[-1][0], len(resealed), broken)


def _reseal(
    tenant_id: UUID,
    column: SealedColumn,
    row_id: UUID,
    sealed: bytes,
    old: DataKeyMaterial,
    new: DataKeyMaterial,
) -> _Resealed:
    aad = crypto.row_aad(tenant_id, column.table, column.column, row_id)
    plain = crypto.unseal(sealed, key=old, aad=aad)
    return _Resealed(row_id, crypto.seal(plain, key=new, aad=aad), new.id)


def _update(
    tenant_id: UUID, column: SealedColumn, resealed: Sequence[_Resealed]
) -> tuple[str, dict[str, Any]]:
    and_key = f", {column.key_column} = u.key" if column.key_column else ""
    return _RESEAL.format(**_names(column), and_key=and_key), {
        "tenant": tenant_id,
        "ids": [one.id for one in resealed],
        "sealed": [one.sealed for one in resealed],
        "keys": [one.key_id for one in resealed],
    }


def _keys_and_successors(
    tenant_id: UUID, key_ids: Collection[UUID]
) -> Mapping[UUID, tuple[DataKeyMaterial, DataKeyMaterial]]:
    """Each retired key with the one in its place; without what has been destroyed meanwhile.

    Locked and read afresh: what an erasure destroys the key of must not live on under another.
    """
    rows = DataKey.objects.for_tenant(tenant_id).filter(wrapped__isnull=False)
    retired = list(rows.filter(id__in=key_ids).select_for_update().order_by("id"))
    current = rows.filter(retired_at__isnull=True, owner_id__in=[row.owner_id for row in retired])
    successors = {(row.owner, row.owner_id): keyring.open_key(row) for row in current}
    return {
        row.id: (keyring.open_key(row), successor)
        for row in retired
        if (successor := successors.get((row.owner, row.owner_id))) is not None
    }


def _count(tenant_id: UUID, column: SealedColumn) -> int:
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {column.table} WHERE tenant_id = %s", [tenant_id])
        return int(cursor.fetchone()[0])


def _names(column: SealedColumn) -> dict[str, str]:
    key_id = _KEY_ID.format(column=column.column)
    return {"table": column.table, "column": column.column, "key_id": key_id}
