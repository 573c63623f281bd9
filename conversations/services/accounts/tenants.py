"""Tenants: created and found as `ops`, because no tenant is in scope yet."""

import unicodedata
from uuid import UUID

from conversations import ids, keyring
from conversations.enums import KeyOwner
from conversations.exceptions import Conflict, Invalid, NotFound
from conversations.models import Tenant
from conversations.principals import SYSTEM, Actor
from conversations.services import audit
from conversations.tenancy import tenant_scope


def create_tenant(*, name: str, actor: Actor = SYSTEM) -> Tenant:
    """A new tenant with its keys; Conflict when the name is taken."""
    name = name.strip()
    if not name or len(name) > 200:
        raise Invalid.field("name", "A tenant needs a name of at most 200 characters.")
    if any(unicodedata.category(character) == "Cc" for character in name):
        raise Invalid.field("name", "A tenant's name is one line, without control characters.")
    now = ids.now()
    tenant, created = Tenant.objects.using("ops").get_or_create(
        name=name, defaults={"id": ids.new_id(now), "created_at": now}
    )
    if not created:
        if tenant.removed_at is not None:
            raise Conflict(
                f"A tenant named {name!r} was removed, and its audit trail keeps the name: take another."
            )
        raise Conflict(f"A tenant named {name!r} exists.")
    with tenant_scope(tenant.id):
        for owner in (KeyOwner.TENANT, KeyOwner.INDEX):
            keyring.sealing_key(tenant.id, owner, tenant.id)
        audit.record(
            tenant_id=tenant.id,
            actor=actor,
            action="tenant.created",
            object_type="tenant",
            object_id=tenant.id,
        )
    return tenant


def get_tenant(name_or_id: str) -> Tenant:
    """The tenant of that name, or of that id; NotFound with the names there are."""
    tenants = Tenant.objects.using("ops").filter(removed_at__isnull=True)
    tenant = tenants.filter(name=name_or_id).first()
    if tenant is None and (identifier := _as_uuid(name_or_id)) is not None:
        tenant = tenants.filter(id=identifier).first()
    if tenant is None:
        names = ", ".join(tenants.order_by("name").values_list("name", flat=True)[:20]) or "none yet"
        raise NotFound(f"There is no tenant {name_or_id!r}. Tenants: {names}.")
    return tenant


def all_tenants() -> list[Tenant]:
    return list(Tenant.objects.using("ops").filter(removed_at__isnull=True).order_by("id"))


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
