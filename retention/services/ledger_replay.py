"""After a restore, erases everybody in the erasure ledger again before anything is served."""

from dataclasses import dataclass, field
from uuid import UUID

from django.conf import settings

from conversations import keyring
from conversations.installation import signing_key
from conversations.models import Customer, Tenant
from conversations.ports import Target
from conversations.principals import SYSTEM
from conversations.services.holdings import messages_of, sessions_of
from conversations.tenancy import tenant_scope
from retention import ledger
from retention.ledger import Entry
from retention.models import ErasureCase, TenantRemoval
from retention.services import tenant_removal
from retention.services.erasures import cases
from retention.services.holdings import archive_of

REASON = "Replayed from the erasure ledger after a restore."


@dataclass
class Replayed:
    """What became of the ledger's cases."""

    opened: int = 0  # came back with the backup, and are erased again
    known: int = 0  # the restored database has the case, which continues by itself
    absent: int = 0  # nothing of them came back
    removed: list[UUID] = field(default_factory=list)  # tenants that came back, and are removed again


def replay_ledger() -> Replayed:
    """Open every case of the ledger that the database does not know; LedgerBroken before anything is changed.

    Each is one transaction: hidden and unreadable when this returns. Beat then carries them out, or
    `erasures.execution.follow_cases`.
    """
    replayed = Replayed()
    keyring.forget()
    tenants = set(Tenant.objects.using("ops").values_list("id", flat=True))
    for line in list(ledger.read(settings.ERASURE_LEDGER, signing_key().public_key)):
        if line.entry.tenant not in tenants:
            replayed.absent += 1
            continue
        with tenant_scope(line.entry.tenant):
            _replay(line.entry, replayed)
    return replayed


def _replay(entry: Entry, replayed: Replayed) -> None:
    target = Target(entry.customer_id, entry.session_id, tuple(entry.message_ids))
    if target == Target():
        _replay_removal(entry, replayed)
    elif ErasureCase.objects.for_tenant(entry.tenant).filter(id=entry.case).exists():
        replayed.known += 1
    elif not _is_there(entry, target):
        replayed.absent += 1
    else:
        cases.open_case(
            tenant_id=entry.tenant,
            target=target,
            reason=REASON,
            basis=entry.basis,
            actor=SYSTEM,
            word="erased",
            case_id=entry.case,
        )
        replayed.opened += 1


def _replay_removal(entry: Entry, replayed: Replayed) -> None:
    """Agree to the removal again; `remove_tenant` does the rest, as for any unfinished one."""
    removal = TenantRemoval.objects.for_tenant(entry.tenant).first()
    if removal is None or removal.case_id is None:
        tenant_removal.reopen_removal(
            tenant_id=entry.tenant, case_id=entry.case, reason=REASON, basis=entry.basis, actor=SYSTEM
        )
    elif Tenant.objects.get(id=entry.tenant).removed_at is not None:
        replayed.known += 1
        return
    replayed.removed.append(entry.tenant)


def _is_there(entry: Entry, target: Target) -> bool:
    """Whether anything came back. Locks the customer, so that nobody writes to them meanwhile."""
    if entry.customer_id is not None:
        customers = Customer.objects.for_tenant(entry.tenant).filter(id=entry.customer_id)
        return customers.select_for_update().first() is not None
    return any(select(entry.tenant, target).exists() for select in (sessions_of, messages_of, archive_of))
