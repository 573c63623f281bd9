"""`/sessions/{id}/transcript`: JSON, Markdown and HTML of what agents may see."""

import pytest

from tests.conversations.api.conftest import Caller

OUTCOME = {
    "success": True,
    "issue_type": "stale events",
    "entities": ["Paradise"],
    "tools_used": ["scc_query"],
    "resolution_seconds": 900,
    "knowledge": "Restart the collector.",
}


@pytest.fixture
def session(caller) -> str:
    session = caller("POST", "/sessions", {"customer_id": "noc", "channel": "console"}).json()["id"]
    given = [
        {"role": "user", "content": "Why is Paradise <b>silent</b>?"},
        {"role": "assistant", "content": "Its collector stopped."},
    ]
    assert caller("POST", f"/sessions/{session}/messages", {"messages": given}).status_code == 201
    return session


def transcript(caller: Caller, session: str, format: str | None = None):
    return caller("GET", f"/sessions/{session}/transcript" + (f"?format={format}" if format else ""))


@pytest.mark.parametrize("format", [None, "json"])
def test_json_has_the_session_and_its_messages(caller, session, format):
    body = transcript(caller, session, format).json()

    assert body["object"] == "transcript"
    assert body["session"] == caller("GET", f"/sessions/{session}").json()
    assert body["messages"] == caller("GET", f"/sessions/{session}/messages").json()["data"]


@pytest.mark.parametrize(("format", "media_type"), [("md", "text/markdown"), ("html", "text/html")])
def test_documents_say_what_was_said(caller, session, format, media_type):
    response = transcript(caller, session, format)

    assert response.headers["Content-Type"] == f"{media_type}; charset=utf-8"
    assert "Its collector stopped." in response.content.decode()
    assert "Runbook" not in response.content.decode()


def test_html_does_not_let_content_become_markup(caller, session):
    html = transcript(caller, session, "html").content.decode()

    assert "<b>silent" not in html
    assert "&lt;b&gt;silent" in html


@pytest.mark.parametrize("format", ["md", "html"])
def test_a_success_reads_as_a_runbook(caller, session, format):
    assert caller("POST", f"/sessions/{session}/close", {"outcome": OUTCOME}).status_code == 200

    text = transcript(caller, session, format).content.decode()

    for words in ("Runbook", "stale events", "Paradise", "query", "15 min", "Restart the collector."):
        assert words in text


def test_a_failure_is_no_runbook(caller, session):
    caller("POST", f"/sessions/{session}/close", {"outcome": {**OUTCOME, "success": False}})

    assert "Runbook" not in transcript(caller, session, "md").content.decode()


def test_deleted_messages_are_left_out(caller, session):
    gone = caller("GET", f"/sessions/{session}/messages").json()["data"][1]["id"]
    caller("DELETE", f"/messages/{gone}")

    for format in ("json", "md", "html"):
        assert "Its collector stopped." not in transcript(caller, session, format).content.decode()


def test_an_empty_session_has_a_transcript(caller):
    session = caller("POST", "/sessions", {}).json()["id"]

    for format in ("json", "md", "html"):
        assert transcript(caller, session, format).status_code == 200


def test_unknown_formats_are_refused(caller, session):
    assert transcript(caller, session, "pdf").status_code == 400


def test_another_tenants_session_does_not_exist(issue, session):
    for format in ("json", "md", "html"):
        assert transcript(issue(), session, format).status_code == 404


def test_a_deleted_session_is_gone(caller, session):
    caller("DELETE", f"/sessions/{session}")

    assert transcript(caller, session, "md").status_code == 410
