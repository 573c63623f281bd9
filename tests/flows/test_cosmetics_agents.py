"""The cosmetics sellers: every message with all agents' results, a portrait that follows, tenants apart."""

from tests.flows.conftest import mirrored
from tests.waiting import eventually

AGENTS = {
    "compliance_agent": {"status": "approved", "violations": []},
    "sentiment_agent": {"sentiment": "positive", "score": 0.8},
    "intent_agent": {"intent": "product_inquiry", "confidence": 0.92, "category": "skincare"},
    "sales_agent": {"stage": "consideration", "strategy": "consultative"},
    "product_agent": {"recommendations": ["repair cream", "light foundation"]},
    "memory_agent": {"preferences": {"texture": "light"}, "profile": {"skin_type": "dry"}},
    "strategy_agent": {"strategy": "premium care"},
    "proactive_agent": {"follow_up": "call on Friday"},
    "suggestion_agent": {"suggestions": ["offer a sample"]},
}
METADATA = {
    "processing_time": 1.25,
    "confidence_scores": {"intent": 0.92},
    "compliance_status": "approved",
    "recommendations_generated": 2,
}


def test_a_conversation_is_processed_stored_and_known(new_tenant):
    agent = new_tenant()
    session = agent.ok("POST", "/sessions", {"conversation_id": "c-1", "user_id": "mei", "channel": "wechat"})
    said = {
        "message_type": "user_input",
        "content": "我的皮肤很干，想要轻薄的底妆",
        "metadata": {"user_agent": "WeChat/8"},
    }
    asked = agent.ok("POST", f"/sessions/{session['id']}/messages", said)
    answered = {
        "message_type": "llm_response",
        "content": "The light foundation suits dry skin.",
        "agent_responses": AGENTS,
        "intent": "product_inquiry",
        "metadata": METADATA,
    }
    reply = agent.ok("POST", f"/sessions/{session['id']}/messages", answered)

    stored = agent.ok("GET", f"/messages/{reply['id']}")
    assert (asked["role"], stored["role"]) == ("user", "assistant")
    assert stored["agent_responses"] == AGENTS
    assert stored["metadata"] == METADATA

    portrait = eventually(
        lambda: next(
            (p for p in [agent.ok("GET", "/customers/mei/portrait")] if p["traits"] and p["sentiment_score"]),
            None,
        )
    )
    assert portrait["sentiment_score"] == 0.8
    assert all(trait["source_message_ids"] == [reply["id"]] for trait in portrait["traits"])
    known = {trait["name"]: trait["value"] for trait in portrait["traits"]}
    assert known.items() >= {"texture": "light", "skin_type": "dry", "strategy": "premium care"}.items()
    assert {"products_recommended", "follow_up", "suggestions"} <= known.keys()
    assert portrait["summary"]
    history = agent.ok("GET", "/customers/mei/messages")["data"]
    assert [message["id"] for message in history] == [reply["id"], asked["id"]]


def test_a_portrait_is_merged_from_each_conversation(new_tenant):
    agent = new_tenant()
    first = {"preferences": {"brand": "A"}, "purchase_history": {"orders": 1}, "sentiment_score": 0.2}
    agent.ok("PATCH", "/customers/mei/portrait", first)

    changed = agent(
        "PATCH", "/customers/mei/portrait", {"preferences": {"shade": "ivory"}, "summary": "Likes ivory."}
    )
    lost = agent("PATCH", "/customers/mei/portrait", {"summary": "Old news"}, **{"If-Match": '"1"'})

    portrait = agent.ok("GET", "/customers/mei/portrait")
    assert portrait["preferences"] == {"brand": "A", "shade": "ivory"}
    assert portrait["purchase_history"] == {"orders": 1}
    assert (portrait["version"], changed.headers["ETag"], lost.status_code) == (2, '"2"', 412)
    assert [one["version"] for one in agent.ok("GET", "/customers/mei/portrait/history")["data"]] == [2, 1]


def test_what_a_portrait_rests_on_takes_it_along(new_tenant):
    agent = new_tenant()
    session = agent.ok("POST", "/sessions", {"customer_id": "mei"})["id"]
    body = {"role": "assistant", "content": "Noted.", "agent_responses": AGENTS}
    message = agent.ok("POST", f"/sessions/{session}/messages", body)["id"]
    eventually(lambda: agent.ok("GET", "/customers/mei/portrait")["traits"])
    assert "premium care" in agent.ok("POST", f"/sessions/{session}/context", {})["text"]

    assert agent("DELETE", f"/messages/{message}").status_code == 202

    eventually(lambda: not agent.ok("GET", "/customers/mei/portrait")["traits"], 10)
    eventually(
        lambda: not any(one["traits"] for one in agent.ok("GET", "/customers/mei/portrait/history")["data"]),
        10,
    )
    context = agent.ok("POST", f"/sessions/{session}/context", {})
    assert context["portrait"]["traits"] == []
    assert "premium care" not in context["text"]


def test_tenant_materials_are_found_by_every_conversation_of_the_tenant_and_by_no_other(new_tenant):
    agent, stranger = new_tenant(), new_tenant()
    material = {"content": "The repair cream is free of perfume and suits dry skin.", "kind": "material"}
    agent.ok("POST", "/memories", material)
    session = agent.ok("POST", "/sessions", {"customer_id": "mei"})["id"]
    eventually(lambda: mirrored(agent))

    context = eventually(
        lambda: next(
            (
                answer
                for answer in [
                    agent.ok("POST", f"/sessions/{session}/context", {"query": "cream for dry skin"})
                ]
                if answer["recalled"]
            ),
            None,
        )
    )

    assert "repair cream" in context["text"]
    assert stranger.ok("POST", "/memories/search", {"query": "repair cream"})["data"] == []
    assert agent.ok("GET", "/stats")["memories"] == 1


def test_a_batch_of_a_hundred_is_stored_at_once_and_counted(new_tenant):
    agent = new_tenant()
    session = agent.ok("POST", "/sessions", {"customer_id": "mei"})["id"]
    batch = [{"role": "user", "content": f"line {number}"} for number in range(100)]

    stored = agent.ok("POST", f"/sessions/{session}/messages", {"messages": batch})["data"]

    assert [message["position"] for message in stored] == list(range(1, 101))
    eventually(lambda: agent.ok("GET", "/stats")["messages"] == 100)
    assert agent.ok("GET", "/stats")["mirror"]["pending"] >= 0
