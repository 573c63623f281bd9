"""The concert chatbot: preferences one by one, context for the next answer, a session that any process can load."""

from datetime import UTC, datetime, timedelta

from tests.flows.conftest import Agent, mirrored
from tests.waiting import eventually

DAYS = [(datetime.now(UTC) - timedelta(days=20 - number)).date().isoformat() for number in range(4)]


def test_preferences_are_kept_changed_and_forgotten(new_tenant):
    agent = new_tenant()
    path = "/customers/user-456/preferences"
    stored = agent.ok(
        "PUT",
        path,
        {"preferences": {"favorite_genres": ["rock", "jazz"], "location_preference": "New York, NY"}},
    )
    agent.ok("PUT", f"{path}/favorite_genres", {"value": ["blues"]})
    one = agent.ok("GET", f"{path}/favorite_genres")

    assert one["value"] == ["blues"]
    assert one["created_at"] <= one["updated_at"]
    now = agent.ok("GET", path)
    assert now["preferences"] == {"favorite_genres": ["blues"], "location_preference": "New York, NY"}
    assert now["created_at"] == stored["created_at"] < now["updated_at"]
    assert agent("DELETE", f"{path}/location_preference").status_code == 204
    assert agent("DELETE", path).status_code == 204
    assert agent.ok("GET", path)["preferences"] == {}
    assert agent("GET", "/customers/nobody/preferences").status_code == 404


def test_the_next_answer_has_what_it_needs_and_a_returning_user_is_known(new_tenant, installed):
    agent = new_tenant()
    agent.ok("PUT", "/customers/user-789/preferences", {"preferences": {"preferred_venues": ["Blue Note"]}})
    first = agent.ok("POST", "/sessions", {"external_id": "session-1", "user_id": "user-789"})["id"]
    said = [
        {
            "message_id": f"msg-{number}",
            "role": "assistant" if number % 2 else "user",
            "content": text,
            "metadata": {"intent": "general_query"},
        }
        for number, text in enumerate(("Any blues this weekend?", "Yes, at the Blue Note on Saturday."))
    ]
    agent.ok("POST", f"/sessions/{first}/messages", {"messages": said})
    eventually(lambda: mirrored(agent))

    # Another process with the same key: nothing but the ids is carried over.
    other = Agent(installed.url, str(agent.http.headers["Authorization"]).removeprefix("Bearer "))
    loaded = other.ok("GET", "/sessions?external_id=session-1")["data"][0]
    history = other.ok("GET", f"/sessions/{loaded['id']}/messages?limit=10")["data"]
    back = other.ok("POST", "/sessions", {"external_id": "session-2", "user_id": "user-789"})["id"]
    context = eventually(
        lambda: next(
            (
                answer
                for answer in [
                    other.ok(
                        "POST",
                        f"/sessions/{back}/context",
                        {"query": "Recommend a concert", "message_limit": 10},
                    )
                ]
                if answer["recalled"]
            ),
            None,
        )
    )

    assert [message["external_id"] for message in history] == ["msg-0", "msg-1"]
    assert context["preferences"] == {"preferred_venues": ["Blue Note"]}
    known = context["portrait"]["interactions"]
    assert (known["session_count"], known["message_count"]) == (2, 2)
    assert known["last_interaction_at"] is not None
    assert "Blue Note" in context["text"]
    summary = other.ok("POST", f"/sessions/{first}/context", {})["conversation_summary"]
    assert (summary["message_count"], summary["roles"]) == (2, {"user": 1, "assistant": 1})


def test_history_by_time_across_sessions_and_its_deletion(new_tenant):
    agent = new_tenant()
    session = agent.ok("POST", "/sessions", {"external_id": "session-1", "user_id": "u"})["id"]
    path = f"/sessions/{session}/messages"
    for day in (1, 2, 3):
        body = {"role": "user", "content": f"day {day}", "created_at": f"{DAYS[day]}T10:00:00Z"}
        agent.ok("POST", path, body)

    within = agent.ok("GET", f"{path}?start_time={DAYS[2]}T00:00:00Z&end_time={DAYS[3]}T00:00:00Z")["data"]
    everything = agent.ok("GET", "/customers/u/messages?limit=2")

    assert [message["content"] for message in within] == ["day 2"]
    assert [message["content"] for message in everything["data"]] == ["day 3", "day 2"]
    assert everything["has_more"]
    assert agent("DELETE", f"/sessions/{session}").status_code == 202
    assert agent("GET", path).status_code in (404, 410)
    assert agent.ok("GET", "/customers/u/messages")["data"] == []


def test_the_old_tables_move_in(new_tenant, installed, tmp_path):
    agent = new_tenant()
    items = tmp_path / "items.json"
    items.write_text(
        f'{{"Item": {{"session_id": {{"S": "s"}}, "timestamp": {{"S": "{DAYS[1]}T10:00:00Z"}}, "message_id": {{"S": "m"}}, '
        '"role": {"S": "user"}, "content": {"S": "Hello"}, "user_id": {"S": "u"}, "metadata": {"S": "{}"}}}\n'
        '{"Item": {"user_id": {"S": "u"}, "preferences": {"S": "{\\"genre\\": \\"jazz\\"}"}}}\n'
    )
    arguments = ("import_conversations", str(items), "--tenant", agent.tenant, "--format", "dynamodb")

    report, again = installed.json(*arguments), installed.json(*arguments)

    assert (report["stored"], again["stored"], again["skipped"], report["errors"]) == (1, 0, 1, [])
    assert agent.ok("GET", "/customers/u/messages")["data"][0]["created_at"] == f"{DAYS[1]}T10:00:00Z"
    assert agent.ok("GET", "/customers/u/preferences")["preferences"] == {"genre": "jazz"}


def test_the_wish_list_streams_compresses_and_expires(new_tenant):
    agent = new_tenant()
    session = agent.ok("POST", "/sessions", {})["id"]
    with agent.http.stream("GET", f"/sessions/{session}/events") as stream:
        agent.ok("POST", f"/sessions/{session}/messages", {"role": "user", "content": "live"})
        lines = stream.iter_lines()
        data = next(line for line in lines if line.startswith("data: "))
    assert '"live"' in data
    assert agent.ok("GET", "/retention/policy")["messages"] == "P90D"
    stats = agent.ok("GET", "/stats")
    assert {"messages", "sessions", "customers", "preferences", "bytes"} <= stats.keys()
