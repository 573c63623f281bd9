"""Audit events for signing in, and for failing to."""

from typing import Any

from allauth.mfa import signals as factors
from django.contrib.auth.models import update_last_login
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.http import HttpRequest
from django.utils import timezone

from conversations.enums import Outcome
from conversations.models import Staff
from conversations.services import audit
from conversations.staff import people, session_limits
from conversations.staff.people import acting_as, actor_of
from conversations.tenancy import tenant_scope


def connect_signals() -> None:
    """Replace Django's own receiver, which would write to a row that row-level security hides at that point."""
    user_logged_in.disconnect(update_last_login, dispatch_uid="update_last_login")
    for signal, receiver in (
        (user_logged_in, signed_in),
        (user_logged_out, signed_out),
        (user_login_failed, not_signed_in),
        (factors.authentication_failed, factor_refused),
        (factors.authenticator_added, factor_added),
        (factors.authenticator_removed, factor_removed),
        (factors.authenticator_reset, factor_renewed),
    ):
        signal.connect(receiver, dispatch_uid="back office")


def signed_in(user: Staff, request: HttpRequest, **given: Any) -> None:
    session_limits.begin(request)
    with acting_as(user.pk):
        user.last_login = timezone.now()
        user.save(update_fields=["last_login"])
    record(user, "staff.signed_in")


def signed_out(user: Staff | None, **given: Any) -> None:
    if user is not None:
        record(user, "staff.signed_out")


def not_signed_in(credentials: dict[str, Any], **given: Any) -> None:
    """Record a wrong password of an existing person. Unknown names are not recorded: they may be passwords."""
    person = people.by_username(credentials.get("username") or "")
    if person is not None:
        record(person, "staff.sign_in_failed", outcome=Outcome.DENIED)


def factor_refused(user: Staff, **given: Any) -> None:
    record(user, "staff.factor_refused", outcome=Outcome.DENIED)


def factor_added(user: Staff, authenticator: Any, **given: Any) -> None:
    record(user, "staff.factor_added", type=authenticator.type)


def factor_removed(user: Staff, authenticator: Any, **given: Any) -> None:
    record(user, "staff.factor_removed", type=authenticator.type)


def factor_renewed(user: Staff, authenticator: Any, **given: Any) -> None:
    record(user, "staff.factor_renewed", type=authenticator.type)


def record(person: Staff, action: str, *, outcome: Outcome = Outcome.OK, **details: Any) -> None:
    """An event in the trail of the person's tenant. Platform staff leave theirs when they enter one."""
    if person.tenant_id is not None:
        with tenant_scope(person.tenant_id):
            audit.record(
                tenant_id=person.tenant_id,
                actor=actor_of(person),
                action=action,
                object_type="staff",
                object_id=person.pk,
                outcome=outcome,
                details=details,
            )
