"""A person is forgotten: in every store, in time, with proof."""

import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from benchmarks.installation import ROOT
from tests.flows.canaries import places_with
from tests.flows.conftest import mirrored
from tests.waiting import eventually

WITHIN = 60  # seconds: what is promised for the embedded stack


def a_word() -> str:
    """One that nobody says and no stemmer cuts."""
    return "".join(random.choices("bcdfghjkmpqrtvwxz", k=14))


def ago(days):
    return (datetime.now(UTC) - timedelta(days=days)).isoformat()


def plant(agent, word):
    """Say the word wherever something can be said of a person; the ids of what holds it."""
    customer = f"person-{word}"
    agent.ok("PUT", f"/customers/{customer}", {"metadata": {"note": word}})
    old = agent.ok("POST", "/sessions", {"customer_id": customer, "created_at": ago(100)})
    said = {"role": "user", "content": f"long ago {word}", "created_at": ago(95)}
    archived = agent.ok("POST", f"/sessions/{old['id']}/messages", said)
    session = agent.ok(
        "POST",
        "/sessions",
        {
            "customer_id": customer,
            "external_id": f"thread-{word}",
            "title": f"about {word}",
            "metadata": {"note": word},
            "context": {"note": word},
            "intents": {"primary": word},
        },
    )
    message = {
        "role": "user",
        "content": f"I said {word} just now",
        "name": word,
        "external_id": f"message-{word}",
        "intent": word,
        "metadata": {"note": word},
        "agent_responses": {"sentiment_agent": {"label": word}},
        "attachments": [{"kind": "transcription", "text": f"spoken {word}", "data": {"note": word}}],
    }
    response = agent(
        "POST", f"/sessions/{session['id']}/messages", message, **{"Idempotency-Key": uuid4().hex}
    )
    spoken = response.json()
    agent.ok("POST", f"/sessions/{session['id']}/close", {"outcome": {"success": True, "knowledge": word}})
    memory = agent.ok("POST", "/memories", {"content": f"remember {word}", "customer_id": customer})
    agent.ok("PATCH", f"/customers/{customer}/portrait", {"preferences": {"likes": word}, "summary": word})
    agent.ok("PATCH", f"/customers/{customer}/portrait", {"preferences": {"likes": f"more {word}"}})
    agent.ok("POST", f"/sessions/{session['id']}/context", {"query": f"what of {word}"})
    agent.ok("GET", f"/sessions/{session['id']}/window")
    export = agent.ok("POST", f"/customers/{customer}/export")
    return customer, [archived["id"], session["id"], spoken["id"], memory["id"], export["id"]]


def test_canaries_are_found_everywhere_before_and_nowhere_after(installed, new_tenant, tmp_path):
    agent = new_tenant()
    gone, kept = a_word(), a_word()
    customer, ids = plant(agent, gone)
    plant(agent, kept)
    installed.manage("purge", "--tenant", agent.tenant, "--class", "messages", "--execute", "--force")
    eventually(lambda: mirrored(agent))
    before = places_with(installed, gone, ids)

    opened = datetime.now(UTC)
    case = agent.ok(
        "POST", "/erasures", {"customer_id": customer, "reason": "asked by letter", "basis": "GDPR 17"}
    )
    verified = eventually(
        lambda: (found := agent.ok("GET", f"/erasures/{case['id']}"))["state"] == "verified" and found,
        WITHIN,
    )
    took = datetime.now(UTC) - opened
    after = places_with(installed, gone, ids)

    assert len(before) >= 12, sorted(before)
    assert {place.split()[0] for place in before} == {
        "postgresql",
        "elasticsearch",
        "milvus",
        "redis",
        "files",
    }
    assert after == set()
    assert took < timedelta(seconds=WITHIN)
    assert len(places_with(installed, kept)) >= 8
    receipt = tmp_path / "receipt.json"
    receipt.write_bytes(agent("GET", f"/erasures/{case['id']}/receipt").content)
    command = [sys.executable, "manage.py", "verify_receipt", str(receipt)]
    told = subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, check=True).stdout
    assert verified["subject"] in told
    assert all(name in told for name in ("elasticsearch", "milvus", "milvus_files", "redis", "postgresql"))
