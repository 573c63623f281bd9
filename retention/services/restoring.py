"""Restores a backup so that nobody who was erased since comes back.

    verify everything -> close the gate -> load, in one transaction -> replay the erasure ledger -> open the gate

From the gate's closing to its opening nobody is served. What was interrupted before the load has changed nothing;
after it, `resume` continues. Mirrors are rebuilt at the end: they answer with ids only, so the database may be served
before.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from uuid import UUID

from django.conf import settings

from conversations import ids, keyring
from conversations.backends.configured import search_store, vector_store, window_store
from conversations.backends.values import StoreUnavailable
from conversations.backup_files import Backup, continues, masters_missing, open_backup
from conversations.enums import GateState
from conversations.exceptions import Invalid
from conversations.installation import signing_key
from conversations.mirror.profiles import read_message_profiles
from conversations.mirror.rebuilding import RebuildFailed, rebuild_search, rebuild_vectors
from conversations.models import Tenant
from conversations.principals import Actor
from conversations.services import audit
from conversations.services.operations import backups
from conversations.services.operations.backups import Advance
from conversations.services.operations.gate import close_gate, move_gate, read_gate
from conversations.services.operations.partitions import ensure_partitions
from conversations.tenancy import tenant_scope
from retention.models import AuditCheckpoint, TenantRemoval
from retention.services.audit.sealing import witness_of
from retention.services.erasures.execution import follow_cases
from retention.services.ledger_replay import Replayed, replay_ledger
from retention.services.tenant_removal import remove_tenant, shut_out

PATIENCE = (
    300.0  # seconds for carrying out erasures before the gate opens; the targets are already unreadable
)


@dataclass
class Restored:
    """What a restore did. `stale`: mirrors that could not be rebuilt, with the reason."""

    loaded: bool = False  # there was a database to go on with
    backup: UUID | None = None
    rows: int = 0
    replayed: Replayed = field(default_factory=Replayed)
    rebuilt: list[str] = field(default_factory=list)
    stale: dict[str, str] = field(default_factory=dict)


def restore(
    file: Path,
    keys_file: Path,
    *,
    actor: Actor,
    advance: Advance,
    without_ledger: bool = False,
) -> Restored:
    """Replace the database by the backup. Invalid, and nothing is touched, when it cannot be.

    `without_ledger` accepts that the erasure ledger is lost.
    """
    backup, keys = verify(file, keys_file, without_ledger=without_ledger)
    close_gate()
    backups.load(backup, keys, advance, before_commit=_tell_witness)
    done = resume(actor=actor, advance=advance, backup=backup.manifest.id)
    done.rows = sum(table.rows for table in (*backup.manifest.tables, *keys.manifest.tables))
    return done


def verify(file: Path, keys_file: Path, *, without_ledger: bool) -> tuple[Backup, Backup]:
    """Both files, verified and fit for this installation; Invalid says what is missing."""
    signer = signing_key().public_key
    backup, keys = open_backup(file, "backup", signer), open_backup(keys_file, "backup_keys", signer)
    missing = sorted(
        {*masters_missing(backup.manifest, _masters()), *masters_missing(keys.manifest, _masters())}
    )
    if missing:
        raise Invalid(
            detail=f"MASTER_KEYS lacks {', '.join(missing)}: add it behind the current one, as it was."
        )
    if keys.manifest.made_at < backup.manifest.made_at and keys.manifest.id != backup.manifest.id:
        raise Invalid(detail=f"{keys_file} is older than {file}: take the newest keys there are.")
    if backup.manifest.migrations != backups.applied_migrations():
        raise Invalid(detail=f"{file} was made by another release. Restore it with that one; then migrate.")
    if not without_ledger and not continues(settings.ERASURE_LEDGER, keys.manifest.ledger):
        raise Invalid(
            detail=f"The erasure ledger {settings.ERASURE_LEDGER} is not there, or has less in it than when the keys "
            "were backed up: people who were erased could come back. Bring it, or accept that with --without-ledger."
        )
    return backup, keys


def resume(*, actor: Actor, advance: Advance, backup: UUID | None = None) -> Restored:
    """Do what is left after the load, or after an interruption. With nothing to do, only opens the gate."""
    done = Restored(backup=backup)
    if read_gate().state != GateState.REPLAYING:
        move_gate(GateState.OPEN)
        return done
    done.loaded = True
    keyring.forget()
    ensure_partitions()
    done.replayed = replay_ledger()
    for tenant_id in done.replayed.removed:
        shut_out(tenant_id, actor)
    _carry_out(done.replayed.opened, advance)
    _forget_windows()
    _record(actor, backup)
    move_gate(GateState.OPEN)
    _rebuild_mirrors(done, advance)
    for tenant_id in done.replayed.removed:
        remove_tenant(
            TenantRemoval.objects.using("ops").get(tenant_id=tenant_id), actor=actor, advance=advance
        )
    return done


def _masters() -> dict[str, str]:
    return keyring.master_keys().fingerprints()


def _carry_out(opened: int, advance: Advance) -> None:
    """Carry out the reopened erasures as far as possible before anybody is served."""
    deadline = monotonic() + PATIENCE
    done = 0
    while done < opened and monotonic() < deadline and (looked_at := follow_cases(seconds=30)):
        done += looked_at
        advance("erasures carried out again", min(done, opened), opened)


def _forget_windows() -> None:
    """Best effort: each restored session has an epoch of which no window is."""
    store = window_store()
    if store is None:
        return
    try:
        for key in list(store.keys()):
            store.forget(key)
    except StoreUnavailable:
        return


def _tell_witness() -> None:
    """Tell the witness where each trail continues, while everything is locked: the next event is of another tree."""
    last = AuditCheckpoint.objects.using("owner").order_by("tenant_id", "-tree_size").distinct("tenant_id")
    for row in last:
        witness_of(row.tenant_id).note_restore(row.tree_size, bytes(row.root_hash), signing_key(), ids.now())


def _record(actor: Actor, backup: UUID | None) -> None:
    for tenant in Tenant.objects.using("ops").order_by("id"):
        with tenant_scope(tenant.id):
            audit.record(
                tenant_id=tenant.id,
                actor=actor,
                action="backup.restored",
                object_type="backup",
                object_id=backup,
            )


def _rebuild_mirrors(done: Restored, advance: Advance) -> None:
    for name, rebuild in _rebuilders(advance).items():
        try:
            rebuild()
        except (StoreUnavailable, RebuildFailed) as error:
            done.stale[name] = str(error)
        else:
            done.rebuilt.append(name)


def _rebuilders(advance: Advance) -> dict[str, Callable[[], object]]:
    """How to rebuild each mirror that is switched on."""
    found: dict[str, Callable[[], object]] = {}
    if (search := search_store()) is not None:
        found["elasticsearch"] = lambda: rebuild_search(search, advance)
    profile = read_message_profiles().served
    if vector_store(profile) is not None:
        found["milvus"] = lambda: rebuild_vectors(profile, advance)
    return found
