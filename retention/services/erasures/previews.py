"""Previews an erasure: counts what it would erase before anybody decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from uuid import UUID

from conversations import ids
from conversations.exceptions import Erased, NotFound
from conversations.models import Customer, Session
from conversations.ports import Target
from conversations.services.holdings import count_records
from retention.endings import NamedHold
from retention.services.erasures.cases import Request
from retention.services.policies import policy_in_force
from retention.services.transcripts import named_holds


@dataclass(frozen=True)
class ErasurePreview:
    """Records by holding, and what may defer some of them."""

    counts: Mapping[str, int]
    holds: Sequence[NamedHold]
    legal_basis: str  # of a legal minimum, empty without one
    name: str  # the customer's own id, unmasked, or the conversation's title

    @property
    def fingerprint(self) -> str:
        """Changes when anything in the preview changes."""
        seen = repr((sorted(self.counts.items()), [named.matter for named in self.holds], self.legal_basis))
        return blake2b(seen.encode(), digest_size=12).hexdigest()


def preview_erasure(tenant_id: UUID, target: Target) -> ErasurePreview:
    """Count what would be erased. Runs inside a tenant scope; NotFound or Erased when there is nothing."""
    customer_id, name = _about(tenant_id, target)
    policy = policy_in_force(tenant_id, ids.now())
    counts = count_records(tenant_id, target)
    return ErasurePreview(
        counts={name: count for name, count in counts.items() if count},
        holds=[
            named
            for named in named_holds(tenant_id)
            if named.hold.customer_id in (None, customer_id)
            and (target.session_id is None or named.hold.session_id in (None, target.session_id))
        ],
        legal_basis=policy.legal_basis if policy.legal_minimum else "",
        name=name,
    )


def request_for(tenant_id: UUID, target: Target) -> Request:
    """The target as the eraser asks for it: customers by their own ids."""
    if target.customer_id is None:
        return Request(session_id=target.session_id)
    return Request(customer_id=_external_id(tenant_id, target.customer_id))


def _about(tenant_id: UUID, target: Target) -> tuple[UUID | None, str]:
    if target.customer_id is not None:
        return target.customer_id, _external_id(tenant_id, target.customer_id)
    sessions = Session.objects.for_tenant(tenant_id)
    session = sessions.filter(id=target.session_id).first() if target.session_id is not None else None
    if session is None:
        raise NotFound
    return session.customer_id, session.title or ""


def _external_id(tenant_id: UUID, customer_id: UUID) -> str:
    customer = Customer.objects.for_tenant(tenant_id).filter(id=customer_id).first()
    if customer is None:
        raise NotFound
    if customer.external_id is None:
        raise Erased("This customer was erased.")
    return customer.external_id
