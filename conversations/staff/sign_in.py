"""What signing in leaves behind."""

from typing import Any

from django.contrib.auth.models import update_last_login
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.utils import timezone

from conversations.models import Staff
from conversations.services import audit
from conversations.staff.people import acting_as, actor_of
from conversations.tenancy import tenant_scope


def connect_signals() -> None:
    """Django's own receiver would write a row that nobody is shown yet."""
    user_logged_in.disconnect(update_last_login, dispatch_uid="update_last_login")
    user_logged_in.connect(signed_in, dispatch_uid="back office")
    user_logged_out.connect(signed_out, dispatch_uid="back office")


def signed_in(user: Staff, **given: Any) -> None:
    with acting_as(user.pk):
        user.last_login = timezone.now()
        user.save(update_fields=["last_login"])
    record(user, "staff.signed_in")


def signed_out(user: Staff | None, **given: Any) -> None:
    if user is not None:
        record(user, "staff.signed_out")


def record(person: Staff, action: str) -> None:
    """An event in the trail of the person's tenant. Platform staff leave theirs when they enter one."""
    if person.tenant_id is not None:
        with tenant_scope(person.tenant_id):
            audit.record(
                tenant_id=person.tenant_id,
                actor=actor_of(person),
                action=action,
                object_type="staff",
                object_id=person.pk,
            )
