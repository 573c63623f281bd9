"""People of the back office, found before any tenant is in scope."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import connection, transaction

from conversations.models import Staff
from conversations.principals import Actor, ActorKind


def by_username(username: str) -> Staff | None:
    """The person of exactly that name, in any tenant."""
    return _one("SELECT * FROM staff_by_username(%s)", username)


def by_id(staff_id: UUID) -> Staff | None:
    return _one("SELECT * FROM staff_by_id(%s)", staff_id)


@contextmanager
def acting_as(staff_id: UUID) -> Iterator[None]:
    """A transaction in which this person sees their own row, whatever tenant is in scope."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('app.staff', %s, true)", [str(staff_id)])
        yield


def actor_of(person: Staff) -> Actor:
    """The actor that the audit trail records."""
    return Actor(ActorKind.STAFF, person.username)


def _one(look_up: str, wanted: str | UUID) -> Staff | None:
    return next(iter(Staff.objects.raw(look_up, [wanted])), None)
