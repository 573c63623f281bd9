"""The keys that seal: master -> tenant -> customer, session or case. Each is cached for at most a minute.

Destroying a row's `wrapped` bytes is crypto-shredding: within `LIFETIME` no process can open what the key sealed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, models, transaction

from conversations import crypto, ids
from conversations.crypto import DataKeyMaterial, MasterKeys
from conversations.enums import KeyOwner
from conversations.exceptions import KeyDestroyed
from conversations.models import DataKey
from conversations.statements import insert_rows
from conversations.timed_cache import TimedCache

LIFETIME = 60.0  # seconds a key may be used after it was read

_current: TimedCache[object, DataKeyMaterial] = TimedCache(50_000)  # by owner: what seals
_known: TimedCache[object, DataKeyMaterial] = TimedCache(50_000)  # by key id: what opens


@lru_cache(maxsize=1)
def master_keys() -> MasterKeys:
    return MasterKeys.parse(settings.MASTER_KEYS)


def seal(tenant_id: UUID, owner: KeyOwner, owner_id: UUID, plaintext: bytes, aad: bytes) -> bytes:
    """The plaintext sealed under the owner's current key. Runs inside a tenant scope."""
    return crypto.seal(plaintext, key=sealing_key(tenant_id, owner, owner_id), aad=aad)


def unseal(tenant_id: UUID, sealed: bytes, aad: bytes) -> bytes:
    """The plaintext; KeyDestroyed after an erasure, SealBroken when the bytes were altered or moved."""
    return unseal_many(tenant_id, [(sealed, aad)])[0]


def unseal_many(tenant_id: UUID, items: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    """The plaintexts of (sealed, aad) pairs, with at most one query for all the keys."""
    keys = opening_keys(tenant_id, {crypto.key_id(sealed) for sealed, _ in items})
    return [crypto.unseal(sealed, key=keys[crypto.key_id(sealed)], aad=aad) for sealed, aad in items]


def sealing_key(tenant_id: UUID, owner: KeyOwner, owner_id: UUID) -> DataKeyMaterial:
    """The owner's current key, made when there is none yet."""
    name = (tenant_id, owner, owner_id)
    if (key := _current.get(name)) is not None:
        return key
    row = _current_row(tenant_id, owner, owner_id) or create_key(tenant_id, owner, owner_id)
    key = _unwrap(row)
    # A key created in this transaction may still be rolled back: nothing else may seal with it before the commit.
    transaction.on_commit(lambda: _remember(name, key))
    return key


def _remember(name: tuple[UUID, KeyOwner, UUID], key: DataKeyMaterial) -> None:
    _current.put(name, key, LIFETIME)
    _known.put((name[0], key.id), key, LIFETIME)


def opening_keys(tenant_id: UUID, key_ids: Iterable[UUID]) -> Mapping[UUID, DataKeyMaterial]:
    """Keys by id; KeyDestroyed if one of them is gone."""
    found = {key_id: _known.get((tenant_id, key_id)) for key_id in key_ids}
    if missing := [key_id for key_id, key in found.items() if key is None]:
        for row in DataKey.objects.for_tenant(tenant_id).filter(id__in=missing):
            found[row.id] = key = _unwrap(row)
            _known.put((tenant_id, row.id), key, LIFETIME)
    keys = {key_id: key for key_id, key in found.items() if key is not None}
    if len(keys) < len(found):
        raise KeyDestroyed("The key is gone, and what it sealed with it.")
    return keys


def create_key(tenant_id: UUID, owner: KeyOwner, owner_id: UUID) -> DataKey:
    """A new wrapped key; when another transaction was faster, theirs."""
    key = _new_key(tenant_id, owner, owner_id, ids.now())
    try:
        with transaction.atomic():
            key.save(force_insert=True)
    except IntegrityError:
        existing = _current_row(tenant_id, owner, owner_id)
        if existing is None:
            raise
        return existing
    return key


def wrap(row: DataKey, secret: bytes) -> None:
    """Wrap the secret into the row: a tenant's key under the current master key, others under the tenant's key."""
    if row.owner == KeyOwner.TENANT:
        row.wrapped, row.wrapped_by = master_keys().wrap(secret, aad=_wrap_aad(row)), master_keys().current.id
    else:
        parent = sealing_key(row.tenant_id, KeyOwner.TENANT, row.tenant_id)
        row.wrapped, row.wrapped_by = (
            crypto.wrap(secret, parent=parent.secret, aad=_wrap_aad(row)),
            str(parent.id),
        )


def rewrap(row: DataKey) -> None:
    """Wrap the row's key under what wraps today; the key itself stays the same."""
    wrap(row, _unwrap(row).secret)


def open_key(row: DataKey) -> DataKeyMaterial:
    """The key of a row as it was just read, past the cache; KeyDestroyed when it is gone."""
    return _unwrap(row)


def live_keys(
    tenant_id: UUID, *, customer_id: UUID | None = None, session_id: UUID | None = None
) -> models.QuerySet[DataKey]:
    """The keys that seal a customer's data, or a session's own; retired ones too, destroyed ones not."""
    mine = (
        models.Q(owner=KeyOwner.SESSION, owner_id=session_id)
        if session_id
        else models.Q(customer_id=customer_id)
    )
    return DataKey.objects.for_tenant(tenant_id).filter(mine, wrapped__isnull=False).order_by("id")


def live_keys_around(tenant_id: UUID, sessions: models.QuerySet[Any]) -> models.QuerySet[DataKey]:
    """The keys of these sessions, and of the customers that speak in them."""
    customers = sessions.filter(customer_id__isnull=False).values("customer_id")
    mine = models.Q(owner=KeyOwner.SESSION, owner_id__in=sessions.values("id"))
    keys = DataKey.objects.for_tenant(tenant_id).filter(wrapped__isnull=False)
    return keys.filter(mine | models.Q(customer_id__in=customers))


def destroy_keys(tenant_id: UUID, key_ids: Sequence[UUID]) -> int:
    """Destroy keys; returns how many. Effective here with the commit, in other processes within `LIFETIME`."""
    keys = DataKey.objects.for_tenant(tenant_id).filter(id__in=key_ids, wrapped__isnull=False)
    transaction.on_commit(forget)
    return keys.update(wrapped=None, destroyed_at=ids.now())


def sealing_keys(
    tenant_id: UUID, owners: Iterable[tuple[KeyOwner, UUID]]
) -> Mapping[tuple[KeyOwner, UUID], DataKeyMaterial]:
    """The current keys of many customers and sessions, made where there are none yet, with two statements at most."""
    wanted = list(dict.fromkeys(owners))
    found = {one: key for one in wanted if (key := _current.get((tenant_id, *one))) is not None}
    if len(found) == len(wanted):
        return found
    missing = {one for one in wanted if one not in found}
    rows = DataKey.objects.for_tenant(tenant_id).filter(
        owner_id__in=[owner_id for _, owner_id in missing], retired_at__isnull=True, destroyed_at__isnull=True
    )
    found |= {one: _unwrap(row) for row in rows if (one := (KeyOwner(row.owner), row.owner_id)) in missing}
    now = ids.now()
    new = [_new_key(tenant_id, *one, now) for one in wanted if one not in found]
    insert_rows(new)
    made = {(KeyOwner(row.owner), row.owner_id): _unwrap(row) for row in new}
    found |= made
    for one in missing:
        name, key = (tenant_id, *one), found[one]
        transaction.on_commit(lambda name=name, key=key: _remember(name, key))  # type: ignore[misc]
    return found


def _new_key(
    tenant_id: UUID, owner: KeyOwner, owner_id: UUID, now: datetime, customer_id: UUID | None = None
) -> DataKey:
    key = DataKey(
        id=ids.new_id(now),
        created_at=now,
        tenant_id=tenant_id,
        owner=owner,
        owner_id=owner_id,
        customer_id=owner_id if owner is KeyOwner.CUSTOMER else customer_id,
    )
    wrap(key, crypto.new_secret())
    return key


def hasher(tenant_id: UUID) -> Callable[[str, str], bytes]:
    """`keyed_hash` for many values: the key is looked up once."""
    secret = sealing_key(tenant_id, KeyOwner.INDEX, tenant_id).secret
    return lambda label, value: crypto.hmac_digest(secret, label.encode(), value.encode())[:16]


def keyed_hash(tenant_id: UUID, label: str, value: str, size: int = 16) -> bytes:
    """A hash that only this installation can make, the same for the same value for the tenant's whole life."""
    key = sealing_key(tenant_id, KeyOwner.INDEX, tenant_id)
    return crypto.hmac_digest(key.secret, label.encode(), value.encode())[:size]


def forget() -> None:
    """Drop this process's cached keys, so that a destroyed key is gone here at once."""
    _current.clear()
    _known.clear()


def _current_row(tenant_id: UUID, owner: KeyOwner, owner_id: UUID) -> DataKey | None:
    return (
        DataKey.objects.for_tenant(tenant_id)
        .filter(owner=owner, owner_id=owner_id, retired_at__isnull=True, destroyed_at__isnull=True)
        .first()
    )


def _unwrap(row: DataKey) -> DataKeyMaterial:
    if row.wrapped is None or row.destroyed_at is not None:
        raise KeyDestroyed("The key is gone, and what it sealed with it.")
    if row.owner == KeyOwner.TENANT:
        secret = master_keys().unwrap(row.wrapped, by=row.wrapped_by, aad=_wrap_aad(row))
    else:
        parent = opening_keys(row.tenant_id, [UUID(row.wrapped_by)])[UUID(row.wrapped_by)]
        secret = crypto.unwrap(row.wrapped, parent=parent.secret, aad=_wrap_aad(row))
    return DataKeyMaterial(id=row.id, secret=secret)


def _wrap_aad(row: DataKey) -> bytes:
    return crypto.row_aad(row.tenant_id, DataKey._meta.db_table, "wrapped", row.id)
