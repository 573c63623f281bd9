"""`/query`, `/count` and `/exists`, as `API.md` section 3 has them."""

from datetime import UTC, datetime, timedelta
from operator import eq, ge, gt, le, lt

import pytest
from django.db import connection, connections

from conversations.exceptions import Invalid
from conversations.filters import Kind, parse_filter, parse_order
from conversations.mirror.drain import drain
from conversations.models import Customer, Session
from conversations.services import querying
from conversations.services.querying import by_index
from conversations.tenancy import tenant_scope
from tests.conversations.api.conftest import Caller

MONTH = timedelta(days=30)


def make(caller: Caller, **fields) -> str:
    return caller("POST", "/sessions", fields).json()["id"]


def say(caller: Caller, session: str, *messages: dict) -> list[str]:
    given = [{"role": "user", "content": "hello", **message} for message in messages]
    stored = caller("POST", f"/sessions/{session}/messages", {"messages": given})
    assert stored.status_code == 201, stored.content
    return [message["id"] for message in stored.json()["data"]]


def ask(caller: Caller, kind: str, filter: dict, **rest):
    response = caller("POST", f"/{kind}/query", {"filter": filter, **rest})
    assert response.status_code == 200, response.content
    return response.json()


def found(caller: Caller, kind: str, filter: dict, **rest) -> list[str]:
    return [row["id"] for row in ask(caller, kind, filter, **rest)["data"]]


@pytest.fixture
def messages(caller) -> list[str]:
    session = make(caller, customer_id="ann")
    return say(
        caller,
        session,
        {
            "intent": "order",
            "intent_confidence": 0.9,
            "metadata": {"order": {"lines": 3}, "tags": ["a", "b"]},
        },
        {"intent": "order", "role": "assistant", "metadata": {"order": {"lines": 5}}},
        {"intent": "complaint", "name": "Ann"},
        {},
    )


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ({}, [3, 2, 1, 0]),
        ({"intent": "order"}, [1, 0]),
        ({"intent": {"$ne": "order"}}, [3, 2]),
        ({"intent": {"$in": []}}, []),
        ({"intent": {"$exists": False}}, [3]),
        ({"user_id": "ann", "role": "assistant"}, [1]),
        ({"message_type": "llm_response"}, [1]),
        ({"message_type": {"$in": ["llm_response"]}}, [1]),
        ({"customer_id": "bob"}, []),
        ({"metadata.order.lines": 3}, [0]),
        ({"metadata.order.lines": {"$gt": 3}}, [1]),
        ({"metadata.tags": "b"}, [0]),
        ({"metadata.order": {"$exists": True}}, [1, 0]),
        ({"$or": [{"name": "Ann"}, {"intent_confidence": {"$gte": 0.5}}]}, [2, 0]),
        ({"position": {"$not": {"$lte": 2}}}, [3, 2]),
    ],
)
def test_query_answers_what_the_filter_describes_newest_first(caller, messages, filter, expected):
    assert found(caller, "messages", filter) == [messages[i] for i in expected]


def test_search_takes_the_other_names_of_a_customer_and_a_role(caller):
    session = make(caller, customer_id="ann")
    say(caller, session, {"content": "which cream?"}, {"content": "this cream", "role": "assistant"})
    drain()
    asked = {"query": "cream", "user_id": "ann", "message_type": "llm_response"}

    hits = caller("POST", "/search", asked).json()["data"]
    refused = [
        caller("POST", "/search", asked | more).json()["errors"][0]["field"]
        for more in ({"customer_id": "bob"}, {"role": "user"})
    ]

    assert [hit["message"]["content"] for hit in hits] == ["this cream"]
    assert refused == ["user_id", "message_type"]


def test_query_shows_whole_messages(caller, messages):
    (row,) = ask(caller, "messages", {"metadata.order.lines": 5})["data"]

    assert row == caller("GET", f"/messages/{messages[1]}").json()


def test_query_pages_by_the_last_id(caller, messages):
    first = ask(caller, "messages", {}, limit=3)
    second = ask(caller, "messages", {}, limit=3, after=first["last_id"])

    assert (first["has_more"], second["has_more"]) == (True, False)
    assert [row["id"] for row in (*first["data"], *second["data"])] == messages[::-1]


def test_query_pages_after_a_row_that_the_filter_does_not_describe(caller, messages):
    assert found(caller, "messages", {"intent": "order"}, after=messages[1]) == [messages[0]]


def test_query_orders_as_asked(caller, messages):
    assert found(caller, "messages", {}, order_by=["created_at"]) == messages
    assert found(caller, "messages", {}, order_by=["-position"]) == messages[::-1]


def test_query_orders_sessions_by_their_last_message_with_silent_ones_last(caller):
    silent, first, second = (make(caller) for _ in range(3))
    say(caller, second, {})
    say(caller, first, {})

    assert found(caller, "sessions", {}, order_by=["-last_message_at"]) == [first, second, silent]
    pages = [
        ask(caller, "sessions", {}, order_by=["-last_message_at"], limit=1, after=after)["data"][0]["id"]
        for after in (first, second)
    ]
    assert pages == [second, silent]


HOUR = datetime(2026, 3, 1, 10, tzinfo=UTC)
LAST_MESSAGES = [
    HOUR + timedelta(microseconds=n) for n in (-1, 0, 1, 1_800_000_000, 3_599_999_999, 3_600_000_000)
]


@pytest.mark.parametrize("operator", ["$gt", "$gte", "$lt", "$lte", "$eq"])
@pytest.mark.parametrize("at", [*LAST_MESSAGES, HOUR + timedelta(minutes=7)])
def test_sessions_are_filtered_by_the_microsecond_of_their_last_message(caller, operator, at):
    with tenant_scope(caller.tenant_id):
        rows = [
            Session.objects.create(tenant_id=caller.tenant_id, last_message_at=moment)
            for moment in (None, *LAST_MESSAGES)
        ]
    holds = {"$gt": gt, "$gte": ge, "$lt": lt, "$lte": le, "$eq": eq}[operator]
    expected = [str(row.id) for row in rows[1:] if holds(row.last_message_at, at)]

    answer = found(
        caller, "sessions", {"last_message_at": {operator: at.isoformat()}}, order_by=["last_message_at"]
    )

    assert answer == expected


def test_sessions_by_their_last_message_are_read_from_an_index(caller):
    with tenant_scope(caller.tenant_id):
        order = by_index(parse_order(["-last_message_at"], Kind.SESSIONS))
        rows = Session.objects.for_tenant(caller.tenant_id).live().order_by(*order.expressions())[:50]
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("SET LOCAL enable_sort = off")
        plan = rows.explain()

    assert "Incremental Sort" in plan
    assert "session_last_message" in plan


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ({"channel": "web"}, [0]),
        ({"context.cart": 2}, [0]),
        ({"intents.primary": "order"}, [1]),
        ({"outcome.success": True}, [1]),
        ({"status": "open"}, [0]),
        ({"message_count": {"$gte": 1}}, [0]),
    ],
)
def test_sessions_are_filtered_by_their_fields(caller, filter, expected):
    sessions = [make(caller, channel="web", context={"cart": 2}), make(caller, intents={"primary": "order"})]
    say(caller, sessions[0], {})
    caller("POST", f"/sessions/{sessions[1]}/close", {"outcome": {"success": True}})

    assert found(caller, "sessions", filter) == [sessions[i] for i in expected]


def test_times_are_bounds_to_the_microsecond(caller):
    at = datetime.now(UTC) - timedelta(hours=1)
    times = [(at + timedelta(microseconds=n)).isoformat() for n in range(3)]
    message_ids = say(caller, make(caller), *({"created_at": time} for time in times))

    for operator, expected in {"$lt": [0], "$lte": [1, 0], "$eq": [1], "$gte": [2, 1], "$gt": [2]}.items():
        answered = found(caller, "messages", {"created_at": {operator: times[1]}})
        assert answered == [message_ids[i] for i in expected]


@pytest.mark.parametrize(
    ("filter", "count"), [({"intent": "order"}, 2), ({"metadata.order.lines": 9}, 0), ({}, 4)]
)
def test_count_and_exists(caller, messages, filter, count):
    assert caller("POST", "/messages/count", {"filter": filter}).json() == {"count": count}
    assert caller("POST", "/messages/exists", {"filter": filter}).json() == {"exists": count > 0}


@pytest.mark.parametrize("filter", [{}, {"metadata.order": {"$exists": True}}])
def test_hidden_messages_are_not_found(caller, messages, filter):
    assert caller("DELETE", f"/messages/{messages[0]}").status_code == 202

    assert messages[0] not in found(caller, "messages", filter)
    assert caller("POST", "/messages/count", {"filter": {"position": 1, **filter}}).json() == {"count": 0}


@pytest.mark.parametrize("filter", [{}, {"metadata.a": 1}])
def test_expired_messages_are_not_found(caller, filter):
    old = (datetime.now(UTC) - 4 * MONTH).isoformat()
    session = make(caller)
    _, kept = say(caller, session, {"created_at": old, "metadata": {"a": 1}}, {"metadata": {"a": 1}})

    assert found(caller, "messages", filter) == [kept]
    assert caller("POST", "/messages/count", {"filter": filter}).json() == {"count": 1}


@pytest.mark.parametrize("filter", [{}, {"metadata.order": {"$exists": True}}, {"customer_id": "ann"}])
@pytest.mark.parametrize("kind", ["messages", "sessions"])
def test_another_tenants_rows_are_not_found(caller, issue, messages, kind, filter):
    stranger = issue()
    filter = filter if kind == "messages" else {name: 1 for name in filter if "metadata" in name}

    assert found(stranger, kind, filter) == []
    assert stranger("POST", f"/{kind}/count", {"filter": filter}).json() == {"count": 0}


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "filter", "required"),
        ({"filter": []}, "filter", "wrong_type"),
        ({"filter": {"colour": 1}}, "filter.colour", "unknown_field"),
        ({"filter": {"role": {"$regex": "."}}}, "filter.role.$regex", "unknown_operator"),
        ({"filter": {}, "order_by": ["content"]}, "order_by", "unknown_field"),
        ({"filter": {}, "limit": 201}, "limit", "invalid"),
        ({"filter": {}, "after": "01890000-0000-4000-8000-000000000000"}, "after", "bad_cursor"),
        ({"filter": {}, "offset": 3}, "offset", "unknown_field"),
    ],
)
def test_bad_queries_are_refused(caller, body, field, code):
    response = caller("POST", "/messages/query", body)

    assert response.status_code == 400
    assert [(error["field"], error["code"]) for error in response.json()["errors"]] == [(field, code)]


def test_a_filter_that_takes_too_long_is_refused_by_its_field(caller, messages, monkeypatch):
    monkeypatch.setattr(querying, "PATIENCE", timedelta(milliseconds=100))
    tree = parse_filter({"intent": "order", "metadata.order.lines": {"$gt": 1}}, Kind.MESSAGES)

    with (
        pytest.raises(Invalid) as refused,
        querying.selecting(Kind.MESSAGES, caller.tenant_id, tree) as selected,
        connections[selected.rows.db].cursor() as cursor,
    ):
        cursor.execute("SELECT pg_sleep(5)")

    assert [error.field for error in refused.value.errors] == ["filter.intent", "filter.metadata.order.lines"]
    assert caller("POST", "/messages/count", {"filter": {}}).json() == {"count": 4}


def test_json_paths_use_their_index(caller, messages):
    tree = parse_filter({"metadata.order.lines": 3}, Kind.MESSAGES)

    with querying.selecting(Kind.MESSAGES, caller.tenant_id, tree) as selected:
        with connections["ops"].cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("SET LOCAL enable_indexscan = off")
        plan = selected.rows.explain()

    assert "metadata" in plan
    assert "Bitmap Index Scan" in plan


@pytest.mark.parametrize("rows", [1, 3])
def test_the_number_of_statements_does_not_grow(caller, rows, django_assert_max_num_queries):
    say(caller, make(caller, customer_id="ann"), *({} for _ in range(rows)))
    found(caller, "messages", {"customer_id": "ann"})

    with django_assert_max_num_queries(14):
        assert len(found(caller, "messages", {"customer_id": "ann"})) == rows


def test_no_customer_is_made_by_asking_for_one(caller):
    found(caller, "sessions", {"customer_id": "nobody"})

    with tenant_scope(caller.tenant_id):
        assert not Customer.objects.exists()
        assert not Session.objects.exists()
