import pytest

from conversations.models import AuditEvent
from conversations.principals import SYSTEM
from retention.enums import RecordClass
from retention.services.purges.runs import purge
from tests.retention.api.test_holds import HOLD, converse
from tests.retention.factories import ago


def archive(caller):
    purge(tenant_id=caller.tenant_id, record_class=RecordClass.MESSAGES, actor=SYSTEM)


@pytest.fixture
def archived(alice):
    """A message in the archive: its session and its id."""
    session, (message,) = converse(alice, 100)
    archive(alice)
    return session, message


def test_archive_lists_scrubbed_records_of_a_customer(alice, archived):
    converse(alice, 101, customer="other")
    archive(alice)

    listed = alice("GET", "/archive?customer_id=c1").json()

    (record,) = listed["data"]
    assert record["object"] == "archive_record"
    assert record["message_id"] == archived[1]
    assert record["text"] == "It came 100 days ago"
    assert record["expires_at"] > record["created_at"]
    assert len(alice("GET", f"/archive?session_id={archived[0]}").json()["data"]) == 1
    assert alice("GET", "/archive?user_id=c1").json() == listed
    assert alice("GET", "/archive?customer_id=nobody").json()["data"] == []


def test_archived_message_is_gone_for_agents(alice, archived):
    session, message = archived

    assert alice("GET", f"/messages/{message}").status_code in (404, 410)
    assert alice("GET", f"/sessions/{session}/messages").json()["data"] == []


def test_archive_search_finds_by_words(alice, archived):
    found = alice("POST", "/archive/search", {"query": "which came some days ago"}).json()

    assert [hit["archive_record"]["message_id"] for hit in found["data"]] == [archived[1]]
    assert found["stores"][0] == "postgresql"


def test_opening_needs_a_reason_and_leaves_it_in_the_trail(alice, archived):
    record = alice("GET", "/archive").json()["data"][0]["id"]

    refused = alice("POST", f"/archive/{record}/open", {"reason": " "})
    opened = alice("POST", f"/archive/{record}/open", {"reason": "Case 7"})

    assert refused.status_code == 400
    assert (opened.status_code, opened.json()["object"]) == (200, "message")
    assert opened.json()["content"] == "It came 100 days ago"
    assert opened.json()["customer_id"] == "c1"
    event = AuditEvent.objects.using("ops").get(action="archive.opened")
    assert (event.actor, event.object_id, event.details) == ("alice", record, {"reason": "Case 7"})


def test_record_past_its_period_is_invisible_before_any_job(alice, archived, time_machine):
    record = alice("GET", "/archive").json()["data"][0]["id"]

    time_machine.move_to(ago(-7 * 365.25))

    assert alice("GET", "/archive").json()["data"] == []
    assert alice("POST", "/archive/search", {"query": "came"}).json()["data"] == []
    assert alice("POST", f"/archive/{record}/open", {"reason": "r"}).json()["code"] == "expired"


def test_record_past_its_period_is_readable_under_a_hold(alice, archived, time_machine):
    record = alice("GET", "/archive").json()["data"][0]["id"]
    alice("POST", "/holds", {**HOLD, "customer_id": "c1"})

    time_machine.move_to(ago(-7 * 365.25))

    assert alice("POST", f"/archive/{record}/open", {"reason": "r"}).status_code == 200


def test_strangers_and_agents_cannot_open_the_archive(alice, stranger, issue, archived):
    record = alice("GET", "/archive").json()["data"][0]["id"]
    agent = issue("read", "write", tenant=alice)

    assert stranger("POST", f"/archive/{record}/open", {"reason": "r"}).status_code == 404
    assert stranger("GET", "/archive").json()["data"] == []
    assert agent("POST", f"/archive/{record}/open", {"reason": "r"}).status_code == 403
    assert agent("GET", "/archive").status_code == 403


def test_reveal_shows_what_a_hold_keeps_beyond_use(alice):
    alice("POST", "/holds", HOLD)
    _, (beyond, live) = converse(alice, 100, 1)

    assert alice("GET", f"/messages/{beyond}").status_code == 410
    for message in (beyond, live):
        revealed = alice("POST", f"/messages/{message}/reveal", {"reason": "Case 7"})
        assert (revealed.status_code, revealed.json()["id"]) == (200, message)
    assert AuditEvent.objects.using("ops").filter(action="message.revealed").count() == 2


def test_reveal_does_not_show_what_is_merely_not_yet_purged(alice):
    _, (expired,) = converse(alice, 100)

    answer = alice("POST", f"/messages/{expired}/reveal", {"reason": "Case 7"})

    assert (answer.status_code, answer.json()["code"]) == (410, "expired")
    assert not AuditEvent.objects.using("ops").filter(action="message.revealed").exists()


def test_reveal_needs_a_reason(alice):
    _, (message,) = converse(alice, 1)

    assert alice("POST", f"/messages/{message}/reveal", {}).status_code == 400
    assert alice("POST", f"/messages/{message}/reveal").status_code in (400, 415)
