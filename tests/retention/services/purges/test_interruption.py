"""A purge that is killed with SIGKILL in the middle of a batch: nothing half done, and the next one goes on."""

from conversations.models import Message
from conversations.principals import SYSTEM
from conversations.tenancy import tenant_scope
from retention.enums import RecordClass, RunState
from retention.models import ArchiveRecord, PurgeBatch, PurgeRun
from retention.services.purges.runs import merkle_root, purge
from tests.retention.ambush import kill_in_the_second_batch
from tests.retention.factories import ago, make_session, make_tenant, say

BATCH, ROWS = 1_000, 2_500


def test_purge_killed_inside_a_batch_is_resumed_where_it_stood(database):
    tenant = make_tenant()
    session = make_session(tenant, made_at=ago(100))
    for _ in range(ROWS // 500):
        say(tenant, session, [ago(95)] * 500)
    kill_in_the_second_batch(database, "purge", "--execute", "--class", "messages")

    with tenant_scope(tenant.id):
        killed = PurgeRun.objects.get()
        assert (killed.state, killed.archived) == (RunState.RUNNING, BATCH)
        assert ArchiveRecord.objects.count() == BATCH
        assert Message.objects.count() == ROWS - BATCH
        session.refresh_from_db()
    assert session.message_count == ROWS - BATCH

    run = purge(tenant_id=tenant.id, record_class=RecordClass.MESSAGES, actor=SYSTEM)

    assert (run.id, run.state, run.archived, run.candidates) == (killed.id, RunState.DONE, ROWS, ROWS)
    with tenant_scope(tenant.id):
        assert ArchiveRecord.objects.count() == ROWS
        assert not Message.objects.exists()
        assert sum(PurgeBatch.objects.values_list("archived", flat=True)) == ROWS
    assert run.leaves == ROWS
    assert len(merkle_root(run)) == 32
