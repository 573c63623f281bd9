"""Customers: created when first mentioned, found by their external id."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from conversations import ids, keyring
from conversations.enums import KeyOwner
from conversations.exceptions import Expired, Held, Invalid, NotFound
from conversations.inputs import LONGEST_SHORT_TEXT, check_metadata
from conversations.models import Customer
from conversations.pii import normalise_identifier
from conversations.ports import Target, lifecycle
from conversations.principals import Actor
from conversations.querysets import TenantQuerySet
from conversations.services.late_arrivals import explain_missing_customer, late_customers, refuse_late
from conversations.services.messages.contents import keyed_identifier
from conversations.statements import insert_rows
from conversations.tenancy import tenant_scope

# Summaries are kept for a calendar day at least; a day has 23 hours once a year.
SHORTEST_PERIOD = timedelta(hours=22)
A_DAY = timedelta(days=1)  # for zones


def find_customer(tenant_id: UUID, external_id: str) -> Customer | None:
    return Customer.objects.for_tenant(tenant_id).filter(external_id=external_id).first()


def lock_customer(tenant_id: UUID, external_id: str) -> Customer | None:
    """As `find_customer`, locked: nobody can erase them until the transaction ends."""
    customers = Customer.objects.for_tenant(tenant_id).filter(external_id=external_id)
    return customers.select_for_update(no_key=True).first()


def get_customer(tenant_id: UUID, external_id: str) -> Customer:
    """The customer of that external id; NotFound for an unknown one, Erased for an erased one."""
    customer = find_customer(tenant_id, external_id)
    if customer is None:
        explain_missing_customer(tenant_id=tenant_id, external_id=external_id)
        raise NotFound("There is no customer with this id here.")
    return customer


def known_customer(tenant_id: UUID, external_id: str) -> Customer:
    """As `get_customer`; Expired when their last interaction is longer ago than the summaries period."""
    customer = get_customer(tenant_id, external_id)
    if is_forgotten(customer):
        raise Expired
    return customer


def refuse_held(customer: Customer) -> None:
    """Held when a legal hold covers the customer: what has no earlier version stays as it is."""
    if lifecycle().held_customers(customer.tenant_id, [customer.id]):
        raise Held("A legal hold covers this customer: this cannot be changed.")


def is_forgotten(customer: Customer) -> bool:
    """Whether the summaries period is over, after which nothing about them is shown. Runs inside a tenant scope."""
    last_word = max(customer.created_at, customer.last_interaction_at or customer.created_at)
    kept = timedelta(days=lifecycle().expiry(customer.tenant_id).summary_days) - A_DAY
    if ids.now() - last_word < max(kept, SHORTEST_PERIOD):
        return False
    return bool(lifecycle().summaries_over(customer.tenant_id, [customer.id]))


def list_customers(tenant_id: UUID) -> TenantQuerySet[Customer]:
    """The customers that were not erased. Runs inside a tenant scope."""
    return Customer.objects.for_tenant(tenant_id).filter(external_id__isnull=False)


def put_customer(
    *, tenant_id: UUID, external_id: str, metadata: Mapping[str, Any], language: str | None
) -> tuple[Customer, bool]:
    """The customer with these fields and no others; the flag says whether they are new.

    Held when that would change a customer under a legal hold.
    """
    check_metadata(metadata)
    with tenant_scope(tenant_id):
        known = lock_customer(tenant_id, external_id)
        fields = {"metadata": dict(metadata), "language": language}
        if known is not None and any(getattr(known, name) != value for name, value in fields.items()):
            refuse_held(known)
        return ensure_customer(tenant_id, external_id, fields=fields), known is None


def erase_customer(*, tenant_id: UUID, external_id: str, actor: Actor) -> Mapping[str, Any]:
    """Hide the customer everywhere at once and open the erasure case that ends them."""
    with tenant_scope(tenant_id):
        customer = lock_customer(tenant_id, external_id) or get_customer(tenant_id, external_id)
        return lifecycle().open_erasure(
            tenant_id=tenant_id,
            target=Target(customer_id=customer.id),
            actor=actor,
            reason="Deleted through the API.",
            basis="",
        )


def ensure_customers(
    tenant_id: UUID, made_at: Mapping[str, datetime | None]
) -> tuple[dict[str, Customer], set[str]]:
    """As `ensure_customer` for many of an import, with the time each was first spoken of; and those that were erased.

    The new ones are as old as that time. Runs inside a tenant scope; all are locked, in one order.
    """
    if not made_at:
        return {}, set()
    rows = (
        Customer.objects.for_tenant(tenant_id).filter(external_id__in=list(made_at)).order_by("external_id")
    )
    found = {row.external_id or "": row for row in rows.select_for_update(no_key=True)}
    missing = {name: at for name, at in made_at.items() if name not in found}
    erased = late_customers(tenant_id, missing)
    now = ids.now()
    new = [
        Customer(
            id=ids.new_id(at or now),
            created_at=at or now,
            tenant_id=tenant_id,
            external_id=name,
            identifiers=_identifiers(tenant_id, name),
        )
        for name, at in sorted(missing.items())
        if name not in erased
    ]
    insert_rows(new, on_conflict="ON CONFLICT DO NOTHING")
    if new:
        names = [row.external_id for row in new]
        made = Customer.objects.for_tenant(tenant_id).filter(external_id__in=names).order_by("external_id")
        found |= {row.external_id or "": row for row in made.select_for_update(no_key=True)}
        keyring.sealing_keys(tenant_id, [(KeyOwner.CUSTOMER, row.id) for row in found.values()])
    return found, erased


def ensure_customer(
    tenant_id: UUID,
    external_id: str,
    *,
    made_at: datetime | None = None,
    fields: Mapping[str, Any] | None = None,
) -> Customer:
    """The customer, made with a key of their own when new. Runs inside a tenant scope.

    `made_at` is the time of an import: what is older than an erasure of this external id is refused (Erased).
    The row stays locked, so that no erasure comes between finding the customer and writing something of theirs.
    """
    customer = lock_customer(tenant_id, external_id)
    # Even if a new customer has this id: whatever is older than the erasure belongs to the erased one.
    refuse_late(tenant_id=tenant_id, kind="customer", external_id=external_id, made_at=made_at)
    if customer is None:
        if len(external_id) > LONGEST_SHORT_TEXT:  # from a path; bodies are refused before
            raise Invalid.field("customer_id", f"At most {LONGEST_SHORT_TEXT} characters.", code="too_large")
        now = ids.now()
        with transaction.atomic():
            customer, created = Customer.objects.get_or_create(
                tenant_id=tenant_id,
                external_id=external_id,
                defaults={
                    "id": ids.new_id(now),
                    "created_at": now,
                    "identifiers": _identifiers(tenant_id, external_id),
                    **(fields or {}),
                },
            )
        if created:
            keyring.sealing_key(tenant_id, KeyOwner.CUSTOMER, customer.id)
            return customer
    if fields:
        for name, value in fields.items():
            setattr(customer, name, value)
        customer.save(update_fields=[*fields, "updated_at"])
    return customer


def _identifiers(tenant_id: UUID, external_id: str) -> list[bytes]:
    """An external id may itself be a number or an address by which the person is found."""
    return [
        keyed_identifier(tenant_id, kind, value)
        for kind, value in normalise_identifier(None, external_id, region=settings.PII_REGION)
    ]
