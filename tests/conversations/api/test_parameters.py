"""Query strings: typed, without unknown names, converted only where they cannot say it otherwise."""

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

import msgspec
import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from conversations.api.parameters import NoParameters, decode_query
from conversations.exceptions import Invalid

ID = "0198c0de-0000-7000-8000-000000000001"


class Query(msgspec.Struct, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    share: float | None = None
    deep: bool = False
    id: UUID | None = None
    at: Annotated[datetime, Meta(tz=True)] | None = None
    kind: Literal["fact", "note"] | None = None
    name: str | None = None
    include: list[str] = []

    aliases: ClassVar = {"title": "name"}

    def __post_init__(self) -> None:
        if self.name == "forbidden":
            raise ValueError("Not that one.")


class Needed(msgspec.Struct, frozen=True):
    start: int


def decode(query: str, kind: Any = Query) -> Any:
    return decode_query(RequestFactory().get(f"/?{query}"), kind)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", Query()),
        ("limit=7", Query(limit=7)),
        ("share=0.5", Query(share=0.5)),
        ("share=1", Query(share=1.0)),
        ("deep=true", Query(deep=True)),
        ("deep=false", Query(deep=False)),
        (f"id={ID}", Query(id=UUID(ID))),
        ("at=2026-01-02T03:04:05.000006Z", Query(at=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC))),
        ("kind=note", Query(kind="note")),
        ("name=17", Query(name="17")),
        ("name=null", Query(name="null")),
        ("name=", Query(name="")),
        ("title=x", Query(name="x")),
        ("include=a&include=b", Query(include=["a", "b"])),
        ("name=%E4%BD%A0%2F%3D", Query(name="你/=")),
    ],
)
def test_query_is_read_by_type(query: str, expected: Query) -> None:
    assert decode(query) == expected


@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ("offset=1", "offset", "unknown_parameter"),
        ("tenant_id=x", "tenant_id", "unknown_parameter"),
        ("limit=1&limit=2", "limit", "repeated"),
        ("name=a&title=b", "title", "repeated"),
        ("limit=", "limit", "invalid"),
        ("limit=0", "limit", "invalid"),
        ("limit=201", "limit", "invalid"),
        ("limit=1.0", "limit", "invalid"),
        ("limit=1e2", "limit", "invalid"),
        ("limit=+5", "limit", "invalid"),
        ("limit= 5", "limit", "invalid"),
        ("limit=1_0", "limit", "invalid"),
        ("limit=٥", "limit", "invalid"),
        ("limit=null", "limit", "invalid"),
        ("limit=" + "9" * 400, "limit", "invalid"),
        ("share=nan", "share", "invalid"),
        ("share=1e999", "share", "invalid"),
        ("deep=1", "deep", "invalid"),
        ("deep=True", "deep", "invalid"),
        ("id=x", "id", "invalid"),
        ("at=1700000000", "at", "invalid"),
        ("at=2026-01-02", "at", "invalid"),
        ("at=2026-01-02T03:04:05", "at", "invalid"),
        ("kind=other", "kind", "invalid"),
        ("name=%00", "name", "invalid"),
    ],
)
def test_query_that_breaks_a_rule_names_the_parameter(query: str, field: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        decode(query)

    assert [(e.field, e.code) for e in refused.value.errors] == [(field, code)]


def test_query_names_every_broken_parameter() -> None:
    with pytest.raises(Invalid) as refused:
        decode("limit=0&deep=maybe&x=1")

    assert {e.field for e in refused.value.errors} == {"limit", "deep", "x"}


def test_query_missing_a_required_parameter() -> None:
    with pytest.raises(Invalid) as refused:
        decode("", Needed)

    assert [(e.field, e.code) for e in refused.value.errors] == [("start", "required")]


def test_a_wrong_required_parameter_is_not_missing_too() -> None:
    with pytest.raises(Invalid) as refused:
        decode("start=never", Needed)

    assert [(e.field, e.code) for e in refused.value.errors] == [("start", "invalid")]


def test_query_rule_between_parameters() -> None:
    with pytest.raises(Invalid, match="Not that one"):
        decode("name=forbidden")


def test_query_of_a_call_that_takes_none() -> None:
    with pytest.raises(Invalid):
        decode("a=1", NoParameters)


@given(st.dictionaries(st.sampled_from([*Query.__struct_fields__, "x"]), st.text(max_size=8), max_size=4))
def test_query_is_accepted_or_refused_never_anything_else(parameters: dict[str, str]) -> None:
    request = RequestFactory().get("/", parameters)

    try:
        decoded = decode_query(request, Query)
    except Invalid:
        return
    assert 1 <= decoded.limit <= 200
