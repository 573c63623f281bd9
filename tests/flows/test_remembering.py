"""The spine's story: what is said is stored, mirrored, recalled, and gone when it is deleted."""

import os
import signal

from tests.flows.conftest import mirrored
from tests.waiting import eventually

TALK = [
    ("user", "Ann", "My red bicycle was stolen in Lisbon, near the river."),
    ("assistant", "Bot", "I am sorry to hear that. When did it happen?"),
    ("user", "Ann", "Last Tuesday evening. You can reach me at ann@example.com."),
    ("assistant", "Bot", "Thank you. I have told the insurance."),
    ("user", "Ann", "我还想退款上周买的面霜"),
]


def converse(agent, **fields):
    session = agent.ok("POST", "/sessions", fields)
    messages = [{"role": role, "name": name, "content": content} for role, name, content in TALK]
    stored = agent.ok("POST", f"/sessions/{session['id']}/messages", {"messages": messages})["data"]
    return session, stored


def test_what_was_said_comes_back_from_every_store(new_tenant):
    agent = new_tenant()
    _, stored = converse(agent, external_id="s1", customer_id="ann")
    eventually(lambda: mirrored(agent))

    found = eventually(
        lambda: next(
            (
                answer
                for answer in [
                    agent.ok("POST", "/search", {"query": "What was stolen in Lisbon?", "customer_id": "ann"})
                ]
                if {"elasticsearch", "milvus"} <= set(answer["stores"]) and answer["data"]
            ),
            None,
        )
    )

    assert found["degraded"] == []
    assert found["data"][0]["message"]["id"] == stored[0]["id"]
    assert found["data"][0]["message"]["content"] == TALK[0][2]
    message = agent.ok("GET", f"/messages/{stored[0]['id']}")
    assert message["processing"] == {"mirrored": True, "embedded": True}


def test_chinese_is_found_among_english(new_tenant):
    agent = new_tenant()
    _, stored = converse(agent, customer_id="ann")
    eventually(lambda: mirrored(agent))

    hits = eventually(lambda: agent.ok("POST", "/search", {"query": "退款", "mode": "text"})["data"])

    assert hits[0]["message"]["id"] == stored[4]["id"]


def test_the_next_session_knows_the_last_one(new_tenant):
    agent = new_tenant()
    converse(agent, customer_id="ann")
    eventually(lambda: mirrored(agent))
    later = agent.ok("POST", "/sessions", {"customer_id": "ann"})
    agent.ok(
        "POST", f"/sessions/{later['id']}/messages", {"role": "user", "content": "Any news about my bicycle?"}
    )

    context = eventually(
        lambda: next(
            (c for c in [agent.ok("POST", f"/sessions/{later['id']}/context", {})] if c["recalled"]),
            None,
        )
    )

    assert "red bicycle" in context["text"]
    assert [m["content"] for m in context["recent_messages"]] == ["Any news about my bicycle?"]
    receipt = agent.ok("GET", f"/context-receipts/{context['receipt_id']}")
    assert {item["id"] for item in receipt["items"]} >= {hit["message"]["id"] for hit in context["recalled"]}


def test_another_tenant_finds_nothing(new_tenant):
    owner, stranger = new_tenant(), new_tenant()
    session, stored = converse(owner, external_id="s1", customer_id="ann")
    eventually(lambda: mirrored(owner))

    assert stranger.ok("POST", "/search", {"query": "bicycle"})["data"] == []
    assert stranger.ok("POST", "/search", {"query": "bicycle", "mode": "vector"})["data"] == []
    assert stranger("GET", f"/sessions/{session['id']}").status_code == 404
    assert stranger("GET", f"/messages/{stored[0]['id']}").status_code == 404


def test_what_is_deleted_leaves_every_store(new_tenant, installed):
    agent = new_tenant()
    session, _ = converse(agent, customer_id="ann")
    eventually(lambda: mirrored(agent))

    assert agent("DELETE", f"/sessions/{session['id']}").status_code == 202

    assert agent.ok("POST", "/search", {"query": "bicycle"})["data"] == []
    assert agent("GET", f"/sessions/{session['id']}/window").status_code in (404, 410)
    eventually(lambda: mirrored(agent))
    report = installed.json("verify_mirrors", "--tenant", agent.tenant)
    assert report["elasticsearch"]["extra"] == report["milvus"]["extra"] == 0


def test_the_same_key_stores_once(new_tenant):
    agent = new_tenant()
    session = agent.ok("POST", "/sessions", {})
    path, body = f"/sessions/{session['id']}/messages", {"role": "user", "content": "once"}

    first = agent("POST", path, body, **{"Idempotency-Key": "k1"})
    again = agent("POST", path, body, **{"Idempotency-Key": "k1"})
    other = agent("POST", path, {**body, "content": "else"}, **{"Idempotency-Key": "k1"})

    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert agent.ok("GET", f"/sessions/{session['id']}")["message_count"] == 1


def kill(process: int) -> bool:
    """Whether it was there: after the round before, a server may still be coming back."""
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def test_no_acknowledged_message_is_lost_when_web_and_worker_are_killed(new_tenant, installed):
    agent = new_tenant()
    session = agent.ok("POST", "/sessions", {"customer_id": "ann"})
    path = f"/sessions/{session['id']}/messages"
    acknowledged = []

    for round_ in range(3):
        for number in range(10):
            name = f"{round_}-{number}"
            body = {"role": "user", "content": name, "external_id": name}
            acknowledged.append(agent.patiently("POST", path, body).json()["id"])
            if number == 5:
                for server in ("web", "worker"):
                    eventually(lambda server=server: kill(installed.processes()[server]))

    repeated = agent.patiently("POST", path, {"role": "user", "content": "0-0", "external_id": "0-0"})
    listed = agent.patiently("GET", f"{path}?limit=200").json()["data"]
    assert repeated.status_code == 200
    assert [m["id"] for m in listed] == acknowledged
    assert [m["position"] for m in listed] == list(range(1, 31))
    eventually(lambda: mirrored(agent), 40)


def test_verify_finds_nothing_to_say(new_tenant, installed):
    agent = new_tenant()
    converse(agent, customer_id="ann")
    eventually(lambda: mirrored(agent))

    report = installed.json("verify_mirrors", "--tenant", agent.tenant)

    for store in ("elasticsearch", "milvus"):
        assert report[store]["checked"] > 0
        assert (report[store]["missing"], report[store]["stale"], report[store]["extra"]) == (0, 0, 0)
