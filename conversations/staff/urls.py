"""What allauth answers here, under its own names. Lost passwords are reset by colleagues, not by e-mail."""

from allauth.account import views as account
from allauth.mfa import urls as second_factors
from allauth.socialaccount import urls as connections
from allauth.urls import build_provider_urlpatterns
from django.urls import include, path
from django.views.generic import TemplateView

_by_a_colleague = TemplateView.as_view(template_name="account/by_a_colleague.html")

urlpatterns = [
    path("login/", account.login, name="account_login"),
    path("logout/", account.logout, name="account_logout"),
    path("inactive/", account.account_inactive, name="account_inactive"),
    path("reauthenticate/", account.reauthenticate, name="account_reauthenticate"),
    path("password/change/", account.password_change, name="account_change_password"),
    path("signup/", _by_a_colleague, name="account_signup"),
    path("email/", _by_a_colleague, name="account_email"),
    path("password/set/", _by_a_colleague, name="account_set_password"),
    path("password/reset/", _by_a_colleague, name="account_reset_password"),
    path("2fa/", include(second_factors)),
    path("3rdparty/", include(connections)),
    *build_provider_urlpatterns(),
]
