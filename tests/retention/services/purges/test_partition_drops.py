"""Whole partitions go only when no row of any tenant in them has to stay."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connections

from conversations import ids
from conversations.backends.values import IdRange, Kind
from conversations.enums import Entity
from conversations.merkle import leaf_hash, root
from conversations.mirror.drain import drain
from conversations.models import AuditEvent, Message, MessageIndex, MirrorEvent
from conversations.principals import SYSTEM
from conversations.services.operations.partitions import ensure_partitions, list_partitions
from conversations.tenancy import tenant_scope
from portraits.models import CurrentSummary
from portraits.services.folding import fold_all
from retention.enums import ArchiveMode, RecordClass, RunState
from retention.models import PurgedRange, PurgeRun
from retention.policies import DEFAULT_POLICY
from retention.services.holds import HoldScope, place_hold
from retention.services.policies import approve_policy, put_policy
from retention.services.purges.disposition import leaf_of
from retention.services.purges.partition_drops import drop_ended_partitions
from retention.services.purges.runs import merkle_root, purge
from tests.retention.factories import ALICE, BOB, ago, make_session, make_tenant, say

MESSAGES = RecordClass.MESSAGES


@pytest.fixture(autouse=True)
def old_partitions(database, settings):
    settings.POLICY_COOLING = timedelta(0)
    ensure_partitions(since=ago(150))


def make_forgetful(name="acme"):
    """A tenant that keeps no archive."""
    tenant = make_tenant(name)
    put_policy(
        tenant_id=tenant.id, policy=replace(DEFAULT_POLICY, archive_mode=ArchiveMode.NONE), actor=ALICE
    )
    approve_policy(tenant_id=tenant.id, version=1, actor=BOB)
    return tenant


def partition_of(at):
    (found,) = [p for p in list_partitions("conversations_message") if p.first <= ids.floor_id(at) < p.before]
    return found


def drop():
    return drop_ended_partitions(record_class=MESSAGES, actor=SYSTEM)


def test_partition_goes_with_all_its_rows_and_leaves_one_event():
    tenant = make_forgetful()
    session = make_session(tenant, made_at=ago(150))
    say(tenant, session, [ago(120), ago(120)])
    (young,) = say(tenant, session, [ago(1)])
    drain()
    rows = sorted(Message.objects.using("ops").exclude(id=young).values_list("id", "row_version", "sealed"))
    partition = partition_of(ago(120))

    dropped = drop()

    assert partition.name in dropped
    with tenant_scope(tenant.id):
        assert list(Message.objects.values_list("id", flat=True)) == [young]
        session.refresh_from_db()
        purged, run = PurgedRange.objects.get(), PurgeRun.objects.get()
    assert session.message_count == 1
    assert (purged.first_id, purged.before_id, purged.count) == (partition.first, partition.before, 2)
    leaves = [leaf_of(row_id, version, bytes(sealed)) for row_id, version, sealed in rows]
    assert bytes(purged.merkle_root) == root(leaves)
    assert merkle_root(run) == leaf_hash(root(leaves))
    events = MirrorEvent.objects.using("ops").filter(entity=Entity.PURGED_RANGE)
    assert set(events.values_list("entity_id", flat=True)) == {purged.id}
    assert AuditEvent.objects.using("ops").filter(action="purge.range").count() == 1


def test_purge_after_a_drop_finishes_the_run_that_counted_it():
    tenant = make_forgetful()
    session = make_session(tenant, made_at=ago(150))
    say(tenant, session, [ago(120), ago(91)])
    drop()

    run = purge(tenant_id=tenant.id, record_class=MESSAGES, actor=SYSTEM)

    with tenant_scope(tenant.id):
        assert PurgeRun.objects.count() == 1
        session.refresh_from_db()
    assert (run.state, run.candidates, run.destroyed) == (RunState.DONE, 2, 2)
    assert session.cleared_at is not None


def test_lexical_mirror_goes_with_the_partition():
    tenant = make_forgetful()
    session = make_session(tenant, made_at=ago(150))
    say(tenant, session, [ago(120)])
    (young,) = say(tenant, session, [ago(1)])
    drain()

    drop()
    drain()

    assert list(MessageIndex.objects.using("ops").values_list("message_id", flat=True)) == [young]
    with connections["ops"].cursor() as cursor:
        cursor.execute("SELECT context::text FROM conversations_messageindex")
        (context,) = cursor.fetchone()
    assert context.count("where") <= 1  # its own words, no longer its predecessor's
    assert not MirrorEvent.objects.using("ops").exists()


@pytest.mark.parametrize("keeper", ["archive", "hold", "young"])
def test_partition_stays_when_one_row_of_another_tenant_has_to(keeper):
    tenant, other = make_forgetful(), make_tenant("other") if keeper == "archive" else make_forgetful("other")
    say(tenant, make_session(tenant, made_at=ago(150)), [ago(120)])
    say(other, make_session(other, made_at=ago(150)), [ago(120)])
    if keeper == "hold":
        place_hold(tenant_id=other.id, scope=HoldScope(), matter="m", reason="r", actor=ALICE)
    if keeper == "young":
        longer = replace(DEFAULT_POLICY, archive_mode=ArchiveMode.NONE, messages=DEFAULT_POLICY.archive)
        put_policy(tenant_id=other.id, policy=longer, actor=ALICE)

    dropped = drop()

    assert partition_of(ago(120)).name not in dropped
    assert Message.objects.using("ops").count() == 2


def test_partition_stays_when_the_fuse_stops_a_tenant(settings):
    settings.PURGE_FUSE_FLOOR = 1
    tenant = make_forgetful()
    purge(tenant_id=tenant.id, record_class=MESSAGES, actor=SYSTEM)
    say(tenant, make_session(tenant, made_at=ago(100)), [ago(60)] * 3)
    shorter = replace(
        DEFAULT_POLICY, archive_mode=ArchiveMode.NONE, messages=DEFAULT_POLICY.messages.parse("P9D")
    )
    put_policy(tenant_id=tenant.id, policy=shorter, actor=ALICE)
    approve_policy(tenant_id=tenant.id, version=2, actor=BOB)

    dropped = drop()

    assert partition_of(ago(60)).name not in dropped
    with tenant_scope(tenant.id):
        assert PurgeRun.objects.latest("id").state == RunState.STOPPED
        assert Message.objects.count() == 3


def test_empty_old_partitions_go_and_young_ones_stay():
    make_tenant()
    before = {p.name for p in list_partitions("conversations_message")}

    dropped = set(drop())

    after = {p.name for p in list_partitions("conversations_message")}
    assert dropped
    assert after == before - dropped
    assert partition_of(ago(80)).name in after
    assert not dropped & {p.name for p in list_partitions("conversations_messageindex")}


@pytest.mark.parametrize("store", ["elasticsearch", "milvus"])
def test_stores_forget_the_range_and_then_count_nothing_in_it(store, request):
    mirror = request.getfixturevalue(store)
    tenant, other = make_forgetful(), make_forgetful("other")
    for one in (tenant, other):
        session = make_session(one, made_at=ago(150))
        say(one, session, [ago(120), ago(120), ago(1)])
    drain()
    assert mirror.count(Kind.MESSAGES) == 6
    partition = partition_of(ago(120))

    drop()
    drain()

    assert mirror.count(Kind.MESSAGES, None, IdRange(partition.first, partition.before)) == 0
    assert mirror.count(Kind.MESSAGES, tenant.id) == mirror.count(Kind.MESSAGES, other.id) == 1
    assert not MirrorEvent.objects.using("ops").exists()


def test_summaries_go_on_counting_what_went_with_a_partition():
    tenant = make_forgetful()
    session = make_session(tenant, made_at=ago(150))
    say(tenant, session, [ago(120), ago(119), ago(1)])

    assert drop()
    purge(tenant_id=tenant.id, record_class=MESSAGES, actor=SYSTEM)

    with tenant_scope(tenant.id):
        assert Message.objects.count() == 1
        assert CurrentSummary.objects.get().message_count == 3
    call_command("verify_summaries")  # fails where they differ
    fold_all()
    call_command("verify_summaries")
