"""Every error as `application/problem+json` (RFC 9457), and the one table of status codes.

Nothing a client sends may cause a 5xx other than 503: an exception that is neither ours nor known here is a bug,
logged with its traceback and answered with a bare 500.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec
import psycopg
import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
)
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.views import defaults
from rest_framework import exceptions as drf

from conversations import exceptions as ours
from conversations.api.routes import is_page, route_template
from conversations.correlation import current_request_id
from conversations.enums import Outcome
from conversations.exceptions import FieldError, RemembrancerError
from conversations.principals import Principal
from conversations.services import audit
from conversations.tenancy import tenant_scope

log = structlog.get_logger(__name__)

CONTENT_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of failure is reported to a client."""

    status: HTTPStatus
    code: str
    title: str


KINDS: Mapping[type[RemembrancerError], Kind] = {
    ours.MalformedJSON: Kind(HTTPStatus.BAD_REQUEST, "malformed_json", "Malformed JSON"),
    ours.Invalid: Kind(HTTPStatus.BAD_REQUEST, "invalid", "Invalid request"),
    ours.Unauthenticated: Kind(HTTPStatus.UNAUTHORIZED, "unauthenticated", "Not authenticated"),
    ours.Forbidden: Kind(HTTPStatus.FORBIDDEN, "forbidden", "Forbidden"),
    ours.NotFound: Kind(HTTPStatus.NOT_FOUND, "not_found", "Not found"),
    ours.MethodNotAllowed: Kind(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed"),
    ours.Conflict: Kind(HTTPStatus.CONFLICT, "conflict", "Conflict"),
    ours.Held: Kind(HTTPStatus.CONFLICT, "held", "Under a legal hold"),
    ours.SamePerson: Kind(HTTPStatus.CONFLICT, "same_person", "A second person is needed"),
    ours.IdempotencyInFlight: Kind(HTTPStatus.CONFLICT, "idempotency_in_flight", "Still being worked on"),
    ours.Erased: Kind(HTTPStatus.GONE, "erased", "Erased"),
    ours.KeyDestroyed: Kind(HTTPStatus.GONE, "erased", "Erased"),
    ours.Expired: Kind(HTTPStatus.GONE, "expired", "Expired"),
    ours.PreconditionFailed: Kind(
        HTTPStatus.PRECONDITION_FAILED, "precondition_failed", "Precondition failed"
    ),
    ours.TooLarge: Kind(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", "Body too large"),
    ours.UnsupportedMediaType: Kind(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Unsupported media type"
    ),
    ours.IdempotencyKeyReused: Kind(
        HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency_key_reused", "Idempotency-Key used before"
    ),
    ours.Throttled: Kind(HTTPStatus.TOO_MANY_REQUESTS, "throttled", "Too many requests"),
    ours.Unavailable: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "Unavailable"),
    ours.RemembrancerError: Kind(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "Internal error"),
}


class Problem(msgspec.Struct):
    """The body of every error."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[FieldError]
    request_id: str
    case_id: str | msgspec.UnsetType = msgspec.UNSET


def kind_of(failure: RemembrancerError) -> Kind:
    """The nearest entry of the table, from the failure's own class upwards."""
    return next(KINDS[base] for base in type(failure).__mro__ if base in KINDS)


def translate(exception: BaseException) -> RemembrancerError:
    """Our own exception for whatever was raised; the root of the tree for a bug."""
    match exception:
        case RemembrancerError():
            return exception
        case drf.APIException():
            return _translate_drf(exception)
        case Http404():
            return ours.NotFound()
        case PermissionDenied():
            return ours.Forbidden()
        case RequestDataTooBig():
            return ours.TooLarge()
        case UnreadablePostError():
            return ours.MalformedJSON("The body ended too early.")
        case SuspiciousOperation():
            return ours.Invalid(detail="The request is not acceptable.")
        case _:
            return _translate_database(exception)


def _translate_drf(exception: drf.APIException) -> RemembrancerError:
    match exception:
        case drf.NotFound():
            return ours.NotFound()
        case drf.MethodNotAllowed():
            return ours.MethodNotAllowed()
        case drf.NotAuthenticated() | drf.AuthenticationFailed():
            return ours.Unauthenticated()
        case drf.PermissionDenied():
            return ours.Forbidden()
        case drf.ParseError():
            return ours.MalformedJSON()
        case drf.UnsupportedMediaType():
            return ours.UnsupportedMediaType()
        case drf.Throttled():
            return ours.Throttled(int(getattr(exception, "wait", None) or 1))
        case drf.ValidationError() | drf.NotAcceptable():
            return ours.Invalid()
        case _:
            return RemembrancerError()


def _translate_database(exception: BaseException) -> RemembrancerError:
    """503 for a database that is down, full, locked or failing over; values that it refuses are not a 5xx."""
    match exception:
        case _ if isinstance(exception.__cause__ or exception, psycopg.errors.DiskFull):
            log.error("database.full", error=_name(exception))
            return ours.Unavailable(detail="The database has no room left; nothing was stored.")
        case OperationalError() | InterfaceError() | psycopg.OperationalError() | psycopg.InterfaceError():
            log.warning("database.unavailable", error=_name(exception))
            return ours.Unavailable(detail="The database does not answer; nothing was stored.")
        case InternalError() if isinstance(exception.__cause__, psycopg.errors.ReadOnlySqlTransaction):
            log.warning("database.read_only", error=_name(exception))
            return ours.Unavailable(detail="The database is failing over; nothing was stored.")
        case DataError():
            log.error("database.refused_data", error=_name(exception))
            return ours.Invalid(detail="A value cannot be stored.")
        case IntegrityError():
            log.error("database.refused_change", error=_name(exception))
            return ours.Conflict()
        case _:
            return RemembrancerError()


def _name(exception: BaseException) -> str:
    """Class names only: a database's message quotes the values that it refused."""
    return type(exception.__cause__ or exception).__name__


def problem_response(exception: BaseException) -> HttpResponse:
    """The answer to any exception, for every kind of view."""
    failure = translate(exception)
    kind = kind_of(failure)
    if kind.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request.failed", exc_info=exception)
    response = HttpResponse(
        msgspec.json.encode(_body(failure, kind)), content_type=CONTENT_TYPE, status=kind.status
    )
    match failure:
        case ours.Throttled() | ours.Unavailable():
            response["Retry-After"] = str(failure.retry_after)
        case ours.Unauthenticated():
            response["WWW-Authenticate"] = "Bearer"
        case ours.MethodNotAllowed():
            response["Allow"] = ", ".join(failure.allowed)
    return response


def _body(failure: RemembrancerError, kind: Kind) -> Problem:
    case_id = failure.case_id if isinstance(failure, ours.Gone) else None
    return Problem(
        type=f"urn:remembrancer:problem:{kind.code}",
        title=kind.title,
        status=kind.status,
        code=kind.code,
        detail=failure.detail,
        errors=list(failure.errors) if isinstance(failure, ours.Invalid) else [],
        request_id=current_request_id(),
        case_id=case_id or msgspec.UNSET,
    )


def answer_failure(request: HttpRequest, exception: BaseException) -> HttpResponse:
    """The response to what a view raised. A denied call with a valid key is an audit event."""
    principal = getattr(request, "principal", None)
    if principal is not None and isinstance(translate(exception), ours.Forbidden):
        try:
            _record_denial(principal, request)
        except DatabaseError as error:
            exception = error
    return problem_response(exception)


def _record_denial(principal: Principal, request: HttpRequest) -> None:
    with tenant_scope(principal.tenant_id):
        audit.record(
            tenant_id=principal.tenant_id,
            actor=principal.actor,
            action="api.denied",
            object_type="api_key",
            object_id=principal.key_id,
            outcome=Outcome.DENIED,
            details={"method": request.method, "route": route_template(request)},
        )


def exception_handler(exception: Exception, context: Mapping[str, Any]) -> HttpResponse:
    """The same response, for DRF."""
    if isinstance(exception, drf.MethodNotAllowed):
        exception = ours.MethodNotAllowed(context["view"].allowed_methods)
    return answer_failure(context["request"]._request, exception)


# Django's four handlers. Errors of the back office's pages stay pages.


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return defaults.bad_request(request, exception) if is_page(request) else problem_response(exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return defaults.permission_denied(request, exception) if is_page(request) else problem_response(exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return defaults.page_not_found(request, exception) if is_page(request) else problem_response(exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Called by Django while it handles the exception, which is why it can be looked at here."""
    problem = problem_response(sys.exc_info()[1] or RemembrancerError())
    if not is_page(request):
        return problem
    page = defaults.server_error(request)
    page.status_code = problem.status_code
    return page
