"""The network operations team: investigations that outlive restarts, what goes wrong most, runbooks of what worked."""

import os
import signal
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

from tests.flows.conftest import mirrored
from tests.waiting import eventually

LAST_MONTH = (datetime.now(UTC) - timedelta(days=30)).date().isoformat()
CASES = [
    ("Paradise", "stale_events", True, "Restart the event collector on the hub."),
    ("NYC-FW-02", "stale_events", True, "Restart the event collector on the hub."),
    ("DC-Core-01", "stale_events", False, None),
    ("DC-Core-02", "connectivity", True, "Reseat the transceiver of uplink 2."),
]


def investigate(agent, device, issue, success, knowledge, engineer="priya"):
    session = agent.ok("POST", "/sessions", {"customer_id": engineer, "title": f"SAL events of {device}"})[
        "id"
    ]
    said = [
        {"role": "user", "name": engineer, "content": f"Find device {device} and check its SAL events"},
        {"role": "tool", "name": "scc_query", "content": '{"last_event": "6 h ago"}'},
        {"role": "assistant", "content": f"{device} has {issue.replace('_', ' ')} since this morning."},
    ]
    agent.ok("POST", f"/sessions/{session}/messages", {"messages": said})
    outcome = {
        "success": success,
        "issue_type": issue,
        "entities": [device],
        "tools_used": ["scc_query", "sal_troubleshoot"],
        "resolution_seconds": 900,
    }
    agent.ok(
        "POST",
        f"/sessions/{session}/close",
        {"outcome": outcome | ({"knowledge": knowledge} if knowledge else {})},
    )
    return session


def test_an_investigation_is_resumed_after_a_restart_and_by_a_colleague(new_tenant, installed):
    agent = new_tenant()
    session = investigate(agent, *CASES[0])
    eventually(lambda: mirrored(agent))

    before = installed.processes()["web"]
    os.kill(before, signal.SIGKILL)
    eventually(lambda: installed.processes().get("web") != before, 40)
    window = agent.patiently("GET", f"/sessions/{session}/window").json()
    later = agent.patiently("POST", "/sessions", {"customer_id": "priya"}).json()["id"]
    question = {"query": "What was wrong with Paradise device?"}
    context = eventually(
        lambda: next(
            (c for c in [agent.ok("POST", f"/sessions/{later}/context", question)] if c["recalled"]), None
        )
    )

    assert [message["role"] for message in window["data"]] == ["user", "tool", "assistant"]
    assert "Paradise has stale events" in context["text"]
    shared = agent.ok("POST", "/search", {"query": "stale events of Paradise"})["data"]
    assert shared[0]["message"]["session_id"] == session


def test_the_team_sees_what_goes_wrong_most_and_what_was_looked_at_this_week(new_tenant):
    agent = new_tenant()
    for case in CASES:
        investigate(agent, *case)

    def groups(by):
        return agent.ok("GET", f"/analytics/sessions?group_by={by}")["data"]

    issues = eventually(lambda: [g for g in [groups("issue_type")] if sum(one["count"] for one in g) == 4])[0]
    assert [(one["key"], one["share"]) for one in issues] == [("stale_events", 0.75), ("connectivity", 0.25)]
    assert issues[0]["avg_resolution_seconds"] == 900
    assert round(issues[0]["success_rate"], 2) == 0.67
    assert {one["key"] for one in groups("entity")} == {device for device, *_ in CASES}
    assert {one["key"]: one["count"] for one in groups("tool")} == {"scc_query": 4, "sal_troubleshoot": 4}


def test_what_worked_before_is_found_again_and_written_down(new_tenant):
    agent = new_tenant()
    sessions = [investigate(agent, *case) for case in CASES]

    query = "/analytics/answers?query=SAL%20events%20are%20stale&issue_type=stale_events"
    eventually(lambda: mirrored(agent))
    answers = eventually(lambda: (found := agent.ok("GET", query)["data"]) and len(found) > 1 and found)
    runbook = agent("GET", f"/sessions/{sessions[0]}/transcript?format=md").text
    page = agent("GET", f"/sessions/{sessions[0]}/transcript?format=html")
    failed = agent("GET", f"/sessions/{sessions[2]}/transcript?format=md").text

    assert {answer["session"]["id"] for answer in answers} == set(sessions[:2])
    assert answers[0]["answer"] == CASES[0][3]
    for word in ("Paradise", "stale_events", "scc_query", "Restart the event collector"):
        assert word in runbook
    assert page.headers["content-type"].startswith("text/html")
    assert "Restart the event collector" not in failed
    written = {"content": runbook[:2000], "kind": "runbook", "external_id": "stale-events"}
    assert agent.ok("POST", "/memories", written)["kind"] == "runbook"


def test_the_old_sqlite_file_moves_in(new_tenant, installed, tmp_path):
    agent = new_tenant()
    path = tmp_path / "conversations.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE chats (chat, who, text, at)")
        rows = [
            ("sal-1", "user", "Is NYC-FW-02 reachable?", f"{LAST_MONTH}T08:00:00Z"),
            ("sal-1", "assistant", "It is not.", f"{LAST_MONTH}T08:00:05Z"),
        ]
        database.executemany("INSERT INTO chats VALUES (?, ?, ?, ?)", rows)
        database.commit()
    mapping = tmp_path / "mapping.json"
    columns = '{"session_id": "chat", "role": "who", "content": "text", "timestamp": "at"}'
    mapping.write_text(f'{{"messages": {{"table": "chats", "columns": {columns}}}}}')
    arguments = ("import_conversations", str(path), "--tenant", agent.tenant, "--format", "sqlite")

    report = installed.json(*arguments, "--mapping", str(mapping))

    assert (report["stored"], report["errors"]) == (2, [])
    session = agent.ok("GET", "/sessions?external_id=sal-1")["data"][0]
    messages = agent.ok("GET", f"/sessions/{session['id']}/messages")["data"]
    assert [message["created_at"] for message in messages] == [
        f"{LAST_MONTH}T08:00:00Z",
        f"{LAST_MONTH}T08:00:05Z",
    ]
