"""What an endpoint declares once: scope, body, query, responses. Checks, decoding and the schema follow from it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from http import HTTPStatus
from typing import Any, Protocol

import msgspec
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from conversations.api import idempotency
from conversations.api.bodies import decode_body
from conversations.api.parameters import NoParameters, decode_query
from conversations.enums import Scope
from conversations.exceptions import Forbidden
from conversations.principals import Principal

Handler = Callable[..., HttpResponseBase]

JSON = "application/json"


class Served(Protocol):
    """What a handler needs of its view."""

    http: HttpRequest
    principal: Principal


@dataclass(frozen=True, slots=True)
class Operation:
    """The contract of one method of one path.

    `answers` maps statuses to the type that is shown (None: no body), `problems` names statuses of errors beyond
    those that every route has. `idempotent`: an `Idempotency-Key` is honoured; the handler then runs in one
    transaction with its key, so it must not call other stores. `conditional`: `If-Match` is, `resumable`:
    `Last-Event-ID`.
    """

    scope: Scope
    body: Any = None
    body_optional: bool = False
    query: type[msgspec.Struct] = NoParameters
    answers: Mapping[int, Any] = field(default_factory=dict)
    problems: frozenset[HTTPStatus] = frozenset()
    idempotent: bool = False
    conditional: bool = False
    resumable: bool = False
    media_types: tuple[str, ...] = (JSON,)

    def arguments(self, request: HttpRequest) -> dict[str, Any]:
        """The handler's arguments beside those of the path; raises Invalid and other refusals."""
        query = decode_query(request, self.query)
        arguments: dict[str, Any] = {} if self.query is NoParameters else {"query": query}
        if self.body is not None:
            arguments["body"] = decode_body(request, self.body, optional=self.body_optional)
        return arguments


def operation(scope: Scope, **contract: Any) -> Callable[[Handler], Handler]:
    """Declare a handler of a TenantView; see `Operation` for what may be said.

    A handler with a body and a query is written as `def post(self, session_id: UUID, body: SessionIn, query: ...)`
    and gets them decoded; one without gets only the parts of its path.
    """
    declared = Operation(scope, **contract)

    def declare(handler: Handler) -> Handler:
        @wraps(handler)
        def call(self: Served, _request: Any, **path: Any) -> HttpResponseBase:
            arguments = path | declared.arguments(self.http)
            if not declared.idempotent:
                return handler(self, **arguments)
            return idempotency.answer_once(self.http, self.principal, lambda: handler(self, **arguments))

        call.operation = declared  # type: ignore[attr-defined]
        return call

    return declare


def operation_of(handler: Any) -> Operation:
    """The handler's declaration; Forbidden without one, so that a forgotten declaration exposes nothing."""
    declared = getattr(handler, "operation", None)
    if not isinstance(declared, Operation):
        raise Forbidden
    return declared
