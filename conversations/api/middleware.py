"""The outermost layer of a request: its id, log line, metrics, and a response to uncaught exceptions."""

import re
import time
from collections.abc import Callable
from urllib.parse import unquote_to_bytes
from uuid import uuid4

import structlog
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from conversations.api import metrics
from conversations.api.problems import answer_failure, bad_request
from conversations.api.routes import is_page, route_template
from conversations.correlation import request_scope
from conversations.exceptions import Invalid

log = structlog.get_logger("conversations.access")

_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)


class RequestContextMiddleware:
    """`X-Request-Id` echoed or made; log lines and measures name route templates, never paths or queries."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        request_id = _request_id(request)
        with request_scope(request_id):
            response = self.get_response(request) if _is_utf8(request) else _refuse_bytes(request)
            response["X-Request-Id"] = request_id
            if isinstance(response, HttpResponse) and "Content-Length" not in response:
                response["Content-Length"] = str(len(response.content))  # or it would travel in chunks
            _observe(request, response, time.perf_counter() - started)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Problems for plain views as well, and with DEBUG too."""
        return None if is_page(request) else answer_failure(request, exception)


def _is_utf8(request: HttpRequest) -> bool:
    """Django would go on with something else: `%FF` for the byte of a path, a replacement character in a query."""
    path, query = request.META.get("RAW_PATH_INFO", ""), request.META.get("QUERY_STRING")
    try:
        path.encode("latin-1").decode()
        if query:
            unquote_to_bytes(query.encode("latin-1")).decode()
    except UnicodeError:
        return False
    return True


def _refuse_bytes(request: HttpRequest) -> HttpResponse:
    return bad_request(request, Invalid(detail="The address is not UTF-8."))


def _request_id(request: HttpRequest) -> str:
    given = request.META.get("HTTP_X_REQUEST_ID", "")
    return given if _REQUEST_ID.fullmatch(given) else str(uuid4())


def _observe(request: HttpRequest, response: HttpResponseBase, seconds: float) -> None:
    route = route_template(request)
    method = request.method if request.method in metrics.METHODS else "OTHER"  # any token is a method
    metrics.observe_request(method, route, response.status_code, seconds)
    log.info(
        "request.finished",
        method=method,
        route=route,
        status=response.status_code,
        milliseconds=round(seconds * 1000, 2),
    )
