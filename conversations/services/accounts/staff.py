"""Back office accounts: created with a password that is shown once, changed with an audit event."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.auth.models import Group, Permission
from django.db import IntegrityError, transaction

from conversations.exceptions import Conflict, Invalid
from conversations.models import Staff, Tenant
from conversations.principals import SYSTEM, Actor
from conversations.services import audit
from conversations.tenancy import tenant_scope

PASSWORD_BYTES = 12


@dataclass(frozen=True)
class NewStaff:
    staff: Staff
    password: str


def create_staff(*, username: str, tenant: Tenant, group: str, actor: Actor = SYSTEM) -> NewStaff:
    """A person of one tenant in one group of that exact name. Conflict when the name is taken."""
    person = Staff(username=username.strip(), tenant_id=tenant.id, is_staff=True)
    if not person.username or len(person.username) > 150:
        raise Invalid.field("username", "A person needs a name of at most 150 characters.")
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    person.set_password(password)
    with tenant_scope(tenant.id):
        try:
            with transaction.atomic():
                person.save(force_insert=True)
        except IntegrityError as error:
            raise Conflict(f"The name {person.username!r} is taken.") from error
        person.groups.add(Group.objects.get(name=group))
        audit.record(
            tenant_id=tenant.id,
            actor=actor,
            action="staff.created",
            object_type="staff",
            object_id=person.pk,
            details={"group": group},
        )
    return NewStaff(person, password)


def update_staff(*, person: Staff, fields: Mapping[str, Any], groups: Sequence[Group], actor: Actor) -> None:
    """Change a person of the tenant in scope. One who may no longer sign in is signed out by the next request."""
    for name, value in fields.items():
        setattr(person, name, value)
    person.save(update_fields=list(fields))
    before = set(person.groups.values_list("name", flat=True))
    person.groups.set(groups)
    after = {group.name for group in groups}
    _record(
        person,
        actor,
        "staff.changed",
        {
            "fields": sorted(fields),
            "active": person.is_active,
            "joined": sorted(after - before),
            "left": sorted(before - after),
        },
    )


def renew_password(*, person: Staff, actor: Actor) -> str:
    """A new password, for the one moment it can be shown; every session of theirs ends."""
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    person.set_password(password)
    person.save(update_fields=["password"])
    _record(person, actor, "staff.password_renewed", {})
    return password


def set_rights_of_group(*, group: Group, rights: Sequence[str], tenant_id: UUID, actor: Actor) -> None:
    """Set the rights of a group, in all tenants; the audit event goes into the current tenant's trail."""
    permissions = Permission.objects.filter(
        content_type__app_label="conversations", content_type__model="staff"
    )
    wanted = permissions.filter(codename__in=rights)
    before = set(group.permissions.values_list("codename", flat=True))
    if before == set(rights):
        return
    group.permissions.set(wanted)
    audit.record(
        tenant_id=tenant_id,
        actor=actor,
        action="group.changed",
        object_type="group",
        object_id=str(group.pk),
        details={"group": group.name, "rights": sorted(rights)},
    )


def _record(person: Staff, actor: Actor, action: str, details: Mapping[str, Any]) -> None:
    assert person.tenant_id is not None
    audit.record(
        tenant_id=person.tenant_id,
        actor=actor,
        action=action,
        object_type="staff",
        object_id=person.pk,
        details=dict(details),
    )
