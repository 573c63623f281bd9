"""Generated records, policies and holds, crowded around leap days, clock changes and equal moments."""

from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from retention.enums import ArchiveMode, RecordClass
from retention.law import Hold, Record
from retention.periods import NO_TIME, Period
from retention.policies import Policy

# Half-hour and negative summer time, clocks that change at midnight, a day that never was, odd offsets.
ZONES = (
    "UTC",
    "Asia/Singapore",
    "Asia/Shanghai",
    "Asia/Kathmandu",
    "Europe/Berlin",
    "Europe/Dublin",
    "America/New_York",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
)

zones = st.sampled_from(ZONES)
microseconds = st.timedeltas(min_value=timedelta(microseconds=-1), max_value=timedelta(microseconds=1))
moments = st.datetimes(datetime(1970, 1, 1), datetime(2036, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001

month_ends = st.builds(
    lambda year, month, time: datetime(year, month, 1, tzinfo=UTC) + time,
    st.integers(1970, 2036),
    st.sampled_from([1, 2, 3, 12]),
    st.timedeltas(min_value=timedelta(days=-3), max_value=timedelta(days=1)),
)

periods = st.one_of(
    st.builds(Period, days=st.integers(0, 800)),
    st.builds(Period, years=st.integers(0, 10)),
    st.builds(Period, months=st.integers(0, 40)),
    st.builds(Period, st.integers(0, 7), st.integers(0, 14), st.integers(0, 9), st.integers(0, 62)),
)


def transitions(zone: str) -> list[datetime]:
    """The hours in which the zone changes its clock, from 1970 to 2036."""
    hours = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=6 * i) for i in range(66 * 1461))
    before = None
    found = []
    for hour in hours:
        offset = hour.astimezone(ZoneInfo(zone)).utcoffset()
        if before is not None and offset != before:
            found.append(hour)
        before = offset
    return found


@st.composite
def beginnings(draw: st.DrawFn, zone: str, period: Period) -> datetime:
    """A moment whose expiry is anywhere, at a month's end, or where the zone's clock jumps."""
    changes = _TRANSITIONS[zone]
    kind = draw(st.sampled_from(["anywhere", "month end", "change", "lands on change"]))
    if kind == "anywhere" or (not changes and kind != "month end"):
        return draw(moments)
    if kind == "month end":
        return draw(month_ends)
    change = draw(st.sampled_from(changes)) + draw(
        st.timedeltas(min_value=timedelta(hours=-8), max_value=timedelta(hours=2))
    )
    if kind == "change":
        return change
    return change - timedelta(days=draw(st.integers(period.fewest_days, period.most_days)))


_TRANSITIONS = {zone: transitions(zone) for zone in ZONES}


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Any policy, contradictory ones too: the law has an answer for each."""
    minimum = draw(st.one_of(st.just(NO_TIME), periods))
    return Policy(
        messages=draw(periods),
        summaries=draw(periods),
        archive=draw(periods),
        archive_mode=draw(st.sampled_from(ArchiveMode)),
        legal_minimum=minimum,
        legal_basis="a law" if minimum else "",
        zone=draw(zones),
    )


PEOPLE = (UUID(int=1), UUID(int=2))
SESSIONS = (UUID(int=11), UUID(int=12))


@st.composite
def records(draw: st.DrawFn, policy: Policy) -> Record:
    record_class = draw(st.sampled_from(RecordClass))
    since = draw(beginnings(policy.zone, policy.period(record_class)))
    return Record(
        record_class=record_class,
        since=since,
        began=draw(st.one_of(st.none(), st.just(since - timedelta(days=3)))),
        customer_id=draw(st.one_of(st.none(), st.sampled_from(PEOPLE))),
        session_id=draw(st.one_of(st.none(), st.sampled_from(SESSIONS))),
    )


@st.composite
def near(draw: st.DrawFn, *moments_of_interest: datetime) -> datetime:
    """A microsecond before, at, or after one of the moments; sometimes years away."""
    moment = draw(st.sampled_from(moments_of_interest))
    return moment + draw(
        st.one_of(microseconds, st.sampled_from([timedelta(days=-900), timedelta(days=900)]))
    )


@st.composite
def holds(draw: st.DrawFn, record: Record, now: datetime) -> list[Hold]:
    """Holds that overlap, miss by a microsecond, or have just ended."""
    edges = st.one_of(st.none(), near(record.since, record.began or record.since))
    return draw(
        st.lists(
            st.builds(
                Hold,
                customer_id=st.one_of(st.none(), st.sampled_from(PEOPLE)),
                session_id=st.one_of(st.none(), st.sampled_from(SESSIONS)),
                start_time=edges,
                end_time=edges,
                ends_at=st.one_of(st.none(), near(now)),
            ),
            max_size=3,
        )
    )
