"""Sessions counted by Elasticsearch and by PostgreSQL: the same answers, whatever the sessions are like."""

import datetime as dt
from collections.abc import Iterator
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversations import ids
from conversations.backends.elasticsearch import ElasticsearchStore
from conversations.backends.elasticsearch_connection import ElasticsearchConnection
from conversations.backends.elasticsearch_grouping import ElasticsearchGrouping
from conversations.backends.grouping import Group, GroupBy, Grouping, Groups, Interval
from conversations.backends.postgres_grouping import PostgresGrouping
from conversations.backends.values import Kind, MirrorKey, Outcome, Upsert
from conversations.indexing.changes import session_document
from conversations.models import Session
from conversations.tenancy import tenant_scope
from tests.builders import make_tenant

BEGAN = dt.datetime(2026, 1, 30, 23, 59, tzinfo=dt.UTC)

names = st.sampled_from(
    ["order", "Order", "complaint", "退货", "call 91234567", "call 98765432", "ann@example.com", "z" * 201]
)
labels = st.none() | st.sampled_from(["web", "whatsapp", "电话", "a", "B"])
lists = st.lists(st.sampled_from(["Paradise", "NYC-FW-02", "pump", "泵"]), max_size=4)
moments = st.builds(
    lambda hours, micros: BEGAN + dt.timedelta(hours=hours, microseconds=micros),
    st.integers(0, 24 * 40),
    st.integers(0, 999_999),
)
outcomes = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "success": st.none() | st.booleans(),
        "issue_type": st.none() | st.sampled_from(["stale events", "connectivity"]),
        "entities": st.none() | lists,
        "tools_used": st.none() | lists,
        "resolution_seconds": st.none() | st.integers(0, 10_000) | st.floats(0, 1e6),
    },
)
sessions = st.fixed_dictionaries(
    {
        "created_at": moments,
        "channel": labels,
        "language": labels,
        "outlet_id": labels,
        "outcome": outcomes,
        "intents": st.just({})
        | st.fixed_dictionaries({"primary": st.none() | st.just("") | st.integers() | names}),
        "intent_counts": st.dictionaries(names, st.integers(1, 5), max_size=3),
        "hidden": st.booleans(),
    }
)
groupings = st.fixed_dictionaries(
    {
        "by": st.sampled_from(GroupBy),
        "interval": st.sampled_from(Interval),
        "start": st.none() | moments,
        "end": st.none() | moments,
    }
)


@pytest.fixture(scope="module")
def store(elasticsearch_url) -> Iterator[ElasticsearchStore]:
    small = {"number_of_shards": 3, "number_of_replicas": 0, "refresh_interval": "-1"}
    store = ElasticsearchStore(
        ElasticsearchConnection(elasticsearch_url), prefix=f"test-{uuid4().hex[:8]}", index_settings=small
    )
    store.ensure_indexes()
    yield store
    store.drop_indexes()


def store_both(store: ElasticsearchStore, rows: list[dict]) -> dict:
    """The rows as sessions of a new tenant, in both stores; what is hidden is in PostgreSQL only."""
    tenant = make_tenant(f"tenant {uuid4().hex}")
    made = [
        Session(
            id=ids.new_id(row["created_at"]),
            tenant_id=tenant.id,
            hidden_at=row["created_at"] if row["hidden"] else None,
            **{name: value for name, value in row.items() if name != "hidden"},
        )
        for row in rows
    ]
    with tenant_scope(tenant.id):
        Session.objects.bulk_create(made)
    live = [row for row in made if row.hidden_at is None]
    changes = [Upsert(MirrorKey(Kind.SESSIONS, tenant.id, row.id), 1, session_document(row)) for row in live]
    assert {result.outcome for result in store.apply(changes)} <= {Outcome.DONE}
    return {"tenant_id": tenant.id}


def in_postgres(grouping: Grouping) -> Groups:
    with tenant_scope(grouping.tenant_id):
        return PostgresGrouping().group(grouping)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(sessions, max_size=12), asked=st.lists(groupings, min_size=3, max_size=6))
def test_both_stores_give_the_same_answers(database, store, rows, asked):
    whose = store_both(store, rows)

    for grouping in (Grouping(**whose, **one) for one in asked):
        ours, theirs = in_postgres(grouping), ElasticsearchGrouping(store).group(grouping)

        assert [(group.key, group.count) for group in ours.groups] == [
            (g.key, g.count) for g in theirs.groups
        ]
        assert ours.sessions == theirs.sessions
        for one, other in zip(ours.groups, theirs.groups, strict=True):
            assert one.mean_resolution_seconds == pytest.approx(other.mean_resolution_seconds, abs=0.002)
            assert one.success_rate == pytest.approx(other.success_rate, abs=0.002)


ROWS = [
    {
        "created_at": BEGAN,
        "channel": "web",
        "outcome": {"success": True, "resolution_seconds": 10, "entities": ["a", "b"]},
    },
    {
        "created_at": BEGAN + dt.timedelta(minutes=2),
        "channel": "web",
        "outcome": {"success": False, "entities": ["b", "b"]},
    },
    {
        "created_at": BEGAN + dt.timedelta(days=9),
        "channel": None,
        "outcome": {"success": True, "resolution_seconds": 20},
    },
]
PLAIN = {"language": None, "outlet_id": None, "intents": {}, "intent_counts": {}, "hidden": False}


@pytest.mark.parametrize(
    ("asked", "groups", "sessions"),
    [
        ({"by": GroupBy.CHANNEL}, [Group("web", 2, 10.0, 0.5)], 2),
        ({"by": GroupBy.SUCCESS}, [Group(True, 2, 15.0, 1.0), Group(False, 1, None, 0.0)], 3),
        ({"by": GroupBy.ENTITY}, [Group("b", 2, 10.0, 0.5), Group("a", 1, 10.0, 1.0)], 2),
        (
            {"by": GroupBy.DAY},
            [
                Group("2026-01-30", 1, 10.0, 1.0),
                Group("2026-01-31", 1, None, 0.0),
                Group("2026-02-08", 1, 20.0, 1.0),
            ],
            3,
        ),
        (
            {"by": GroupBy.DAY, "interval": Interval.WEEK},
            [Group("2026-01-26", 2, 10.0, 0.5), Group("2026-02-02", 1, 20.0, 1.0)],
            3,
        ),
        (
            {"by": GroupBy.DAY, "interval": Interval.MONTH},
            [Group("2026-01-01", 2, 10.0, 0.5), Group("2026-02-01", 1, 20.0, 1.0)],
            3,
        ),
        (
            {"by": GroupBy.CHANNEL, "start": BEGAN, "end": BEGAN + dt.timedelta(minutes=2)},
            [Group("web", 1, 10.0, 1.0)],
            1,
        ),
        ({"by": GroupBy.CHANNEL, "start": BEGAN + dt.timedelta(minutes=3)}, [], 0),
        ({"by": GroupBy.INTENT}, [], 0),
    ],
)
def test_groups_are_what_the_contract_says(database, store, asked, groups, sessions):
    grouping = Grouping(**store_both(store, [PLAIN | row for row in ROWS]), **asked)

    assert in_postgres(grouping) == Groups(tuple(groups), sessions)
    assert ElasticsearchGrouping(store).group(grouping) == Groups(tuple(groups), sessions)


def test_intents_are_those_of_messages_and_the_primary_one(database, store):
    rows = [
        {
            **PLAIN,
            "created_at": BEGAN,
            "channel": None,
            "outcome": None,
            "intents": {"primary": primary},
            "intent_counts": counts,
        }
        for primary, counts in (
            ("order", {"order": 3, "thanks": 1}),
            ("order", {}),
            (None, {"call 91234567": 1, "call 98765432": 1}),
        )
    ]
    grouping = Grouping(**store_both(store, rows), by=GroupBy.INTENT)

    counted = in_postgres(grouping)

    assert [(group.key, group.count) for group in counted.groups] == [
        ("order", 2),
        ("call [PHONE_any]", 1),
        ("thanks", 1),
    ]
    assert ElasticsearchGrouping(store).group(grouping) == counted


def test_another_tenants_sessions_are_not_counted(database, store):
    store_both(store, [PLAIN | row for row in ROWS])
    stranger = Grouping(**store_both(store, []), by=GroupBy.CHANNEL)

    assert in_postgres(stranger) == ElasticsearchGrouping(store).group(stranger) == Groups((), 0)
