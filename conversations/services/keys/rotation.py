"""Key rotation: new keys seal from now on, what old ones sealed is re-encrypted, and then the old ones are destroyed.

    master key    wraps the tenants' keys: these are rewrapped under the current one
    tenant key    wraps the tenant's other keys, and seals what is everybody's
    subject keys  of customers, sessions without one, and erasure cases: they seal everything else

Everything goes in batches that are transactions of their own, and each looks for what is left to do: whatever was
interrupted is gone on with. Readers are not disturbed, for an old key opens until it is destroyed; and it is kept for
as long as backups of its time are (`KEY_GRACE`), because they can be read with nothing else.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from conversations import crypto, ids, keyring
from conversations.enums import KeyOwner
from conversations.exceptions import Conflict
from conversations.locking import only_one
from conversations.models import AuditEvent, DataKey, Tenant
from conversations.principals import SYSTEM, Actor
from conversations.services import audit
from conversations.services.keys.resealing import Report, Rotation, no_progress, reseal, used_keys
from conversations.tenancy import tenant_scope

BATCH = 500
SUBJECTS = (KeyOwner.CUSTOMER, KeyOwner.SESSION, KeyOwner.CASE)

# For this long other processes may still seal with, and wrap under, a key that they read before it was retired.
SETTLING = timedelta(seconds=2 * keyring.LIFETIME)

OPENING = timedelta(hours=1)  # one run opens the rotations of all tenants within this time

STARTED, FINISHED = "keys.rotation_started", "keys.rotated"


def rotate_keys(tenants: Sequence[Tenant], *, actor: Actor, report: Report = no_progress) -> Rotation:
    """Give these tenants new keys throughout; after an interruption the rest of them.

    Conflict while another process rotates the keys of one of them.
    """
    total = Rotation()
    for tenant in _open_rotations(tenants, actor):
        with _alone(tenant.id):
            total.add(_finish_rotation(tenant.id, actor, partial(_report_of, tenant.name, report)))
    return total


def rewrap_under_master(tenant: Tenant, *, actor: Actor) -> Rotation:
    """Wrap the tenant's own keys under the current master key and leave all others as they are."""
    done = Rotation()
    with _alone(tenant.id):
        _rewrap_tenant_keys(tenant.id, done)
        if done.rewrapped:
            with tenant_scope(tenant.id):
                _record(tenant.id, actor, "keys.rewrapped", tenant.id, {"rewrapped": done.rewrapped})
    return done


def finish_rotations() -> Rotation:
    """For beat: re-encrypt what was still sealed with a retired key, and destroy keys whose grace is over."""
    now, done = ids.now(), Rotation()
    fresh = Q(retired_at__gt=now - timedelta(hours=3), retired_at__lt=now - SETTLING)
    over = Q(retired_at__lt=now - _grace())
    retired = DataKey.objects.using("ops").filter(fresh | over, wrapped__isnull=False)
    for tenant_id in retired.order_by().values_list("tenant_id", flat=True).distinct():
        one = Rotation()
        try:
            with _alone(tenant_id):
                with tenant_scope(tenant_id):
                    current = _current_row(tenant_id)
                _rewrap_keys(tenant_id, current, one)
                reseal(tenant_id, one)
                _destroy_retired(tenant_id, SYSTEM, one)
        except Conflict:
            continue  # a rotation is under way and does all of this
        done.add(one)
    return done


def _open_rotations(tenants: Sequence[Tenant], actor: Actor) -> list[Tenant]:
    """The tenants with work to do, each with the tenant key of its rotation.

    All are opened before the first is worked on. So where one is unfinished, those whose keys are of its time were
    finished by the run that was interrupted.
    """
    unfinished, made_at = set(), {}
    for tenant in tenants:
        with tenant_scope(tenant.id):
            current = _current_row(tenant.id)
            made_at[tenant.id] = current.created_at
            if not _is_finished(current):
                unfinished.add(tenant.id)
    begun = min((made_at[tenant_id] for tenant_id in unfinished), default=ids.now()) - OPENING
    due = [
        tenant
        for tenant in tenants
        if tenant.id in unfinished or made_at[tenant.id] < begun or not unfinished
    ]
    for tenant in due:
        with _alone(tenant.id):
            _rewrap_tenant_keys(tenant.id, Rotation())
            if tenant.id not in unfinished:
                _open_rotation(tenant.id, actor)
    return due


def _open_rotation(tenant_id: UUID, actor: Actor) -> None:
    with tenant_scope(tenant_id):
        [successor] = _succeed([_current_row(tenant_id, lock=True)], ids.now())
        _record(tenant_id, actor, STARTED, successor.id, {})


def _finish_rotation(tenant_id: UUID, actor: Actor, report: Report) -> Rotation:
    done = Rotation()
    with tenant_scope(tenant_id):
        current = _current_row(tenant_id)
    _rewrap_keys(tenant_id, current, done, report)
    _replace_subject_keys(tenant_id, current, done, report)
    reseal(tenant_id, done, report)
    counts = {"rewrapped": done.rewrapped, "replaced": done.replaced, "resealed": sum(done.resealed.values())}
    with tenant_scope(tenant_id):
        _record(tenant_id, actor, FINISHED, current.id, counts)
    _destroy_retired(tenant_id, actor, done)
    return done


def _current_row(tenant_id: UUID, *, lock: bool = False) -> DataKey:
    rows = DataKey.objects.select_for_update() if lock else DataKey.objects.all()
    return rows.get(
        tenant_id=tenant_id, owner=KeyOwner.TENANT, retired_at__isnull=True, wrapped__isnull=False
    )


def _is_finished(current: DataKey) -> bool:
    """Whether the rotation that made this tenant key has ended: the trail knows; the first key was made by none."""
    of_tenant = DataKey.objects.for_tenant(current.tenant_id).filter(owner=KeyOwner.TENANT)
    if not of_tenant.exclude(id=current.id).exists():
        return True
    events = AuditEvent.objects.for_tenant(current.tenant_id).filter(object_id=str(current.id))
    return events.filter(action=FINISHED).exists()


def _rewrap_tenant_keys(tenant_id: UUID, done: Rotation) -> None:
    master = keyring.master_keys().current.id
    with tenant_scope(tenant_id):
        rows = DataKey.objects.for_tenant(tenant_id).filter(owner=KeyOwner.TENANT, wrapped__isnull=False)
        for row in rows.exclude(wrapped_by=master).select_for_update().order_by("id"):
            keyring.rewrap(row)
            row.save(update_fields=["wrapped", "wrapped_by"])
            done.rewrapped += 1


def _rewrap_keys(tenant_id: UUID, current: DataKey, done: Rotation, report: Report = no_progress) -> None:
    """Wrap every other key of the tenant under its current one."""
    keys = DataKey.objects.filter(wrapped__isnull=False).exclude(owner=KeyOwner.TENANT)
    total = _count(tenant_id, keys)
    for rows in _key_batches(tenant_id, keys.exclude(wrapped_by=str(current.id))):
        for row in rows:
            keyring.rewrap(row)
        DataKey.objects.bulk_update(rows, ["wrapped", "wrapped_by"])
        done.rewrapped += len(rows)
        report("keys rewrapped", done.rewrapped, total)


def _replace_subject_keys(tenant_id: UUID, current: DataKey, done: Rotation, report: Report) -> None:
    """Replace every subject key that is older than the tenant's key."""
    live = DataKey.objects.filter(retired_at__isnull=True, wrapped__isnull=False, owner__in=SUBJECTS)
    total = _count(tenant_id, live)
    for rows in _key_batches(tenant_id, live.filter(created_at__lt=current.created_at)):
        _succeed(rows, ids.now())
        done.replaced += len(rows)
        report("keys replaced", done.replaced, total)


def _count(tenant_id: UUID, keys: QuerySet[DataKey]) -> int:
    with tenant_scope(tenant_id):
        return keys.filter(tenant_id=tenant_id).count()


def _report_of(name: str, report: Report, what: str, done: int, total: int) -> None:
    report(f"{name}: {what}", done, total)


def _key_batches(tenant_id: UUID, keys: QuerySet[DataKey]) -> Iterator[list[DataKey]]:
    """The keys that match, locked, a transaction for each batch; what the batch did must make them match no more."""
    while True:
        with tenant_scope(tenant_id):
            rows = list(keys.filter(tenant_id=tenant_id).select_for_update().order_by("id")[:BATCH])
            if not rows:
                return
            yield rows


def _succeed(rows: Sequence[DataKey], now: datetime) -> list[DataKey]:
    """Retire the keys and make one in the place of each. Runs inside a tenant scope, with the rows locked."""
    made = []
    for row in rows:
        successor = DataKey(
            id=ids.new_id(now),
            created_at=now,
            tenant_id=row.tenant_id,
            owner=row.owner,
            owner_id=row.owner_id,
            customer_id=row.customer_id,
        )
        keyring.wrap(successor, crypto.new_secret())
        made.append(successor)
    DataKey.objects.filter(id__in=[row.id for row in rows]).update(retired_at=now)
    DataKey.objects.bulk_create(made)
    transaction.on_commit(keyring.forget)
    return made


def _destroy_retired(tenant_id: UUID, actor: Actor, done: Rotation) -> None:
    """Destroy retired keys that nothing is sealed with or wrapped under, once their grace is over."""
    with tenant_scope(tenant_id):
        retired = DataKey.objects.for_tenant(tenant_id).filter(
            retired_at__isnull=False, wrapped__isnull=False
        )
        over = set(retired.filter(retired_at__lt=ids.now() - _grace()).values_list("id", flat=True))
        if over:
            unused = over - used_keys(tenant_id, over)
            done.destroyed = keyring.destroy_keys(tenant_id, sorted(unused))
        if done.destroyed:
            _record(tenant_id, actor, "keys.destroyed", tenant_id, {"destroyed": done.destroyed})
        done.waiting = retired.count()


def _grace() -> timedelta:
    """Never shorter than what other processes and the windows may still need."""
    shortest: timedelta = SETTLING + settings.WINDOW_TTL
    return max(settings.KEY_GRACE, shortest)


@contextmanager
def _alone(tenant_id: UUID) -> Iterator[None]:
    """Exclude other rotations of this tenant's keys; the lock ends with the process."""
    with only_one("key rotation", tenant_id) as alone:
        if not alone:
            raise Conflict("The keys of this tenant are being rotated by another process.")
        keyring.forget()  # what this process remembers may be from before another one's rotation
        yield


def _record(tenant_id: UUID, actor: Actor, action: str, key_id: UUID, counts: Mapping[str, int]) -> None:
    audit.record(
        tenant_id=tenant_id,
        actor=actor,
        action=action,
        object_type="data_key",
        object_id=key_id,
        details=dict(counts),
    )
