"""The archive: what remains in each mode, where it is found, and how it ends."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from conversations import crypto
from conversations.backends.values import Kind
from conversations.enums import KeyOwner
from conversations.inputs import Attachment, MessageIn
from conversations.mirror.drain import drain
from conversations.models import DataKey, Message
from conversations.principals import SYSTEM
from conversations.services.messages import reading
from conversations.services.messages.appends import append_messages
from conversations.services.statistics.usage import read_stats
from conversations.tenancy import tenant_scope
from retention.enums import ArchiveMode, RecordClass
from retention.models import ArchiveRecord
from retention.policies import DEFAULT_POLICY
from retention.services.archive import search_archive
from retention.services.archiving import open_record
from retention.services.holds import HoldScope, place_hold
from retention.services.policies import approve_policy, put_policy
from retention.services.purges.runs import purge
from tests.retention.factories import ALICE, BOB, ago, make_session, make_tenant, say

pytestmark = pytest.mark.usefixtures("database")

RICH = MessageIn(
    content="Write to ann@example.com about order 4711",
    role="assistant",
    name="Ann Lee",
    external_id="m-1",
    intent="order",
    intent_confidence=0.75,
    language="en",
    turn_id="t-9",
    model="gpt-x",
    usage={"tokens": 12},
    agent_responses={"lookup": {"phone": "+65 9123 4567", "found": True}},
    attachments=[Attachment(kind="transcription", text="call +65 9123 4567")],
    metadata={"mail": "ann@example.com", "n": [1, 2.5, None]},
)


def archive_one(tenant, message=RICH):
    """Store a message, let it expire, purge; what agents saw before, and its record."""
    session = make_session(tenant, made_at=ago(120))
    message.created_at = message.occurred_at = ago(100)
    append_messages(tenant_id=tenant.id, session_id=session.id, given=[message])
    with tenant_scope(tenant.id):
        before = reading.present(tenant.id, list(Message.objects.all()), processing=False)[0]
    purge(tenant_id=tenant.id, record_class=RecordClass.MESSAGES, actor=SYSTEM)
    with tenant_scope(tenant.id):
        return before, ArchiveRecord.objects.get()


def end_archive(tenant):
    return purge(tenant_id=tenant.id, record_class=RecordClass.ARCHIVE, actor=SYSTEM, force=True)


def test_sealed_record_opens_field_by_field_as_the_message_was():
    tenant = make_tenant()

    before, record = archive_one(tenant)

    with tenant_scope(tenant.id):
        assert open_record(record, customer="c1") == before
        key = DataKey.objects.get(id=crypto.key_id(bytes(record.sealed)))
    assert (key.owner, key.owner_id) == (KeyOwner.CUSTOMER, record.customer_id)
    assert (record.id, record.created_at) == (before["id"], before["created_at"])


def test_scrubbed_record_has_placeholders_for_every_identifier(settings):
    settings.POLICY_COOLING = timedelta(0)
    tenant = make_tenant()
    scrubbed = replace(DEFAULT_POLICY, archive_mode=ArchiveMode.SCRUBBED)
    put_policy(tenant_id=tenant.id, policy=scrubbed, actor=ALICE)
    approve_policy(tenant_id=tenant.id, version=1, actor=BOB)

    before, record = archive_one(tenant)

    with tenant_scope(tenant.id):
        opened = open_record(record, customer="c1")
    told = msgspec.json.encode(opened).decode()
    assert "ann@example.com" in msgspec.json.encode(before).decode()
    for identifier in ("ann@example.com", "9123", "Ann Lee", "m-1"):
        assert identifier not in told
    assert opened["content"].startswith("Write to [")
    assert opened["agent_responses"]["lookup"]["found"] is True
    assert opened["metadata"]["n"] == [1, 2.5, None]


def test_clear_columns_of_a_record_hold_no_identifier():
    tenant = make_tenant()

    _, record = archive_one(tenant)

    assert "4711" in record.scrubbed
    assert "ann@example.com" not in record.scrubbed
    assert "9123" not in record.scrubbed
    assert len(record.identifiers) == 2  # found again by the keyed hash of what somebody names


def test_record_moved_to_another_row_does_not_open():
    tenant = make_tenant()
    session = make_session(tenant, made_at=ago(120))
    say(tenant, session, [ago(100), ago(99)])
    purge(tenant_id=tenant.id, record_class=RecordClass.MESSAGES, actor=SYSTEM)

    with tenant_scope(tenant.id):
        first, second = ArchiveRecord.objects.order_by("id")
        first.sealed = second.sealed
        with pytest.raises(crypto.SealBroken):
            open_record(first, customer=None)


def test_archive_ends_after_its_period_and_not_while_it_is_held(time_machine):
    tenant = make_tenant()
    archive_one(tenant)
    time_machine.move_to(ago(-7 * 365.25))
    hold = place_hold(tenant_id=tenant.id, scope=HoldScope(), matter="m", reason="r", actor=ALICE)

    held = end_archive(tenant)
    with tenant_scope(tenant.id):
        assert ArchiveRecord.objects.count() == 1
        hold.delete(using="ops")
    ended = end_archive(tenant)

    assert (held.candidates, held.held, held.destroyed) == (0, 1, 0)
    assert (ended.candidates, ended.held, ended.destroyed) == (1, 0, 1)
    with tenant_scope(tenant.id):
        assert not ArchiveRecord.objects.exists()


def test_record_ends_seven_years_after_its_message_and_not_after_it_was_archived(time_machine):
    tenant = make_tenant()
    archive_one(tenant)  # said 100 days ago, archived today

    time_machine.move_to(ago(-(7 * 365.25 - 99)))

    assert end_archive(tenant).destroyed == 1


def test_archive_is_found_in_elasticsearch_and_gone_from_it_after_its_period(elasticsearch, time_machine):
    tenant, other = make_tenant(), make_tenant("other")
    before, _ = archive_one(tenant)
    archive_one(other)
    drain()
    assert elasticsearch.count(Kind.MESSAGES) == 0
    assert elasticsearch.count(Kind.ARCHIVE) == 2  # a count sees what a search would see a second later

    found = search_archive(tenant_id=tenant.id, query="about the order", limit=10, actor=ALICE)

    assert [record.id for record, _ in found.hits] == [before["id"]]
    assert list(found.stores) == ["postgresql", "elasticsearch"]

    time_machine.move_to(ago(-7 * 365.25))
    end_archive(tenant)
    drain()

    assert elasticsearch.count(Kind.ARCHIVE, tenant.id) == 0
    assert elasticsearch.count(Kind.ARCHIVE, other.id) == 1


def test_archive_search_goes_on_without_elasticsearch_and_says_so(elasticsearch, settings):
    tenant = make_tenant()
    before, _ = archive_one(tenant)
    drain()
    elasticsearch.drop_indexes()

    found = search_archive(tenant_id=tenant.id, query="about the order", limit=10, actor=ALICE)

    assert [record.id for record, _ in found.hits] == [before["id"]]
    assert (list(found.stores), list(found.degraded)) == (["postgresql"], ["elasticsearch"])
    elasticsearch.ensure_indexes()


def test_statistics_count_the_archive():
    tenant = make_tenant()
    say(tenant, make_session(tenant, made_at=ago(200)), [ago(120), ago(100)])
    purge(tenant_id=tenant.id, record_class=RecordClass.MESSAGES, actor=SYSTEM)

    assert read_stats(tenant.id)["archived"] == 2
