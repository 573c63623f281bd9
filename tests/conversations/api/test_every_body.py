"""Every endpoint with a body: what the contract refuses is refused everywhere, and leaves nothing behind."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from django.conf import settings
from msgspec import inspect

from tests.conversations.api.conftest import Caller, Issue
from tests.conversations.api.endpoints import (
    Endpoint,
    World,
    build_world,
    count_rows,
    endpoints,
    those_that,
    unknown_things,
    without_request_id,
)

NO_JSON = (
    b"{",
    b"\xff",
    b"\xef\xbb\xbf{}",
    b'{"content": NaN}',
    b'{"content": 1e999}',
    b'{"content": ' + b"9" * 400 + b"}",
    b'{"content": "a", "content": "a"}',
    b"[" * 100_000,
)
NO_GOOD_JSON = (
    b"[]",
    b"null",
    b"true",
    b"1",
    b'"x"',
    b'{"\\u0000": 1}',
    b'{"\\ud800": 1}',
    b'{"tenant_id": "0198c0de-0000-7000-8000-000000000001"}',
    b'{"received_at": 1}',
    b'{"hold": true}',
    b'{"metadata": ' + b'{"a":' * 32 + b"1" + b"}" * 33,
)
ANY_TYPE: tuple[Any, ...] = (None, True, 1, 1.5, "x", "\x00", [], {}, [1], [{}], {"a": 1})
MEDIA_TYPES = ("", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1")


def has_body(endpoint: Endpoint) -> bool:
    return endpoint.operation.body is not None


@pytest.fixture
def world(caller: Caller) -> World:
    return build_world(caller, "ada")


def outcome(response: Any) -> tuple[int, str | None]:
    return response.status_code, response.json().get("code") if response.status_code >= 400 else None


def wrong_types(endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    """The good body with one field of a type that it does not have."""
    good = endpoint.body()
    for field in msgspec.structs.fields(endpoint.operation.body):
        for value in ANY_TYPE:
            body = good | {field.encode_name: value}
            try:
                msgspec.convert(body, endpoint.operation.body)
            except msgspec.ValidationError:
                yield body
    for name, value in good.items():
        if isinstance(value, str):
            yield good | {name: value + "\x00"}


def test_hostile_body_is_refused_and_stores_nothing(world: World) -> None:
    rows = count_rows()

    def differs(endpoint: Endpoint) -> object:
        wrong: list[object] = []
        bodies: list[tuple[Any, tuple[int, str]]] = [(body, (400, "malformed_json")) for body in NO_JSON]
        bodies += [(body, (400, "invalid")) for body in (*NO_GOOD_JSON, *wrong_types(endpoint))]
        if not endpoint.operation.body_optional:
            bodies.append((b"", (400, "malformed_json")))
        for body, expected in bodies:
            got = outcome(endpoint.call(world.caller, world.things, body=body))
            if got != expected:
                wrong.append((body if len(repr(body)) < 200 else repr(body)[:40], got))
        if count_rows() != rows:
            wrong.append("it stored something")
        return wrong

    assert those_that(differs, has_body) == {}


def test_body_in_another_form_is_refused_and_stores_nothing(world: World) -> None:
    rows = count_rows()
    large = b" " * (settings.MAX_BODY + 1)

    def differs(endpoint: Endpoint) -> object:
        refused = {
            kind: outcome(endpoint.call(world.caller, world.things, content_type=kind))
            for kind in MEDIA_TYPES
        }
        refused["gzip"] = outcome(endpoint.call(world.caller, world.things, content_encoding="gzip"))
        wrong: list[object] = [
            (kind, got) for kind, got in refused.items() if got != (415, "unsupported_media_type")
        ]
        if (got := outcome(endpoint.call(world.caller, world.things, body=large))) != (413, "too_large"):
            wrong.append(got)
        return wrong

    assert those_that(differs, has_body) == {}
    assert count_rows() == rows


def test_another_tenants_id_in_a_body_is_as_unknown_as_nobodys(issue: Issue, world: World) -> None:
    theirs = build_world(issue(), "bob")
    nowhere = unknown_things(theirs)
    shown = what_is_shown(theirs)

    def differs(endpoint: Endpoint) -> object:
        def ask(field: str, shape: Shape, thing: Any) -> tuple[tuple[int, str | None], bool]:
            response = endpoint.call(
                world.caller, world.things, body=endpoint.body() | {field: shape(str(thing))}
            )
            return outcome(response), theirs.secret.encode() in response.content

        return [
            (field, kind, answered)
            for field, shape in id_fields(endpoint.operation.body)
            for kind, thing in theirs.spoken_of.items()
            if (answered := ask(field, shape, thing)) != ask(field, shape, nowhere[kind]) or answered[1]
        ]

    assert those_that(differs, has_body) == {}
    assert what_is_shown(theirs) == shown


def what_is_shown(world: World) -> list[Any]:
    """What a tenant's own key sees of what others might have reached."""
    paths = (endpoint.path(world.things) for endpoint in endpoints() if endpoint.is_stable)
    return [without_request_id(world.caller("GET", path)) for path in paths]


Shape = Callable[[str], Any]


def id_fields(kind: Any) -> Iterator[tuple[str, Shape]]:
    """Each field of a body that takes the id of a thing or of a customer, and how its value is made of one."""
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    for field in described.fields:
        if (shape := shape_of(field.encode_name, field.type)) is not None:
            yield field.encode_name, shape


def shape_of(name: str, described: inspect.Type) -> Shape | None:
    match described:
        case inspect.UUIDType():
            return lambda thing: thing
        case inspect.StrType() if name in ("customer_id", "user_id", "source_message_ids"):
            return lambda thing: thing
        case inspect.Metadata():
            return shape_of(name, described.type)
        case inspect.UnionType():
            return next(filter(None, (shape_of(name, one) for one in described.types)), None)
        case inspect.CollectionType():
            item = shape_of(name, described.item_type)
            return item and (lambda thing: [item(thing)])
        case inspect.StructType():
            inner = dict(id_fields(described.cls))
            return (lambda thing: {field: one(thing) for field, one in inner.items()}) if inner else None
        case _:
            return None


def test_filter_by_another_tenants_id_finds_nothing(issue: Issue, world: World) -> None:
    theirs = build_world(issue(), "bob")
    nowhere = unknown_things(theirs)

    def differs(endpoint: Endpoint) -> object:
        def ask(field: str, thing: Any) -> tuple[int, Any]:
            body = {"filter": {field: str(thing)}}
            return without_request_id(endpoint.call(world.caller, world.things, body=body))

        answers = {
            (field, kind): (ask(field, thing), ask(field, nowhere[kind]))
            for field in ("id", "session_id", "customer_id", "external_id", "turn_id")
            for kind, thing in theirs.spoken_of.items()
        }
        assert any(foreign[0] == 200 for foreign, _ in answers.values())
        return {asked: foreign for asked, (foreign, unknown) in answers.items() if foreign != unknown}

    filtering = ("/query", "/count", "/exists")
    assert those_that(differs, lambda endpoint: endpoint.template.endswith(filtering)) == {}
