"""What the contract promises of every endpoint, held against every endpoint there is."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from django.db import connections
from django.test import Client

from config.embedded.process import free_port
from conversations import ids
from conversations.enums import Scope
from conversations.services.accounts import api_keys
from tests.conversations.api.conftest import Caller, Issue
from tests.conversations.api.endpoints import (
    METHODS,
    Endpoint,
    World,
    build_world,
    count_rows,
    endpoints,
    those_that,
    unknown_things,
    without_request_id,
)

OF_COMPLIANCE = (
    "/retention/",
    "/purge-runs",
    "/holds",
    "/erasures",
    "/exports/",
    "/archive",
    "/compliance/",
    "/audit-events",
)
QUESTIONS = ("search", "query", "count", "exists", "context")


@pytest.fixture
def world(caller: Caller) -> World:
    return build_world(caller, "ada")


def scope_of(endpoint: Endpoint) -> Scope:
    """By the words of the contract, and not by what the code declares."""
    path, last = endpoint.template, endpoint.template.rpartition("/")[2]
    erases_a_person = (endpoint.method, path) == ("DELETE", "/customers/<customer:customer_id>")
    if path.startswith(OF_COMPLIANCE) or last in ("reveal", "export") or erases_a_person:
        return Scope.COMPLIANCE
    return Scope.READ if endpoint.method == "GET" or last in QUESTIONS else Scope.WRITE


def code_of(response: Any) -> tuple[int, str | None]:
    return response.status_code, response.json().get("code") if response.content else None


def test_key_may_do_what_its_scopes_say_and_nothing_else(issue: Issue, world: World) -> None:
    callers = {scope: issue(scope.value, tenant=world.caller) for scope in Scope}

    def differs(endpoint: Endpoint) -> object:
        nowhere = dict.fromkeys(world.things, ids.new_id(ids.now()))
        codes = {scope: code_of(endpoint.call(one, nowhere)) for scope, one in callers.items()}
        opened = {scope for scope, code in codes.items() if code != (403, "forbidden")}
        return None if opened == {scope_of(endpoint)} else opened

    assert those_that(differs) == {}


def test_caller_without_a_key_is_refused(world: World) -> None:
    def differs(endpoint: Endpoint) -> object:
        response = Client().generic(endpoint.method, f"/api/v1{endpoint.path(world.things)}", b"{}")
        return None if code_of(response) == (401, "unauthenticated") else code_of(response)

    assert those_that(differs) == {}


def test_method_that_is_not_there_is_refused_with_those_that_are(world: World) -> None:
    there: dict[str, list[str]] = {}
    for endpoint in endpoints():
        there.setdefault(endpoint.template, []).append(endpoint.method)

    def differs(endpoint: Endpoint) -> object:
        known = {*there[endpoint.template], *(["HEAD"] if "GET" in there[endpoint.template] else [])}
        wrong = []
        for method in {*METHODS, "HEAD", "OPTIONS", "TRACE", "BREW"} - known:
            response: Any = world.caller(method, endpoint.path(world.things))
            if response.status_code != 405 or set(response["Allow"].split(", ")) != known:
                wrong.append((method, response.status_code, response.get("Allow")))
        return wrong

    assert those_that(differs) == {}


def test_query_parameter_nobody_knows_is_refused(world: World) -> None:
    rows = count_rows()

    def differs(endpoint: Endpoint) -> object:
        response = endpoint.call(world.caller, world.things, query="tenant_id=x")
        named = [error["field"] for error in response.json().get("errors", [])]
        return None if (code_of(response), named) == ((400, "invalid"), ["tenant_id"]) else code_of(response)

    assert those_that(differs) == {}
    assert count_rows() == rows


def test_id_in_a_path_that_is_no_id_is_not_found(world: World) -> None:
    def differs(endpoint: Endpoint) -> object:
        wrong = []
        for name in endpoint.id_names:
            good = str(world.things[name])
            missing = without_request_id(
                endpoint.call(world.caller, {**world.things, name: ids.new_id(ids.now())})
            )
            for bad in (good.replace("-", ""), f"{{{good}}}", f"{good}0", "1", "%00", "%20"):
                answered = without_request_id(endpoint.call(world.caller, {**world.things, name: bad}))
                if answered != missing or answered[0] != 404:
                    wrong.append((bad, answered, missing))
        return wrong

    assert those_that(differs) == {}


def test_id_in_a_path_is_found_in_capitals_too(world: World) -> None:
    capitals = {name: str(thing).upper() for name, thing in world.things.items()}

    def differs(endpoint: Endpoint) -> object:
        shouted = {**world.things, **{name: capitals[name] for name in endpoint.id_names}}
        answered = endpoint.call(world.caller, shouted).status_code
        is_found = answered == endpoint.call(world.caller, world.things).status_code not in (404, 410)
        return None if is_found else answered

    assert those_that(differs, lambda endpoint: endpoint.is_stable and bool(endpoint.id_names)) == {}


def test_another_tenants_thing_in_a_path_is_as_unknown_as_nobodys(issue: Issue, world: World) -> None:
    stranger = issue()
    nowhere = unknown_things(world)
    reached: set[str] = set()
    rows = count_rows()

    def differs(endpoint: Endpoint) -> object:
        foreign = without_request_id(endpoint.call(stranger, world.things))
        return None if foreign == without_request_id(endpoint.call(stranger, nowhere)) else foreign

    def is_there(endpoint: Endpoint) -> object:
        if endpoint.call(world.caller, world.things).status_code not in (404, 410):
            reached.update(endpoint.names)
        return None

    assert those_that(differs, lambda endpoint: bool(endpoint.id_names)) == {}
    assert count_rows() == rows
    assert those_that(is_there) == {}
    assert reached == set(world.things), "what was looked for is not what the owner finds"


def test_another_tenants_id_in_a_query_is_as_unknown_as_nobodys(issue: Issue, world: World) -> None:
    stranger = build_world(issue(), "bob")
    nowhere = unknown_things(world)

    def differs(endpoint: Endpoint) -> object:
        def ask(field: str, value: Any) -> tuple[int, Any]:
            return without_request_id(
                endpoint.call(stranger.caller, stranger.things, query=f"{field}={value}")
            )

        return [
            (field.name, kind)
            for field in msgspec.structs.fields(endpoint.operation.query)
            # A cursor is a moment: nobody looks up whose id it is (`test_pagination.py`).
            if field.name not in ("after", "before")
            for kind in world.things
            if ask(field.name, world.things[kind]) != ask(field.name, nowhere[kind])
        ]

    assert those_that(differs, lambda endpoint: endpoint.method == "GET") == {}


@pytest.fixture
def lost_database(database: str) -> Iterator[Any]:
    """Calling it moves PostgreSQL to where nothing listens."""
    kept = {alias: dict(connections[alias].settings_dict) for alias in ("default", "ops")}

    def lose() -> None:
        for alias in kept:
            connections[alias].close()
            connections[alias].settings_dict |= {"HOST": "127.0.0.1", "PORT": free_port()}

    yield lose
    for alias, settings in kept.items():
        connections[alias].close()
        connections[alias].settings_dict |= settings


@pytest.mark.parametrize("is_key_known", [False, True], ids=["key unknown", "key checked before"])
def test_without_the_database_everything_is_unavailable(
    world: World, lost_database: Any, is_key_known: bool
) -> None:
    world.caller("GET", "/sessions")
    lost_database()

    def differs(endpoint: Endpoint) -> object:
        if not is_key_known:
            api_keys._verified.clear()
        response = endpoint.call(world.caller, world.things)
        is_right = code_of(response) == (503, "unavailable") and int(response["Retry-After"]) >= 1
        return None if is_right else code_of(response)

    assert those_that(differs) == {}
