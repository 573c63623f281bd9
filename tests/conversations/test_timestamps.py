"""Moments are in UTC from the edge on."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
import pytest
from msgspec import UNSET, Meta, Struct, UnsetType

from conversations import strict_json
from conversations.exceptions import Invalid
from conversations.timestamps import normalise_to_utc

Moment = Annotated[datetime, Meta(tz=True)]


class Inner(Struct):
    at: Moment | None = None


class Outer(Struct, frozen=True):
    name: str = ""
    at: Moment | UnsetType | None = UNSET
    inners: list[Inner] = msgspec.field(default_factory=list)


def test_timestamps_are_normalised_to_utc_wherever_they_stand() -> None:
    given = b'{"at": "2026-01-01T01:00:00.123456+08:00", "inners": [{"at": null}, {"at": "2026-01-01T00:00:00-05:30"}]}'

    outer = strict_json.decode(given, Outer)

    assert outer.at == datetime(2025, 12, 31, 17, 0, 0, 123456, tzinfo=UTC)
    assert strict_json.encode(outer.at) == b'"2025-12-31T17:00:00.123456Z"'
    assert strict_json.encode(outer.inners[1].at) == b'"2026-01-01T05:30:00Z"'


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"])
def test_moment_out_of_the_calendar_is_refused_by_its_path(moment: str) -> None:
    body = msgspec.json.encode({"inners": [{}, {"at": moment}]})

    with pytest.raises(Invalid) as refused:
        strict_json.decode(body, Outer)

    assert [(error.field, error.code) for error in refused.value.errors] == [("inners[1].at", "out_of_range")]


def test_struct_without_timestamps_stays_as_it_is() -> None:
    assert list(normalise_to_utc(Outer(name="x"))) == []
    assert list(normalise_to_utc("x")) == []
