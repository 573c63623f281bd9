"""The wholesaler on WhatsApp: sessions with intents, analytics, a customer's history, nine operations of each kind."""

from datetime import UTC, datetime

import pytest

from tests.waiting import eventually

PHONE = "6591234567"


@pytest.fixture
def agent(new_tenant):
    return new_tenant()


def order(agent, *, external_id, user=PHONE, language="en"):
    session = agent.ok(
        "POST",
        "/sessions",
        {
            "external_id": external_id,
            "user_id": user,
            "outlet_id": "1",
            "channel": "whatsapp",
            "language": language,
            "intents": {"primary": "order_placement", "confidence": 0.95},
            "context": {"source": "whatsapp", "platform": "tria_aibpo"},
        },
    )
    said = [
        {
            "role": "user",
            "content": "Hi, we need 400 boxes for 10 inch pizzas. Call +65 8123 4567.",
            "intent": "order_placement",
            "intent_confidence": 0.95,
        },
        {"role": "assistant", "content": "I understand you need 400 boxes."},
        {"role": "user", "content": "Yes, and 200 for 12 inch as well.", "intent": "order_placement"},
    ]
    stored = agent.ok("POST", f"/sessions/{session['id']}/messages", {"messages": said})["data"]
    return session, stored


def test_an_order_is_tracked_from_the_first_word(agent):
    session, stored = order(agent, external_id="wa-1")

    found = agent.ok(
        "POST", "/messages/query", {"filter": {"session_id": session["id"]}, "order_by": ["position"]}
    )

    assert [message["content"] for message in found["data"]] == [message["content"] for message in stored]
    assert stored[0]["pii"][0]["type"] == "phone"
    assert agent.ok("GET", f"/sessions/{session['id']}")["intents"]["primary"] == "order_placement"


def test_today_s_sessions_by_language_outlet_and_intent(agent):
    order(agent, external_id="wa-1")
    order(agent, external_id="wa-2", user="6590000000", language="zh")
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0).isoformat()

    def groups(by):
        data = agent.ok("GET", f"/analytics/sessions?group_by={by}")["data"]
        return {group["key"]: (group["count"], group["share"]) for group in data}

    asked = {"filter": {"created_at": {"$gte": today}}}
    assert agent.ok("POST", "/sessions/count", asked) == {"count": 2}
    eventually(lambda: groups("language") == {"en": (1, 0.5), "zh": (1, 0.5)})
    assert groups("outlet_id") == {"1": (2, 1.0)}
    assert groups("channel") == {"whatsapp": (2, 1.0)}
    assert groups("intent") == {"order_placement": (2, 1.0)}
    assert sum(count for count, _ in groups("day").values()) == 2


def test_a_customer_s_history_and_what_is_counted_of_them(agent):
    first, _ = order(agent, external_id="wa-1")
    second, _ = order(agent, external_id="wa-2")
    agent.ok("PUT", f"/customers/{PHONE}/summary", {"session_count": 10, "intents": {"order_placement": 30}})

    history = agent.ok("GET", f"/customers/{PHONE}/sessions?limit=50")["data"]
    counted = agent.ok("GET", f"/customers/{PHONE}/summary")

    assert [session["id"] for session in history] == [second["id"], first["id"]]
    assert (counted["session_count"], counted["message_count"]) == (12, 6)
    assert counted["intents"] == {"order_placement": 34}
    assert (counted["languages"], counted["channels"], counted["outlets"]) == (
        {"en": 2},
        {"whatsapp": 2},
        {"1": 2},
    )
    assert counted["first_interaction_at"] <= counted["last_interaction_at"]
    found = agent.ok(
        "POST", "/summaries/query", {"filter": {"user_id": PHONE, "session_count": {"$gte": 12}}}
    )
    assert [one["customer_id"] for one in found["data"]] == [PHONE]


def test_nine_operations_of_sessions(agent):
    made = agent.ok("POST", "/sessions", {"external_id": "one", "language": "en"})
    bulk = agent.ok(
        "POST",
        "/sessions/bulk",
        {
            "create": [{"external_id": "two"}, {"external_id": "three"}],
            "update": [{"id": made["id"], "language": "zh"}],
        },
    )
    ids = [session["id"] for session in bulk["created"]]
    agent.ok("PATCH", f"/sessions/{ids[0]}", {"channel": "web"})

    assert agent.ok("GET", f"/sessions/{made['id']}")["language"] == "zh"
    assert agent.ok("GET", "/sessions?channel=web")["data"][0]["id"] == ids[0]
    assert agent.ok("POST", "/sessions/count", {"filter": {}}) == {"count": 3}
    assert agent.ok("POST", "/sessions/exists", {"filter": {"external_id": "three"}}) == {"exists": True}
    agent.ok("POST", "/sessions/bulk", {"delete": [ids[1]]})
    assert agent("DELETE", f"/sessions/{ids[0]}").status_code == 202
    assert agent.ok("POST", "/sessions/count", {"filter": {}}) == {"count": 1}


def test_filters_know_the_fields_that_the_team_used(agent):
    session, _ = order(agent, external_id="wa-1")

    def count(kind, filter_):
        return agent.ok("POST", f"/{kind}/count", {"filter": filter_})["count"]

    assert count("sessions", {"context.source": "whatsapp", "intents.primary": "order_placement"}) == 1
    assert count("messages", {"session_id": session["id"], "role": "user", "intent": {"$ne": None}}) == 2
    assert count("messages", {"intent_confidence": {"$gt": 0.9}}) == 1
    assert count("messages", {"$or": [{"role": "assistant"}, {"intent_confidence": {"$lt": 0.5}}]}) == 1
    assert count("sessions", {"outlet_id": {"$in": []}}) == 0
    assert agent("POST", "/messages/count", {"filter": {"content": {"$regex": "box"}}}).status_code == 400
