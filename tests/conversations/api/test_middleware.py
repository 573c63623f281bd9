"""Each request has an id, one log line and its measures, and none of them holds a path."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from tests.conversations.api.conftest import Caller

pytestmark = pytest.mark.usefixtures("sample_api")

ROUTE = "/api/v1/customers/<uuid:customer_id>"


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with capture_logs() as captured:
        yield captured


@pytest.mark.parametrize("given", ["a", "trace-1/2:3", "x" * 128, "~!@#"])
def test_request_id_is_echoed(given: str) -> None:
    response = Client().get("/healthz", headers={"x-request-id": given})

    assert response["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "a\nb", "\x1b[31m", "ключ"])
def test_request_id_that_cannot_be_one_is_made(given: str) -> None:
    response = Client().get("/healthz", headers={"x-request-id": given})

    assert str(UUID(response["X-Request-Id"])) == response["X-Request-Id"]


def test_request_id_is_in_the_problem(caller: Caller) -> None:
    response = caller("GET", "/customers?offset=1", x_request_id="asked-1")

    assert response.json()["request_id"] == response["X-Request-Id"] == "asked-1"


def test_request_ids_do_not_outlive_their_request() -> None:
    Client().get("/healthz", headers={"x-request-id": "first"})

    assert Client().get("/nothing").json()["request_id"] != "first"


def test_log_line_names_the_route_and_nothing_that_was_sent(caller: Caller, lines: list[Any]) -> None:
    caller("DELETE", "/customers/0198c0de-0000-7000-8000-000000000001?secret=1", {"content": "hello"})

    (line,) = [line for line in lines if line["event"] == "request.finished"]
    assert line["route"] == ROUTE
    assert (line["method"], line["status"], line["log_level"]) == ("DELETE", 400, "info")
    assert line["milliseconds"] > 0
    assert "0198c0de" not in str(lines)
    assert "secret" not in str(lines)
    assert "hello" not in str(lines)
    assert caller.key not in str(lines)


def test_log_line_of_an_unknown_path_does_not_name_it(lines: list[Any]) -> None:
    Client().get("/api/v1/alice@example.com\n{}")

    assert [line["route"] for line in lines] == ["unmatched"]
    assert "alice" not in str(lines)


def test_log_line_of_a_made_up_method(lines: list[Any]) -> None:
    Client().generic("X" * 500, "/healthz")

    assert [line["method"] for line in lines] == ["OTHER"]


def test_measures_count_by_route_template(caller: Caller) -> None:
    labels = {"method": "DELETE", "route": ROUTE, "status": "204"}
    before = REGISTRY.get_sample_value("remembrancer_http_requests_total", labels) or 0

    caller("DELETE", "/customers/0198c0de-0000-7000-8000-000000000001")
    caller("DELETE", "/customers/0198c0de-0000-7000-8000-000000000002")

    assert REGISTRY.get_sample_value("remembrancer_http_requests_total", labels) == before + 2
    timed = REGISTRY.get_sample_value(
        "remembrancer_http_request_seconds_count", {"method": "DELETE", "route": ROUTE}
    )
    assert timed is not None
    assert timed >= 2


@pytest.mark.parametrize(
    ("condition", "status"),
    [(None, 204), ('"7"', 204), ("*", 204), ('"6", "7"', 204), ('"6"', 412), ('W/"7"', 412)],
)
def test_precondition_is_honoured(caller: Caller, condition: str | None, status: int) -> None:
    headers = {} if condition is None else {"if_match": condition}

    response = caller("DELETE", "/customers/0198c0de-0000-7000-8000-000000000001", **headers)

    assert response.status_code == status
    if status == 412:
        assert response.json()["code"] == "precondition_failed"
    else:
        assert response["ETag"] == '"7"'
