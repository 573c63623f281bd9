"""Adapters that limit allauth to signing people in: accounts are created in the back office."""

from contextlib import nullcontext
from datetime import timedelta
from typing import Any

from allauth.account import app_settings
from allauth.account.adapter import DefaultAccountAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount, SocialLogin
from django.http import HttpRequest

from conversations.models import Staff
from conversations.staff import people, session_limits


class StaffAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def is_reauthentication_required(self, **about: Any) -> bool:
        """Somebody who has just signed in is not asked for the same password again."""
        span = timedelta(seconds=app_settings.REAUTHENTICATION_TIMEOUT)
        return super().is_reauthentication_required(**about) and not session_limits.is_fresh(
            self.request, span
        )


class StaffSocialLogin(SocialLogin):
    """A sign-in by single sign-on, whose person is looked up across row-level security."""

    @property
    def is_existing(self) -> bool:
        return bool(self.user and people.by_id(self.user.pk))

    def _lookup_by_socialaccount(self) -> bool:
        known = SocialAccount.objects.filter(provider=self.account.provider, uid=self.account.uid)
        person_id = known.values_list("user_id", flat=True).first()
        with people.acting_as(person_id) if person_id else nullcontext():
            return super()._lookup_by_socialaccount()


class StaffSocialAdapter(DefaultSocialAccountAdapter):
    """Single sign-on is only for people who have connected their account."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return False

    def new_user(self, request: HttpRequest, sociallogin: SocialLogin) -> Staff:
        sociallogin.__class__ = StaffSocialLogin  # the first hook that gets it, before anybody is looked up
        return super().new_user(request, sociallogin)
