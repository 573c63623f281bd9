"""Every error is a problem document, and none but an absent database is a 5xx."""

import json
from typing import Any

import psycopg
import pytest
from django.core.exceptions import DisallowedHost, RequestDataTooBig
from django.db import DataError, IntegrityError, InterfaceError, InternalError, OperationalError, connection
from django.http import Http404
from django.test import Client, RequestFactory

from conversations import exceptions
from conversations.api.problems import KINDS, kind_of, problem_response, server_error, translate
from conversations.exceptions import FieldError, Invalid, RemembrancerError
from conversations.models import AuditEvent, Customer
from conversations.tenancy import tenant_scope
from tests.conversations.api.conftest import Caller, Issue

MEMBERS = {"type", "title", "status", "code", "detail", "errors", "request_id"}


def subclasses(root: type[RemembrancerError]) -> set[type[RemembrancerError]]:
    return {root}.union(*(subclasses(child) for child in root.__subclasses__()))


@pytest.mark.parametrize(
    "kind", sorted(subclasses(exceptions.Refused) - {exceptions.Refused, exceptions.Gone}, key=str)
)
def test_problem_refusal_is_a_client_error(kind: type[RemembrancerError]) -> None:
    status = kind_of(kind()).status

    assert 400 <= status < 500


def test_problem_table_uses_each_code_for_one_status() -> None:
    by_code: dict[str, set[int]] = {}
    for kind in KINDS.values():
        by_code.setdefault(kind.code, set()).add(kind.status)

    assert all(len(statuses) == 1 for statuses in by_code.values())


@pytest.mark.parametrize(
    ("raised", "status", "code"),
    [
        (OperationalError("server closed the connection"), 503, "unavailable"),
        (InterfaceError("connection already closed"), 503, "unavailable"),
        (psycopg.errors.LockNotAvailable("lock timeout"), 503, "unavailable"),
        (psycopg.InterfaceError("closed"), 503, "unavailable"),
        (DataError("invalid byte sequence"), 400, "invalid"),
        (IntegrityError("duplicate key (alice@example.com)"), 409, "conflict"),
        (exceptions.KeyDestroyed(), 410, "erased"),
        (Http404("no page"), 404, "not_found"),
        (DisallowedHost("evil"), 400, "invalid"),
        (RequestDataTooBig(), 413, "too_large"),
        (RuntimeError("a secret"), 500, "internal_error"),
        (exceptions.SealBroken(), 500, "internal_error"),
    ],
)
def test_problem_translates_what_others_raise(raised: Exception, status: int, code: str) -> None:
    kind = kind_of(translate(raised))

    assert (kind.status, kind.code) == (status, code)


def test_problem_never_quotes_a_foreign_message() -> None:
    for raised in (
        IntegrityError("alice@example.com"),
        OperationalError("alice@example.com"),
        ValueError("alice@"),
    ):
        assert b"alice" not in problem_response(raised).content


def test_problem_read_only_standby_is_unavailable() -> None:
    failing_over = InternalError("cannot execute INSERT in a read-only transaction")
    failing_over.__cause__ = psycopg.errors.ReadOnlySqlTransaction()

    assert isinstance(translate(failing_over), exceptions.Unavailable)


def test_database_without_room_says_so(database: str) -> None:
    with pytest.raises(OperationalError) as full, connection.cursor() as cursor:
        cursor.execute("DO $$ BEGIN RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END $$")

    response = problem_response(full.value)

    assert (response.status_code, int(response["Retry-After"]) >= 1) == (503, True)
    assert "no room" in json.loads(response.content)["detail"]


def test_problem_names_fields() -> None:
    body = problem_response(Invalid([FieldError("messages[3].content", "required", "Missing.")])).content

    assert b'"errors":[{"field":"messages[3].content","code":"required","detail":"Missing."}]' in body


def test_problem_throttled_says_when_to_come_back() -> None:
    response = problem_response(exceptions.Throttled(7))

    assert (response.status_code, response["Retry-After"]) == (429, "7")


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/api/v1/nothing", "/api/v1/customers/not-a-uuid", "/api/v1/%00"]
)
@pytest.mark.usefixtures("sample_api")
def test_problem_unknown_path_is_not_found(path: str) -> None:
    response = Client().get(path)

    assert response.status_code == 404
    assert response["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert set(problem) == MEMBERS
    assert problem["code"] == "not_found"
    assert problem["request_id"] == response["X-Request-Id"]


@pytest.mark.usefixtures("sample_api")
@pytest.mark.parametrize("method", ["DELETE", "OPTIONS", "TRACE", "BREW"])
def test_problem_unknown_method_names_those_allowed(caller: Caller, method: str) -> None:
    response = caller(method, "/customers")

    assert response.status_code == 405
    assert response.json()["code"] == "method_not_allowed"
    assert response["Allow"] == "GET, HEAD, POST"


@pytest.mark.usefixtures("sample_api")
@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("page", ["/healthz", "/readyz", "/metrics", "/api/schema", "/api/docs"])
def test_problem_unknown_method_of_a_public_page(page: str, method: str) -> None:
    response = Client(enforce_csrf_checks=True).generic(method, page)

    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
    assert response["Allow"] == "GET, HEAD"


@pytest.mark.usefixtures("sample_api")
def test_problem_defect_is_told_without_details(caller: Caller) -> None:
    response = caller("POST", "/customers", {"external_id": "defect"})

    assert response.status_code == 500
    assert response.json()["code"] == "internal_error"
    assert b"alice" not in response.content


@pytest.mark.usefixtures("sample_api")
@pytest.mark.parametrize("path", ["/customers", "/bypassing"])
def test_problem_lost_connection_is_unavailable_and_changes_nothing(caller: Caller, path: str) -> None:
    response = caller("POST", path, {"external_id": "away"})

    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert int(response["Retry-After"]) >= 1
    with tenant_scope(caller.tenant_id):
        assert not Customer.objects.exists()


@pytest.mark.usefixtures("sample_api")
def test_problem_plain_view_fails_like_the_others(settings: Any) -> None:
    settings.DEBUG = True

    response = Client(raise_request_exception=False).get("/api/v1/plain")

    assert (response.status_code, response.json()["code"]) == (503, "unavailable")


@pytest.mark.usefixtures("sample_api")
@pytest.mark.parametrize(("path", "status"), [("forbidden", 403), ("nothing", 404), ("plain", 503)])
def test_problem_of_a_page_is_a_page(path: str, status: int, settings: Any) -> None:
    as_in_up = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": as_in_up}
    response = Client(raise_request_exception=False).get(f"/admin/{path}")

    assert response.status_code == status
    assert response["Content-Type"].startswith("text/html")


@pytest.mark.usefixtures("sample_api")
def test_problem_of_a_plain_view_that_forbids() -> None:
    response = Client().get("/forbidden")

    assert (response.status_code, response.json()["code"]) == (403, "forbidden")


def test_problem_that_escapes_a_middleware(rf: RequestFactory) -> None:
    try:
        raise OperationalError("the connection is lost")
    except OperationalError:
        response = server_error(rf.get("/api/v1/customers"))

    assert response.status_code == 503
    assert b'"code":"unavailable"' in response.content


@pytest.mark.usefixtures("sample_api", "database")
def test_problem_wrong_host_is_invalid() -> None:
    response = Client(headers={"host": "evil.example"}).get("/healthz")

    assert (response.status_code, response.json()["code"]) == (400, "invalid")


@pytest.mark.usefixtures("sample_api")
@pytest.mark.parametrize("path", ["/customers", "/bypassing"])
def test_problem_denied_call_is_an_audit_event(issue: Issue, path: str) -> None:
    reader = issue("read", person="ada")

    response = reader("POST", path, {"external_id": "x"}, x_request_id="asked-1")

    assert (response.status_code, response.json()["code"]) == (403, "forbidden")
    with tenant_scope(reader.tenant_id):
        event = AuditEvent.objects.get(action="api.denied")
        assert not Customer.objects.exists()
    assert (event.actor, event.outcome, event.request_id) == ("ada", "denied", "asked-1")
    assert event.object_id == str(reader.key_id)
    assert event.details == {"method": "POST", "route": f"/api/v1{path}"}
