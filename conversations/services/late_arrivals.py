"""Late arrivals: what was erased cannot come back by a retry, an import or a replay."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from conversations import keyring
from conversations.exceptions import Erased
from conversations.models import Tombstone


def external_digest(tenant_id: UUID, kind: str, external_id: str, within: UUID | None = None) -> bytes:
    """The keyed hash under which an erased external id is remembered; a message's counts within its session."""
    return keyring.keyed_hash(tenant_id, f"external:{kind}:{within or ''}", external_id)


def refuse_late(*, tenant_id: UUID, kind: str, external_id: str | None, made_at: datetime | None) -> None:
    """Erased when something of this external id was erased after `made_at`; a new beginning (None) is welcome."""
    if external_id is None or made_at is None:
        return
    digest = external_digest(tenant_id, kind, external_id)
    tombstone = (
        Tombstone.objects.for_tenant(tenant_id)
        .filter(digest=digest, kind=kind, created_at__gt=made_at)
        .first()
    )
    if tombstone is not None:
        raise _erased("This was erased; what is older than the erasure cannot come back.", tombstone)


def late_customers(tenant_id: UUID, made_at: Mapping[str, datetime | None]) -> set[str]:
    """Those of the external ids whose customer was erased after the time that is given for them."""
    digests = {
        external_digest(tenant_id, "customer", name): name for name, at in made_at.items() if at is not None
    }
    tombstones = Tombstone.objects.for_tenant(tenant_id).filter(digest__in=list(digests), kind="customer")
    late = set()
    for digest, erased_at in tombstones.values_list("digest", "created_at"):
        name = digests[bytes(digest or b"")]
        at = made_at[name]
        if at is not None and erased_at > at:
            late.add(name)
    return late


def explain_absence(*, tenant_id: UUID, object_id: UUID) -> None:
    """Erased or Expired when the system still knows why this id is gone; returns otherwise."""
    tombstone = (
        Tombstone.objects.for_tenant(tenant_id).filter(object_id=object_id).order_by("-row_version").first()
    )
    if tombstone is not None:
        raise _erased("It was deleted or erased.", tombstone)


def explain_missing_customer(*, tenant_id: UUID, external_id: str) -> None:
    """Erased when the system still knows that somebody of this external id was; returns otherwise."""
    digest = external_digest(tenant_id, "customer", external_id)
    tombstones = Tombstone.objects.for_tenant(tenant_id).filter(digest=digest, kind="customer")
    if (tombstone := tombstones.order_by("-row_version").first()) is not None:
        raise _erased("This customer was erased.", tombstone)


def _erased(detail: str, tombstone: Tombstone) -> Erased:
    return Erased(detail, case_id=None if tombstone.case_id is None else str(tombstone.case_id))
