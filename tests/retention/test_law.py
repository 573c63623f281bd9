"""The five steps of the law, its promises over generated cases, and its SQL twin on a real PostgreSQL."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retention.enums import ArchiveMode, RecordClass, Verdict
from retention.law import Hold, Record, decide, held_sql, parameters, verdict_sql
from retention.periods import Period
from retention.policies import DEFAULT_POLICY, Policy, check_policy
from tests.retention import cases

Connection = psycopg.Connection[tuple[Any, ...]]

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
GUARDED = replace(DEFAULT_POLICY, legal_minimum=Period(years=5), legal_basis="a law")
SCRUBBED = replace(DEFAULT_POLICY, archive_mode=ArchiveMode.SCRUBBED)
NO_ARCHIVE = replace(DEFAULT_POLICY, archive_mode=ArchiveMode.NONE)


@pytest.fixture(scope="module")
def connection(postgres_server: str) -> Iterator[Connection]:
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        yield connection


def message(age: timedelta, **facts: Any) -> Record:
    return Record(RecordClass.MESSAGES, NOW - age, **facts)


def archived(age: timedelta) -> Record:
    return Record(RecordClass.ARCHIVE, NOW - age)


def summary(age: timedelta) -> Record:
    return Record(RecordClass.SUMMARIES, NOW - age)


def judged(
    record: Record, policy: Policy = DEFAULT_POLICY, *holds: Hold, erasure: bool = False, now: datetime = NOW
) -> Verdict:
    return decide(record, policy, holds, erasure=erasure, now=now)


DAYS_90 = timedelta(days=90)


@pytest.mark.parametrize(
    ("record", "policy", "hold", "erasure", "expected"),
    [
        # Nothing asks for anything.
        (message(DAYS_90 - TICK), DEFAULT_POLICY, False, False, Verdict.KEEP),
        # 1. A hold, visible only inside the period and while nobody asked to be erased.
        (message(DAYS_90 - TICK), DEFAULT_POLICY, True, False, Verdict.KEEP),
        (message(DAYS_90), DEFAULT_POLICY, True, False, Verdict.KEEP_BEYOND_USE),
        (message(DAYS_90 - TICK), DEFAULT_POLICY, True, True, Verdict.KEEP_BEYOND_USE),
        (message(timedelta(days=9000)), NO_ARCHIVE, True, True, Verdict.KEEP_BEYOND_USE),
        # 2. Past the message period, to the microsecond.
        (message(DAYS_90), DEFAULT_POLICY, False, False, Verdict.ARCHIVE),
        (message(DAYS_90), SCRUBBED, False, False, Verdict.ARCHIVE),
        (message(DAYS_90), NO_ARCHIVE, False, False, Verdict.DESTROY),
        (message(DAYS_90), DEFAULT_POLICY, False, True, Verdict.DESTROY),
        (message(DAYS_90), GUARDED, False, True, Verdict.ARCHIVE),
        # 3. The legal minimum stands against an erasure, and not against use.
        (message(timedelta(days=1)), GUARDED, False, False, Verdict.KEEP),
        (message(timedelta(days=1)), GUARDED, False, True, Verdict.KEEP_BEYOND_USE),
        (archived(timedelta(days=1000)), GUARDED, False, True, Verdict.KEEP_BEYOND_USE),
        # 4. An erasure.
        (message(timedelta(days=1)), DEFAULT_POLICY, False, True, Verdict.DESTROY),
        (archived(timedelta(days=1000)), DEFAULT_POLICY, False, True, Verdict.DESTROY),
        (archived(timedelta(days=5 * 366)), GUARDED, False, True, Verdict.DESTROY),
        # 5. The maximum.
        (archived(timedelta(days=2555)), DEFAULT_POLICY, False, False, Verdict.KEEP),
        (archived(timedelta(days=2557)), DEFAULT_POLICY, False, False, Verdict.DESTROY),
        (summary(timedelta(days=729)), DEFAULT_POLICY, False, False, Verdict.KEEP),
        (summary(timedelta(days=731)), DEFAULT_POLICY, False, False, Verdict.DESTROY),
        (summary(timedelta(days=731)), GUARDED, False, False, Verdict.KEEP_BEYOND_USE),
    ],
)
def test_law_takes_its_five_steps_in_order(
    record: Record, policy: Policy, hold: bool, erasure: bool, expected: Verdict
) -> None:
    assert judged(record, policy, *([Hold()] if hold else []), erasure=erasure) is expected


CUSTOMER, SESSION = cases.PEOPLE[0], cases.SESSIONS[0]


@pytest.mark.parametrize(
    ("hold", "binds"),
    [
        (Hold(), True),
        (Hold(customer_id=CUSTOMER), True),
        (Hold(customer_id=cases.PEOPLE[1]), False),
        (Hold(customer_id=CUSTOMER, session_id=SESSION), True),
        (Hold(customer_id=CUSTOMER, session_id=cases.SESSIONS[1]), False),
        (Hold(start_time=NOW), True),
        (Hold(start_time=NOW + TICK), False),
        (Hold(end_time=NOW + TICK), True),
        (Hold(end_time=NOW), False),
        (Hold(ends_at=NOW + TICK), True),
        (Hold(ends_at=NOW), False),
    ],
)
def test_hold_binds_what_all_its_conditions_cover(hold: Hold, binds: bool) -> None:
    record = message(timedelta(0), customer_id=CUSTOMER, session_id=SESSION)

    assert hold.binds(record, NOW) is binds


def test_hold_on_a_customer_leaves_records_of_nobody_alone() -> None:
    assert not Hold(customer_id=CUSTOMER).binds(message(timedelta(0)), NOW)


def test_hold_on_a_period_binds_a_summary_that_reaches_into_it() -> None:
    summary = Record(RecordClass.SUMMARIES, since=NOW, began=NOW - timedelta(days=30))
    week = timedelta(days=7)

    assert Hold(start_time=NOW - 2 * week, end_time=NOW - week).binds(summary, NOW)
    assert not Hold(end_time=NOW - timedelta(days=30)).binds(summary, NOW)
    assert not Hold(start_time=NOW + TICK).binds(summary, NOW)


def test_last_of_two_holds_still_keeps() -> None:
    released, active = Hold(ends_at=NOW), Hold(customer_id=CUSTOMER)
    record = message(timedelta(days=500), customer_id=CUSTOMER)

    assert judged(record, DEFAULT_POLICY, released, active) is Verdict.KEEP_BEYOND_USE
    assert judged(record, DEFAULT_POLICY, released) is Verdict.ARCHIVE


def test_erasure_without_a_minimum_destroys_in_an_hour_that_a_clock_change_repeats() -> None:
    first_of_two = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    record = Record(RecordClass.MESSAGES, first_of_two)
    policy = replace(DEFAULT_POLICY, zone="Europe/Berlin")

    assert judged(record, policy, erasure=True, now=first_of_two + TICK) is Verdict.DESTROY


@st.composite
def situations(draw: st.DrawFn) -> tuple[Record, Policy, list[Hold], bool, datetime]:
    policy = draw(cases.policies())
    record = draw(cases.records(policy))
    ends = [policy.expires_at(c, record.since) for c in RecordClass]
    now = draw(cases.near(record.since, policy.minimum_ends_at(record.since) or record.since, *ends))
    return record, policy, draw(cases.holds(record, now)), draw(st.booleans()), now


@settings(max_examples=700, deadline=None)
@given(situations())
def test_last_copy_is_never_destroyed_under_a_hold_or_before_the_minimum(
    situation: tuple[Record, Policy, list[Hold], bool, datetime],
) -> None:
    record, policy, holds, erasure, now = situation

    verdict = decide(record, policy, holds, erasure=erasure, now=now)

    if any(hold.binds(record, now) for hold in holds):
        assert verdict in (Verdict.KEEP, Verdict.KEEP_BEYOND_USE)
    minimum_ends_at = policy.minimum_ends_at(record.since)
    if minimum_ends_at and now < minimum_ends_at:
        assert verdict is not Verdict.DESTROY
        # Archived scrubbed, the original would be gone.
        if verdict is Verdict.ARCHIVE and not check_policy(policy):
            assert policy.archive_mode is ArchiveMode.SEALED


@settings(max_examples=700, deadline=None)
@given(situations())
def test_nothing_is_in_use_past_its_period_or_in_spite_of_an_erasure(
    situation: tuple[Record, Policy, list[Hold], bool, datetime],
) -> None:
    record, policy, holds, erasure, now = situation

    verdict = decide(record, policy, holds, erasure=erasure, now=now)

    past = now >= policy.expires_at(record.record_class, record.since)
    assert (verdict is Verdict.KEEP) is (not past and not erasure)


@settings(max_examples=700, deadline=None)
@given(situations())
def test_what_is_archived_is_not_destroyed_at_once_by_the_erasure_that_found_it(
    situation: tuple[Record, Policy, list[Hold], bool, datetime],
) -> None:
    record, policy, holds, erasure, now = situation

    if erasure and decide(record, policy, holds, erasure=True, now=now) is Verdict.ARCHIVE:
        kept = replace(record, record_class=RecordClass.ARCHIVE)
        assert decide(kept, policy, holds, erasure=True, now=now) is Verdict.KEEP_BEYOND_USE


JUDGE = """
    WITH hold (customer_id, session_id, start_time, end_time, ends_at) AS (
        SELECT * FROM unnest(
            %(hold_customers)s::uuid[], %(hold_sessions)s::uuid[], %(hold_starts)s::timestamptz[],
            %(hold_ends)s::timestamptz[], %(hold_graces)s::timestamptz[]
        )
    ), record (since, began, customer_id, session_id) AS (
        VALUES (%(since)s::timestamptz, %(began)s::timestamptz, %(customer_id)s::uuid, %(session_id)s::uuid)
    )
    SELECT {verdict} FROM record r
"""


@settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(situation=situations())
def test_law_in_python_and_in_postgresql_agree(
    connection: Connection, situation: tuple[Record, Policy, list[Hold], bool, datetime]
) -> None:
    record, policy, holds, erasure, now = situation
    held = held_sql(
        "hold",
        since="r.since",
        began="coalesce(r.began, r.since)",
        customer_id="r.customer_id",
        session_id="r.session_id",
    )
    facts = {
        "hold_customers": [hold.customer_id for hold in holds],
        "hold_sessions": [hold.session_id for hold in holds],
        "hold_starts": [hold.start_time for hold in holds],
        "hold_ends": [hold.end_time for hold in holds],
        "hold_graces": [hold.ends_at for hold in holds],
        "since": record.since,
        "began": record.began,
        "customer_id": record.customer_id,
        "session_id": record.session_id,
        "erasure": erasure,
    }

    row = connection.execute(
        JUDGE.format(verdict=verdict_sql("r.since", held=held, erasure="%(erasure)s")),
        facts | parameters(record.record_class, policy, now),
    ).fetchone()

    assert row == (decide(record, policy, holds, erasure=erasure, now=now).value,)
