"""Which policies contradict themselves, and which changes need a second person."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retention.enums import ArchiveMode, RecordClass
from retention.periods import NO_TIME, Period
from retention.policies import DEFAULT_POLICY, check_policy, shortens
from tests.retention import cases

P = Period.parse
LAW = "Securities Act, section 17"


def problems(**changes: Any) -> list[tuple[str, str]]:
    return [(problem.field, problem.code) for problem in check_policy(replace(DEFAULT_POLICY, **changes))]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"messages": P("P1D"), "summaries": P("P1D"), "archive": P("P1D")},
        {"archive_mode": ArchiveMode.SCRUBBED},
        {"archive_mode": ArchiveMode.NONE},
        {"zone": "Asia/Singapore"},
        {"legal_minimum": P("P5Y"), "legal_basis": LAW},
        {"legal_minimum": P("P7Y"), "legal_basis": LAW},
        {"legal_minimum": P("P30D"), "legal_basis": LAW, "archive_mode": ArchiveMode.SCRUBBED},
    ],
)
def test_policy_without_contradiction_is_accepted(changes: dict[str, Any]) -> None:
    assert problems(**changes) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"messages": NO_TIME}, ("messages", "not_positive")),
        ({"summaries": NO_TIME}, ("summaries", "not_positive")),
        ({"archive": NO_TIME}, ("archive", "not_positive")),
        ({"archive": P("P89D")}, ("archive", "shorter_than_messages")),
        # A month is 28 days for those who start in February.
        ({"messages": P("P29D"), "archive": P("P1M")}, ("archive", "shorter_than_messages")),
        ({"zone": "Mars/Olympus"}, ("timezone", "unknown_zone")),
        ({"legal_minimum": P("P8Y"), "legal_basis": LAW}, ("legal_minimum", "above_archive")),
        ({"legal_minimum": P("P5Y")}, ("legal_basis", "missing")),
        ({"legal_minimum": P("P5Y"), "legal_basis": " \t"}, ("legal_basis", "missing")),
        (
            {"legal_minimum": P("P30D"), "legal_basis": LAW, "archive_mode": ArchiveMode.NONE},
            ("archive_mode", "minimum_needs_archive"),
        ),
        (
            {"legal_minimum": P("P91D"), "legal_basis": LAW, "archive_mode": ArchiveMode.SCRUBBED},
            ("archive_mode", "minimum_needs_originals"),
        ),
    ],
)
def test_policy_that_contradicts_itself_is_refused(
    changes: dict[str, Any], expected: tuple[str, str]
) -> None:
    assert expected in problems(**changes)


def test_policy_is_told_all_its_contradictions() -> None:
    changes = {"messages": NO_TIME, "zone": "nowhere", "legal_minimum": P("P8Y")}

    assert problems(**changes) == [
        ("messages", "not_positive"),
        ("timezone", "unknown_zone"),
        ("legal_minimum", "above_archive"),
        ("legal_basis", "missing"),
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, False),
        ({"messages": P("P91D")}, False),
        ({"messages": P("P9D")}, True),
        ({"summaries": P("P24M")}, False),
        ({"summaries": P("P23M")}, True),
        ({"archive": P("P2557D")}, False),
        ({"archive": P("P2556D")}, True),
        ({"archive_mode": ArchiveMode.SCRUBBED}, True),
        ({"archive_mode": ArchiveMode.NONE}, True),
        ({"legal_minimum": P("P5Y"), "legal_basis": LAW}, False),
        ({"zone": "Asia/Singapore"}, True),
        (
            {
                "zone": "Asia/Singapore",
                "messages": P("P92D"),
                "summaries": P("P3Y"),
                "archive": P("P8Y"),
            },
            False,
        ),
    ],
)
def test_change_that_shortens_anything_is_seen(changes: dict[str, Any], expected: bool) -> None:
    assert shortens(DEFAULT_POLICY, replace(DEFAULT_POLICY, **changes)) is expected


def test_change_from_scrubbed_archive_takes_less_only_towards_none() -> None:
    scrubbed = replace(DEFAULT_POLICY, archive_mode=ArchiveMode.SCRUBBED)

    assert not shortens(scrubbed, replace(scrubbed, archive_mode=ArchiveMode.SEALED))
    assert shortens(scrubbed, replace(scrubbed, archive_mode=ArchiveMode.NONE))


def test_lower_legal_minimum_shortens() -> None:
    guarded = replace(DEFAULT_POLICY, legal_minimum=P("P5Y"), legal_basis=LAW)

    assert shortens(guarded, replace(guarded, legal_minimum=P("P4Y")))
    assert shortens(guarded, replace(guarded, legal_minimum=NO_TIME, legal_basis=""))


@settings(max_examples=500, deadline=None)
@given(old=cases.policies(), new=cases.policies(), since=st.one_of(cases.month_ends, cases.moments))
def test_change_that_does_not_shorten_lets_nothing_end_earlier(old: Any, new: Any, since: datetime) -> None:
    if shortens(old, new):
        return

    for record_class in RecordClass:
        assert new.expires_at(record_class, since) >= old.expires_at(record_class, since)
    if old.legal_minimum:
        assert new.minimum_ends_at(since) >= old.minimum_ends_at(since)
