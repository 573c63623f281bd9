"""The layered memory: a window that works alone, an index, vectors of one's own, and artefacts of voice and image."""

import math

from tests.flows.conftest import mirrored
from tests.waiting import eventually

ARTEFACTS = [
    {"kind": "transcription", "text": "I would like the cream that smells of jasmine."},
    {"kind": "image_analysis", "data": {"description": "a rash on the left cheek", "labels": ["redness"]}},
    {"kind": "voice_pattern", "data": {"emotion": "calm", "pace": "slow"}},
]


def test_the_window_holds_the_last_twenty_and_leaves_out_the_system(new_tenant):
    agent = new_tenant()
    session = agent.ok("POST", "/sessions", {"thread_id": "t-1"})["id"]
    path = f"/sessions/{session}/messages"
    agent.ok("POST", path, {"role": "system", "content": "You are kind."})
    for number in range(25):
        role = "assistant" if number % 2 else "user"
        agent.ok("POST", path, {"role": role, "content": str(number)})

    window = agent.ok("GET", f"/sessions/{session}/window")
    everything = agent.ok("GET", f"/sessions/{session}/window?limit=200&include_system=true")

    assert [message["content"] for message in window["data"]] == [str(number) for number in range(5, 25)]
    assert window["source"] == "redis"
    assert (everything["data"][0]["role"], len(everything["data"])) == ("system", 26)


def test_prepare_call_and_save_are_two_calls(new_tenant):
    agent = new_tenant()
    session = agent.ok("POST", "/sessions", {"thread_id": "t-1", "user_id": "li"})["id"]
    agent.ok("POST", f"/sessions/{session}/messages", {"role": "user", "content": "Is it vegan?"})

    prepared = agent.ok("POST", f"/sessions/{session}/context", {"max_tokens": 500})
    reply = {"role": "assistant", "content": "It is.", "model": "m-1", "usage": {"total_tokens": 9}}
    saved = agent("POST", f"/sessions/{session}/messages", reply)

    assert "Is it vegan?" in prepared["text"]
    assert saved.status_code == 201
    after = agent.ok("POST", f"/sessions/{session}/context", {})
    assert [message["content"] for message in after["recent_messages"]] == ["Is it vegan?", "It is."]


def test_memories_bring_their_own_vectors_and_end_in_time(new_tenant):
    agent = new_tenant()
    dimension = agent.ok("GET", "/capabilities")["embedding"]["dimension"]

    def vector(angle: float) -> list[float]:
        return [math.cos(angle), math.sin(angle), *[0.0] * (dimension - 2)]

    memories = [
        {"content": f"memory {number}", "customer_id": "li", "embedding": vector(number / 4)}
        for number in range(4)
    ]
    made = agent.ok("POST", "/memories/bulk", {"create": memories})["created"]
    eventually(lambda: mirrored(agent))

    hits = agent.ok("POST", "/memories/search", {"embedding": vector(0.5), "top_k": 2, "customer_id": "li"})[
        "data"
    ]
    assert hits[0]["memory"]["content"] == "memory 2"
    agent.ok("PATCH", f"/memories/{made[2]['id']}", {"expires_at": "2020-01-01T00:00:00Z"})
    hits = agent.ok("POST", "/memories/search", {"embedding": vector(0.5), "top_k": 2})["data"]
    assert "memory 2" not in {hit["memory"]["content"] for hit in hits}
    assert agent("GET", f"/memories/{made[2]['id']}").status_code == 410
    for wrong in ([1.0], [0.0] * dimension):
        refused = agent("POST", "/memories", {"content": "x", "embedding": wrong})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "embedding")


def test_artefacts_are_kept_searched_and_learnt_from(new_tenant):
    agent = new_tenant()
    session = agent.ok("POST", "/sessions", {"customer_id": "li"})["id"]
    body = {"role": "user", "content": "Listen, and look.", "attachments": ARTEFACTS}
    message = agent.ok("POST", f"/sessions/{session}/messages", body)
    eventually(lambda: mirrored(agent))

    for words in ("jasmine cream", "rash on the cheek"):
        hits = eventually(lambda: agent.ok("POST", "/search", {"query": words, "mode": "text"})["data"])  # noqa: B023
        assert hits[0]["message"]["id"] == message["id"]
    kept = agent.ok("GET", f"/messages/{message['id']}")["attachments"]
    assert [one["kind"] for one in kept] == ["transcription", "image_analysis", "voice_pattern"]
    assert kept[1]["data"] == ARTEFACTS[1]["data"]
    traits = eventually(lambda: agent.ok("GET", "/customers/li/portrait")["traits"])
    assert all(message["id"] in trait["source_message_ids"] for trait in traits)
