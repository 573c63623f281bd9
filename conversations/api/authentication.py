"""`Authorization: Bearer <key>` and nothing else; the key decides the tenant."""

from typing import Any, cast

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from conversations.api.operations import operation_of
from conversations.api.throttling import throttle_failure
from conversations.enums import Scope
from conversations.exceptions import Forbidden, Unauthenticated
from conversations.principals import Principal
from conversations.services.accounts import api_keys

_LONGEST_KEY = 200


def authenticate(request: HttpRequest) -> Principal:
    """The principal of the request's key; Unauthenticated without a valid one, Throttled after too many failures."""
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    try:
        if scheme.lower() != "bearer" or not 0 < len(token) <= _LONGEST_KEY or not token.isascii():
            raise Unauthenticated
        principal = api_keys.authenticate(token)
    except Unauthenticated:
        throttle_failure(request.META.get("REMOTE_ADDR", ""))
        raise
    request.principal = principal  # type: ignore[attr-defined]  # for the record of a denied call
    return principal


def require(principal: Principal, scope: Scope) -> None:
    """Forbidden unless the key has this scope."""
    if not principal.may(scope):
        raise Forbidden(f"This key lacks the scope `{scope.value}`.")


class ApiKeyAuthentication(BaseAuthentication):
    """`request.user` and `request.auth` become the Principal."""

    def authenticate(self, request: Request) -> tuple[Principal, Principal]:
        principal = authenticate(request._request)
        return principal, principal

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class HasScope(BasePermission):
    """Deny by default: nobody may call a method without a declared scope."""

    def has_permission(self, request: Request, view: Any) -> bool:
        method = str(request.method).lower()
        handler = getattr(view, method, None) if method in view.http_method_names else None
        if handler is not None:  # without one: 405, right after this
            require(cast(Principal, request.auth), operation_of(handler).scope)
        return True
