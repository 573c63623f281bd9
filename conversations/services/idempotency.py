"""First answers to an `Idempotency-Key`: kept for a day, sealed under the key of what they show.

The lock is tied to the transaction: it ends with the commit that made effect and answer visible, or with the
process that died before. Both functions run inside the tenant scope of the work itself.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection
from django.db.models import QuerySet

from conversations import crypto, ids, keyring
from conversations.enums import KeyOwner
from conversations.exceptions import (
    Erased,
    Expired,
    IdempotencyInFlight,
    IdempotencyKeyReused,
    KeyDestroyed,
)
from conversations.models import Customer, DataKey, IdempotencyRecord, Memory, Message, Session, Tombstone
from conversations.services.messages.reading import visible_messages

LIFETIME = timedelta(hours=24)

Ids = Callable[[], set[UUID]]

_TABLE = IdempotencyRecord._meta.db_table


@dataclass(frozen=True, slots=True)
class Shown:
    """Whose data an answer shows, and the ids of its rows: once one of them is erased, the answer is too."""

    owner: KeyOwner
    owner_id: UUID
    ids: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    status: int
    body: bytes


class _Sealed(msgspec.Struct, array_like=True, frozen=True):
    body: bytes
    ids: tuple[UUID, ...]


_encode = msgspec.msgpack.Encoder(uuid_format="bytes").encode
_decode = msgspec.msgpack.Decoder(_Sealed).decode


def recall_answer(*, tenant_id: UUID, key: str, fingerprint: bytes) -> StoredAnswer | None:
    """The first answer to this key; None, by one statement: the key is ours until the transaction ends.

    Raises IdempotencyInFlight, IdempotencyKeyReused, and Erased or Expired when what the answer showed is gone.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_try_advisory_xact_lock(%s), r.id, r.fingerprint, r.status, r.sealed_answer"
            f" FROM (SELECT) AS always LEFT JOIN {_TABLE} r"
            " ON r.tenant_id = %s AND r.key = %s AND r.created_at > %s",
            [_lock_number(tenant_id, key), tenant_id, key, ids.now() - LIFETIME],
        )
        locked, record_id, known, status, sealed = cursor.fetchone()
    if not locked:
        raise IdempotencyInFlight
    if record_id is None:
        return None
    if bytes(known) != fingerprint:
        raise IdempotencyKeyReused
    stored = _decode(keyring.unseal(tenant_id, bytes(sealed), _aad(tenant_id, record_id)))
    _refuse_gone(tenant_id, stored.ids)
    return StoredAnswer(status, stored.body)


def remember_answer(
    *, tenant_id: UUID, key: str, fingerprint: bytes, answer: StoredAnswer, shown: Shown
) -> None:
    """Keep the first answer, in the transaction of its effect. One statement.

    IdempotencyInFlight, and so a rollback, when another transaction stored one between our look and our lock.
    """
    now = ids.now()
    record_id = ids.new_id(now)
    plain = _encode(_Sealed(answer.body, shown.ids))
    sealed = keyring.seal(tenant_id, shown.owner, shown.owner_id, plain, _aad(tenant_id, record_id))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {_TABLE} AS r"
            " (id, tenant_id, created_at, key, fingerprint, status, sealed_answer, subject_key_id)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (tenant_id, key) DO UPDATE SET"
            " (id, created_at, fingerprint, status, sealed_answer, subject_key_id) = (EXCLUDED.id,"
            " EXCLUDED.created_at, EXCLUDED.fingerprint, EXCLUDED.status, EXCLUDED.sealed_answer,"
            " EXCLUDED.subject_key_id) WHERE r.created_at <= %s",
            [
                record_id,
                tenant_id,
                now,
                key,
                fingerprint,
                answer.status,
                sealed,
                crypto.key_id(sealed),
                now - LIFETIME,
            ],
        )
        if cursor.rowcount != 1:
            raise IdempotencyInFlight


def forget_answers() -> int:
    """Remove the answers of all tenants that are older than a day; how many went."""
    return IdempotencyRecord.objects.using("ops").filter(created_at__lte=ids.now() - LIFETIME).delete()[0]


def answers_about(
    *, tenant_id: UUID, keys: QuerySet[DataKey], shown: Ids | None
) -> QuerySet[IdempotencyRecord]:
    """The remembered answers that show one of these ids, for which they are opened; with None all of the keys."""
    sealed = _sealed_by(tenant_id, keys)
    if shown is None:
        return sealed
    return sealed.filter(id__in=[record.id for record, _ in _answers_that_show(tenant_id, keys, shown)])


def blank_answers(*, tenant_id: UUID, keys: QuerySet[DataKey], shown: Ids | None, gone: UUID) -> int:
    """Empty the answers that `answers_about` finds; how many. A replay of them is refused as Erased.

    `gone` is an id that has a tombstone, for answers that name none of their rows.
    """
    blanked = 0
    for record, stored in _answers_that_show(tenant_id, keys, shown):
        plain = _encode(_Sealed(b"", (*stored.ids, gone)))
        aad = _aad(tenant_id, record.id)
        record.sealed_answer = keyring.seal(tenant_id, KeyOwner.TENANT, tenant_id, plain, aad)
        record.subject_key_id = crypto.key_id(record.sealed_answer)
        record.save(update_fields=["sealed_answer", "subject_key_id"])
        blanked += 1
    return blanked


def _answers_that_show(
    tenant_id: UUID, keys: QuerySet[DataKey], shown: Ids | None
) -> Iterator[tuple[IdempotencyRecord, _Sealed]]:
    records = list(_sealed_by(tenant_id, keys))
    wanted = None if shown is None or not records else shown()
    for record in records:
        try:
            plain = keyring.unseal(tenant_id, bytes(record.sealed_answer), _aad(tenant_id, record.id))
            stored = _decode(plain)
        except KeyDestroyed:  # stored by a process that still had the key cached
            stored = _Sealed(b"", ())
        if wanted is None or not wanted.isdisjoint(stored.ids):
            yield record, stored


def _sealed_by(tenant_id: UUID, keys: QuerySet[DataKey]) -> QuerySet[IdempotencyRecord]:
    return IdempotencyRecord.objects.for_tenant(tenant_id).filter(
        subject_key_id__in=keys.order_by().values("id")
    )


def _refuse_gone(tenant_id: UUID, shown: Sequence[UUID]) -> None:
    """What an agent may not see any more, hidden, expired or gone, is not read again through an old answer."""
    if not shown:
        return
    if Tombstone.objects.for_tenant(tenant_id).filter(object_id__in=shown).exists():
        raise Erased
    seen = (
        visible_messages(tenant_id).filter(id__in=shown),
        Session.objects.for_tenant(tenant_id).live().filter(id__in=shown, cleared_at=None),
        Memory.objects.for_tenant(tenant_id).current(ids.now()).filter(id__in=shown),
        Customer.objects.for_tenant(tenant_id).filter(id__in=shown, erased_at=None),
    )
    if missing := set(shown) - _ids_in(*seen):
        hidden = (
            model.objects.for_tenant(tenant_id).filter(id__in=missing, hidden_at__isnull=False)
            for model in (Message, Session, Memory)
        )
        raise Erased if _ids_in(*hidden) else Expired


def _ids_in(*rows: QuerySet[Any]) -> set[UUID]:
    first, *others = (one.order_by().values_list("id", flat=True) for one in rows)
    return set(first.union(*others, all=True))


def _lock_number(tenant_id: UUID, key: str) -> int:
    digest = blake2b(tenant_id.bytes + key.encode(), digest_size=8, person=b"idempotency").digest()
    return int.from_bytes(digest, signed=True)


def _aad(tenant_id: UUID, record_id: UUID) -> bytes:
    return crypto.row_aad(tenant_id, _TABLE, "sealed_answer", record_id)
