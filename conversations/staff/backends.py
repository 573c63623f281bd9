"""Signing in by name and password, when row-level security does not show any person yet."""

from typing import Any
from uuid import UUID

from allauth.account.auth_backends import AuthenticationBackend
from django.http import HttpRequest

from conversations.models import Staff
from conversations.staff import people


class StaffBackend(AuthenticationBackend):
    """allauth's own, with look-ups that cross row-level security one row at a time."""

    def _authenticate(self, request: HttpRequest | None, **credentials: Any) -> Staff | None:
        person = people.by_username(credentials.get("username") or "")
        if person is None:
            return None
        with people.acting_as(person.pk):  # an old hash may be renewed
            return self._check_password(person, credentials["password"])

    def get_user(self, user_id: UUID) -> Staff | None:
        person = people.by_id(user_id)
        return person if person is not None and self.user_can_authenticate(person) else None
