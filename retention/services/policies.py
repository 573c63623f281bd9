"""A tenant's retention policy: what is in force, and how it is changed.

In force is the newest version whose time has come: nothing has to run for a version to take effect.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Max

from conversations import ids
from conversations.exceptions import Conflict, Invalid, NotFound
from conversations.models import Tenant
from conversations.ports import Expiry
from conversations.principals import Actor
from conversations.services import audit
from conversations.tenancy import tenant_scope
from conversations.timed_cache import TimedCache
from retention.enums import ArchiveMode, PolicyState
from retention.models import RetentionPolicy
from retention.periods import Period
from retention.policies import DEFAULT_POLICY, Policy, check_policy, shortens
from retention.services import locks
from retention.two_persons import person, require_another

LIFETIME = 2.0  # seconds a process may cache an expiry


@dataclass(frozen=True)
class PolicyVersion:
    """A version and where it stands. Version 0 is the default, in force since the tenant was made."""

    policy: Policy
    state: PolicyState
    id: UUID
    created_at: datetime
    takes_effect_at: datetime | None
    proposed_by: str | None = None
    approved_by: str | None = None


def policy_in_force(tenant_id: UUID, at: datetime) -> Policy:
    """The policy that holds at that moment. Runs inside a tenant scope."""
    row = _row_in_force(tenant_id, at)
    return DEFAULT_POLICY if row is None else to_policy(row)


def policy_of_version(tenant_id: UUID, version: int) -> Policy:
    """An older decision, for comparison; the default where there was none."""
    row = RetentionPolicy.objects.for_tenant(tenant_id).filter(version=version).first()
    return DEFAULT_POLICY if row is None else to_policy(row)


def every_policy() -> list[Policy]:
    """Every version of every tenant and the default: for bounds that hold whatever is in force."""
    return [DEFAULT_POLICY, *map(to_policy, RetentionPolicy.objects.using("ops").all())]


def read_policies(tenant_id: UUID) -> tuple[PolicyVersion, PolicyVersion | None]:
    """What is in force, and what is proposed or cooling, if anything."""
    now = ids.now()
    with tenant_scope(tenant_id):
        current, pending = _rows_in_force_and_pending(tenant_id, now)
        shown = _default_version(tenant_id) if current is None else _version(current, PolicyState.IN_FORCE)
        return shown, None if pending is None else _version(pending, state_of(pending, now))


def put_policy(*, tenant_id: UUID, policy: Policy, actor: Actor) -> PolicyVersion:
    """A new version, in force at once unless something gets shorter: then proposed, for another person to approve.

    It takes the place of a version that was proposed or cooling. Invalid names every way in which the policy
    contradicts itself.
    """
    if problems := check_policy(policy):
        raise Invalid(problems)
    with tenant_scope(tenant_id):
        locks.exclude_purges(tenant_id)
        now = ids.now()
        needs_approval = shortens(policy_in_force(tenant_id, now), policy)
        _withdraw(tenant_id, now)
        row = RetentionPolicy(
            id=ids.new_id(now),
            created_at=now,
            tenant_id=tenant_id,
            version=_next_version(tenant_id),
            messages=str(policy.messages),
            summaries=str(policy.summaries),
            archive=str(policy.archive),
            archive_mode=policy.archive_mode,
            legal_minimum=str(policy.legal_minimum),
            legal_basis=policy.legal_basis.strip(),
            zone=policy.zone,
            proposed_by=person(actor),
            takes_effect_at=None if needs_approval else now,
        )
        row.save(force_insert=True)
        _record(row, actor, "policy.proposed" if needs_approval else "policy.changed")
        transaction.on_commit(partial(expiries.forget, tenant_id))
        return _version(row, state_of(row, now))


def approve_policy(*, tenant_id: UUID, version: int, actor: Actor) -> PolicyVersion:
    """Let a proposed version cool and then take effect by itself.

    SamePerson for whoever proposed it, Conflict when it does not wait for approval, NotFound for no such version.
    """
    with tenant_scope(tenant_id):
        locks.exclude_purges(tenant_id)
        now = ids.now()
        row = RetentionPolicy.objects.for_tenant(tenant_id).filter(version=version).first()
        if row is None:
            raise NotFound
        if (state := state_of(row, now)) is not PolicyState.PROPOSED:
            raise Conflict(f"Version {version} does not wait for approval: it is {state.label.lower()}.")
        row.approved_by = require_another(actor, row.proposed_by)
        row.approved_at, row.takes_effect_at = now, now + settings.POLICY_COOLING
        row.save(update_fields=["approved_by", "approved_at", "takes_effect_at"])
        _record(row, actor, "policy.approved")
        transaction.on_commit(partial(expiries.forget, tenant_id))
        return _version(row, PolicyState.COOLING)


def state_of(row: RetentionPolicy, at: datetime) -> PolicyState:
    """Where a version stands; one that was in force and no longer is counts as superseded."""
    if row.withdrawn_at is not None:
        return PolicyState.WITHDRAWN
    if row.takes_effect_at is None:
        return PolicyState.PROPOSED
    if row.takes_effect_at > at:
        return PolicyState.COOLING
    current = _row_in_force(row.tenant_id, at)
    return PolicyState.IN_FORCE if current == row else PolicyState.SUPERSEDED


def to_policy(row: RetentionPolicy) -> Policy:
    return Policy(
        messages=Period.parse(row.messages),
        summaries=Period.parse(row.summaries),
        archive=Period.parse(row.archive),
        archive_mode=ArchiveMode(row.archive_mode),
        legal_minimum=Period.parse(row.legal_minimum),
        legal_basis=row.legal_basis,
        zone=row.zone,
        version=row.version,
    )


class _Expiries:
    """When messages of each tenant expire, read again after `LIFETIME` or when a cooling version takes effect."""

    def __init__(self) -> None:
        self._known: TimedCache[UUID, tuple[datetime | None, Expiry]] = TimedCache()

    def get(self, tenant_id: UUID) -> Expiry:
        """Runs inside a tenant scope."""
        now = ids.now()
        known = self._known.get(tenant_id)
        if known is not None and (known[0] is None or now < known[0]):
            return known[1]
        policy, pending = _in_force_and_pending(tenant_id, now)
        period, kept = policy.messages, policy.summaries.fewest_days
        expiry = Expiry(str(period), policy.zone, period.fewest_days, period.most_days, kept)
        changes_at = pending.takes_effect_at if pending is not None else None
        self._known.put(tenant_id, (changes_at, expiry), LIFETIME)
        return expiry

    def forget(self, tenant_id: UUID) -> None:
        self._known.drop(tenant_id)


expiries = _Expiries()


def _row_in_force(tenant_id: UUID, at: datetime) -> RetentionPolicy | None:
    rows = RetentionPolicy.objects.for_tenant(tenant_id).filter(takes_effect_at__lte=at)
    return rows.filter(withdrawn_at__isnull=True).order_by("-version").first()


def _in_force_and_pending(tenant_id: UUID, at: datetime) -> tuple[Policy, RetentionPolicy | None]:
    in_force, pending = _rows_in_force_and_pending(tenant_id, at)
    return DEFAULT_POLICY if in_force is None else to_policy(in_force), pending


def _rows_in_force_and_pending(
    tenant_id: UUID, at: datetime
) -> tuple[RetentionPolicy | None, RetentionPolicy | None]:
    """Both, with one statement: of those that were not withdrawn the newest is pending or in force."""
    rows = RetentionPolicy.objects.for_tenant(tenant_id).filter(withdrawn_at__isnull=True)
    latest = list(rows.order_by("-version")[:2])
    if not latest:
        return None, None
    in_force = [row for row in latest if row.takes_effect_at is not None and row.takes_effect_at <= at]
    current = in_force[0] if in_force else _row_in_force(tenant_id, at)
    return current, None if current == latest[0] else latest[0]


def _pending(tenant_id: UUID, at: datetime) -> RetentionPolicy | None:
    newest = (
        RetentionPolicy.objects.for_tenant(tenant_id)
        .filter(withdrawn_at__isnull=True)
        .order_by("-version")
        .first()
    )
    if newest is None or (newest.takes_effect_at is not None and newest.takes_effect_at <= at):
        return None
    return newest


def _withdraw(tenant_id: UUID, now: datetime) -> None:
    pending = _pending(tenant_id, now)
    if pending is not None:
        pending.withdrawn_at = now
        pending.save(update_fields=["withdrawn_at"])


def _next_version(tenant_id: UUID) -> int:
    newest = RetentionPolicy.objects.for_tenant(tenant_id).aggregate(Max("version"))["version__max"]
    return (newest or 0) + 1


def _version(row: RetentionPolicy, state: PolicyState) -> PolicyVersion:
    return PolicyVersion(
        policy=to_policy(row),
        state=state,
        id=row.id,
        created_at=row.created_at,
        takes_effect_at=row.takes_effect_at,
        proposed_by=row.proposed_by,
        approved_by=row.approved_by,
    )


def _default_version(tenant_id: UUID) -> PolicyVersion:
    made_at = Tenant.objects.get(id=tenant_id).created_at
    return PolicyVersion(DEFAULT_POLICY, PolicyState.IN_FORCE, tenant_id, made_at, made_at)


def _record(row: RetentionPolicy, actor: Actor, action: str) -> None:
    audit.record(
        tenant_id=row.tenant_id,
        actor=actor,
        action=action,
        object_type="retention_policy",
        object_id=row.id,
        details={
            "version": row.version,
            "messages": row.messages,
            "summaries": row.summaries,
            "archive": row.archive,
            "archive_mode": str(row.archive_mode),
            "legal_minimum": row.legal_minimum,
            "timezone": row.zone,
        },
    )
