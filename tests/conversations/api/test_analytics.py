"""`/analytics`, as `API.md` section 7 has it: statistics of sessions, and what solved others like them."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connections

from conversations.backends import configured
from conversations.backends.configured import search_store
from conversations.mirror.drain import drain
from tests.conversations.api.conftest import Caller

ISSUES = (
    ("stale events", ["Paradise"], True, 600),
    ("stale events", ["NYC-FW-02", "Paradise"], True, 1200),
    ("stale events", ["DC-Core-01"], False, None),
    ("connectivity", ["Paradise"], True, 300),
)


def make(caller: Caller, *said: str, outcome: dict | None = None, **fields) -> str:
    session = caller("POST", "/sessions", fields).json()["id"]
    if said:
        given = [
            {"role": role, "content": text}
            for role, text in zip(("user", "assistant") * 9, said, strict=False)
        ]
        assert caller("POST", f"/sessions/{session}/messages", {"messages": given}).status_code == 201
    if outcome is not None:
        assert caller("POST", f"/sessions/{session}/close", {"outcome": outcome}).status_code == 200
    return session


def groups(caller: Caller, group_by: str, **query) -> list[dict]:
    parameters = "".join(f"&{name}={value}" for name, value in query.items())
    response = caller("GET", f"/analytics/sessions?group_by={group_by}{parameters}")
    assert response.status_code == 200, response.content
    return response.json()["data"]


@pytest.fixture
def investigations(caller) -> None:
    for issue, entities, success, seconds in ISSUES:
        outcome = {"issue_type": issue, "entities": entities, "success": success, "tools_used": ["scc_query"]}
        make(caller, outcome=outcome | ({"resolution_seconds": seconds} if seconds else {}))


def test_the_most_common_issues_come_with_their_shares(caller, investigations):
    assert groups(caller, "issue_type") == [
        {
            "key": "stale events",
            "count": 3,
            "share": 0.75,
            "avg_resolution_seconds": 900.0,
            "success_rate": 0.667,
        },
        {
            "key": "connectivity",
            "count": 1,
            "share": 0.25,
            "avg_resolution_seconds": 300.0,
            "success_rate": 1.0,
        },
    ]


def test_a_session_counts_under_each_of_its_entities(caller, investigations):
    found = {row["key"]: (row["count"], row["share"]) for row in groups(caller, "entity")}

    assert found == {"Paradise": (3, 0.75), "NYC-FW-02": (1, 0.25), "DC-Core-01": (1, 0.25)}


@pytest.mark.parametrize(
    ("group_by", "keys"),
    [
        ("tool", [("scc_query", 4)]),
        ("success", [(True, 3), (False, 1)]),
        ("channel", []),
        ("language", []),
        ("outlet_id", []),
        ("intent", []),
    ],
)
def test_every_key_is_counted_and_missing_ones_are_not(caller, investigations, group_by, keys):
    assert [(row["key"], row["count"]) for row in groups(caller, group_by)] == keys


def test_intents_are_the_messages_own_and_the_sessions_primary_one(caller):
    first = make(caller, intents={"primary": "order", "confidence": 0.9})
    make(caller, intents={"primary": "complaint"})
    for intent in ("order", "thanks", "thanks"):
        caller("POST", f"/sessions/{first}/messages", {"role": "user", "content": "x", "intent": intent})

    assert [(row["key"], row["count"], row["share"]) for row in groups(caller, "intent")] == [
        ("complaint", 1, 0.5),
        ("order", 1, 0.5),
        ("thanks", 1, 0.5),
    ]


def test_sessions_of_today_and_of_this_week(caller):
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for ago in (timedelta(0), timedelta(days=30)):
        make(caller, created_at=(min(now, midnight + timedelta(seconds=1)) - ago).isoformat(), channel="web")

    (today,) = groups(caller, "day", start=midnight.isoformat().replace("+00:00", "Z"))
    (channel,) = groups(caller, "channel", end=midnight.isoformat().replace("+00:00", "Z"))

    assert (today["key"], today["count"]) == (midnight.date().isoformat(), 1)
    assert channel["count"] == 1
    assert len(groups(caller, "day", interval="month")) == 2


def test_deleted_sessions_are_not_counted(caller, investigations):
    session = make(caller, channel="web")
    caller("DELETE", f"/sessions/{session}")

    assert groups(caller, "channel") == []


def test_another_tenants_sessions_are_not_counted(caller, issue, investigations):
    assert groups(issue(), "issue_type") == []


@pytest.mark.parametrize(
    "query",
    [
        "",
        "group_by=colour",
        "group_by=day&interval=year",
        "group_by=day&start=yesterday",
        "group_by=day&limit=3",
    ],
)
def test_bad_questions_are_refused(caller, query):
    assert caller("GET", f"/analytics/sessions?{query}").status_code == 400


# -- with Elasticsearch


@pytest.fixture
def mirrored(caller, settings, elasticsearch_url):
    settings.ELASTICSEARCH_URL = elasticsearch_url
    settings.ELASTICSEARCH_PREFIX = f"test-{uuid4().hex[:8]}"
    settings.ELASTICSEARCH_INDEX_SETTINGS = {"number_of_shards": 1, "number_of_replicas": 0}
    configured.forget_stores()
    store = search_store()
    call_command("ensure_indexes", verbosity=0)
    yield store
    store.drop_indexes()
    configured.forget_stores()


def answered_by(caller: Caller) -> tuple[list[str], list[str]]:
    body = caller("GET", "/analytics/sessions?group_by=issue_type").json()
    return body["stores"], body["degraded"]


def test_elasticsearch_answers_what_it_has_followed(caller, mirrored, investigations):
    from_postgres = groups(caller, "issue_type")
    assert answered_by(caller) == (["postgresql"], [])
    while drain().done:
        pass

    assert answered_by(caller) == (["elasticsearch"], [])
    assert groups(caller, "issue_type") == from_postgres


def test_postgresql_answers_while_elasticsearch_is_away(caller, mirrored, investigations):
    while drain().done:
        pass
    mirrored.drop_indexes()

    assert answered_by(caller) == (["postgresql"], ["elasticsearch"])
    assert groups(caller, "issue_type")[0]["count"] == 3


def test_what_leaves_the_record_names_nobody(caller, mirrored):
    session = make(
        caller,
        outcome={"success": True, "knowledge": "Write to ann@example.com", "entities": ["91234567"]},
        intents={"primary": "call 98765432"},
    )
    while drain().done:
        pass
    tenant = str(caller.tenant_id)

    def stored(client):
        client.indices.refresh(index=f"{mirrored.prefix}-sessions")
        return client.search(index=f"{mirrored.prefix}-sessions", routing=tenant)["hits"]["hits"][0][
            "_source"
        ]

    document = mirrored.connection.ask(5, stored)
    assert document["id"] == session
    for secret in ("ann@example.com", "91234567", "98765432"):
        assert secret not in str(document)


# -- answers


@pytest.fixture
def solved(caller) -> dict[str, str]:
    return {
        "written": make(
            caller,
            "Paradise shows stale SAL events",
            "Let me look.",
            outcome={
                "success": True,
                "issue_type": "stale events",
                "knowledge": "Restart the SAL collector.",
            },
        ),
        "said": make(
            caller,
            "The events of NYC-FW-02 are stale again",
            "The clock had drifted: set the time server.",
            outcome={"success": True, "issue_type": "stale events"},
        ),
        "failed": make(
            caller,
            "Stale events again",
            "I cannot help.",
            outcome={"success": False, "issue_type": "stale events"},
        ),
        "open": make(caller, "Stale events, stale events", "Looking into stale events."),
        "other": make(
            caller,
            "Billing is wrong",
            "Corrected.",
            outcome={"success": True, "issue_type": "billing", "knowledge": "Ask for a new invoice."},
        ),
    }


def answers(caller: Caller, **query) -> list[dict]:
    parameters = "&".join(f"{name}={value}" for name, value in query.items())
    response = caller("GET", f"/analytics/answers?{parameters}")
    assert response.status_code == 200, response.content
    return response.json()["data"]


def follow() -> None:
    while drain().done:
        pass


def test_answers_closed_similar_sessions_with_success(caller, solved):
    follow()

    found = answers(caller, query="stale%20SAL%20events%20collector")

    assert [answer["session"]["id"] for answer in found] == [solved["written"], solved["said"]]
    assert found[0]["answer"] == "Restart the SAL collector."
    assert found[1]["answer"] == "The clock had drifted: set the time server."
    assert found[0]["object"] == "answer"
    assert found[0]["message"]["content"] == "Let me look."
    assert found[0]["score"] > found[1]["score"] > 0


def test_what_was_learnt_is_found_before_any_mirror_has_followed(caller, solved):
    with connections["ops"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM conversations_messageindex")
        assert cursor.fetchone() == (0,)

    assert [a["session"]["id"] for a in answers(caller, query="collector")] == [solved["written"]]


def test_answers_are_narrowed_by_issue(caller, solved):
    follow()

    assert [a["session"]["id"] for a in answers(caller, issue_type="billing")] == [solved["other"]]
    assert answers(caller, query="stale%20events", issue_type="billing") == []


def test_knowledge_outlives_its_messages(caller, solved):
    for message in caller("GET", f"/sessions/{solved['written']}/messages").json()["data"]:
        caller("DELETE", f"/messages/{message['id']}")

    (answer,) = answers(caller, query="collector")

    assert answer["answer"] == "Restart the SAL collector."
    assert "message" not in answer


def test_another_tenants_answers_are_not_found(caller, issue, solved):
    follow()

    assert answers(issue(), query="stale%20events") == []


@pytest.mark.parametrize("query", ["", "query=", "query=%20", "issue_type=", "query=x&limit=0"])
def test_bad_questions_for_answers_are_refused(caller, query):
    refused = caller("GET", f"/analytics/answers?{query}")

    assert refused.status_code == 400
    assert refused.json()["errors"][0]["field"] in ("query", "issue_type", "limit")
