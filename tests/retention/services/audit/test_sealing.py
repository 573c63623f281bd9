import json
import os
import signal
import subprocess
import sys
import threading
import time
from base64 import b64decode
from datetime import timedelta
from hashlib import sha256
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.db import connections, transaction

from conversations import ids, merkle
from conversations.checkpoints import Checkpoint
from conversations.installation import signing_key
from conversations.locking import lock_number
from conversations.models import AuditEvent
from conversations.tenancy import tenant_scope
from retention.services.audit import sealing
from retention.services.audit.sealing import seal_audit, seal_tenant, witness_of
from retention.services.audit.verifying import verify_audit
from tests.builders import make_tenant
from tests.retention.trails import act, checkpoints, forge_event, leaves, make_trail, tamper


@pytest.fixture(autouse=True)
def witness_folder(settings, tmp_path):
    settings.AUDIT_WITNESS = tmp_path / "witness"
    return settings.AUDIT_WITNESS


def test_sequence_is_gapless_in_the_order_of_the_events(database):
    tenant = make_tenant()

    made = make_trail(tenant, 3, 1, 5)

    assert [leaf.sequence for leaf in leaves(tenant)] == list(range(1, 11))
    assert [leaf.event_id for leaf in leaves(tenant)] == made


def test_leaf_is_the_hash_of_canonical_json_with_tenant_and_sequence(database):
    tenant = make_tenant()
    [event_id] = act(tenant, "hold.placed")
    seal_audit()

    leaf = leaves(tenant)[-1]

    event = AuditEvent.objects.using("ops").get(id=event_id)
    expected = {
        "object": "audit_event",
        "id": str(event_id),
        "at": event.created_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "actor": "olga",
        "actor_kind": "agent",
        "action": "hold.placed",
        "object_type": "thing",
        "object_id": "17",
        "outcome": "ok",
        "request_id": None,
        "details": {"number": 0, "name": "é中"},
        "sequence": 2,
        "tenant": str(tenant.id),
    }
    plain = json.dumps(expected, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert bytes(leaf.leaf_hash) == sha256(b"\x00" + plain).digest()


def test_checkpoint_is_the_signed_root_of_all_leaves(database):
    tenant = make_tenant()
    make_trail(tenant, 2, 4)

    first, second = checkpoints(tenant)

    hashes = [bytes(leaf.leaf_hash) for leaf in leaves(tenant)]
    for row, size in ((first, 3), (second, 7)):
        note = Checkpoint.verified(row.signed, signing_key().public_key)
        assert (note.origin, note.size) == (f"remembrancer/audit/{tenant.id}", size)
        assert note.root == bytes(row.root_hash) == merkle.root(hashes[:size])


def test_tenants_have_trees_of_their_own(database):
    ours, theirs = make_tenant("ours"), make_tenant("theirs")
    act(ours, "a", "b")

    done = seal_audit()

    assert (done.events, done.tenants) == (4, 2)
    assert len(leaves(ours)) == 3
    assert len(leaves(theirs)) == 1


def test_again_there_is_nothing_to_seal(database, witness_folder):
    tenant = make_tenant()
    make_trail(tenant, 3)
    before = witness_of(tenant.id).file.read_bytes()

    assert seal_audit().events == 0
    assert len(checkpoints(tenant)) == 1
    assert witness_of(tenant.id).file.read_bytes() == before


def test_event_that_commits_after_younger_ones_were_sealed_is_sealed_next(database):
    """Older by id than what is sealed: a sealer that goes on from the last id would lose it."""
    tenant = make_tenant()
    started, go_on, slow_ids = threading.Event(), threading.Event(), []

    def slow() -> None:
        with tenant_scope(tenant.id):
            slow_ids.extend(act(tenant, "slow"))
            started.set()
            go_on.wait(10)
        connections.close_all()

    thread = threading.Thread(target=slow)
    thread.start()
    started.wait(10)
    time.sleep(2.1)  # beyond the slack for clocks
    [fast] = act(tenant, "fast")
    seal_audit()
    assert leaves(tenant)[-1].event_id == fast
    go_on.set()
    thread.join()

    assert seal_audit().events == 1

    assert leaves(tenant)[-1].event_id == slow_ids[0] < fast
    assert verify_audit().ok


def test_event_put_in_afterwards_with_an_older_time_is_never_sealed(database):
    tenant = make_tenant()
    make_trail(tenant, 2)
    at = ids.now() - timedelta(minutes=1)
    forged = forge_event(tenant, at, ids.new_id(at))

    assert seal_audit(thorough=True).events == 0

    [finding] = verify_audit().findings
    assert (finding.kind, finding.event_id, finding.tenant) == ("inserted", forged, "acme")


def test_event_whose_id_is_of_another_time_is_never_sealed(database):
    tenant = make_tenant()
    make_trail(tenant, 2)
    forged = forge_event(tenant, ids.now(), uuid4())

    assert seal_audit(thorough=True).events == 0

    assert [f.event_id for f in verify_audit().findings] == [forged]


def test_event_of_the_future_waits_for_its_time(database):
    tenant = make_tenant()
    at = ids.now() + timedelta(hours=1)
    forge_event(tenant, at, ids.new_id(at))

    assert seal_audit().events == 1  # the tenant's own

    assert verify_audit().ok
    assert act(tenant, "later")
    assert seal_audit().events == 1


def test_after_the_clock_was_set_back_events_are_still_sealed(database, monkeypatch):
    tenant = make_tenant()
    ahead = ids.now() + timedelta(hours=2)
    with monkeypatch.context() as patch:
        patch.setattr(ids, "now", lambda: ahead)
        act(tenant, "in the future")
        seal_audit()

    act(tenant, "after the correction")

    assert seal_audit().events == 1
    assert verify_audit().ok


def test_batches_grow_one_tree(database, monkeypatch):
    monkeypatch.setattr(sealing, "BATCH", 4)
    tenant = make_tenant()
    act(tenant, *"abcdefghi")

    assert seal_tenant(tenant.id) == 10

    assert [c.tree_size for c in checkpoints(tenant)] == [4, 8, 10]
    assert verify_audit().ok


def test_only_one_sealer_works_on_a_tenant(database):
    tenant = make_tenant()
    act(tenant, "a")
    with transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [lock_number(sealing.SEALING, tenant.id)])

        assert seal_tenant(tenant.id) == 0

    assert seal_tenant(tenant.id) == 2


def test_sealers_side_by_side_seal_every_event_once(database):
    tenant = make_tenant()
    stop = threading.Event()

    def seal() -> None:
        while not stop.is_set():
            seal_audit()
        connections.close_all()

    sealers = [threading.Thread(target=seal) for _ in range(3)]
    for sealer in sealers:
        sealer.start()
    made = [event for _ in range(30) for event in act(tenant, "a", "b")]
    stop.set()
    for sealer in sealers:
        sealer.join()
    seal_audit()

    assert sorted(leaf.event_id for leaf in leaves(tenant))[1:] == sorted(made)
    assert verify_audit().ok


@pytest.mark.parametrize("attempt", range(4))
def test_sealer_killed_at_any_moment_leaves_nothing_wrong(database, witness_folder, attempt):
    tenant = make_tenant()
    act(tenant, *("x" * 3000))
    program = (
        "import django; django.setup()\n"
        "from retention.services.audit import sealing\n"
        "sealing.BATCH = 50\n"
        "from conversations.models import Tenant\n"
        "print('go', flush=True)\n"
        "while True:\n"
        "    for t in Tenant.objects.using('ops'):\n"
        "        sealing._seal_batch(t.id, '1 day'); sealing.update_witness(t.id, 10**9)\n"
    )
    environ = {**os.environ, "AUDIT_WITNESS": str(witness_folder), "DATABASE_URL": _url(database)}
    environ["DATABASE_ROLE_PREFIX"] = django_settings.DATABASE_ROLE_PREFIX
    sealer = subprocess.Popen([sys.executable, "-c", program], env=environ, stdout=subprocess.PIPE)
    assert sealer.stdout.readline() == b"go\n"
    time.sleep(0.05 + 0.07 * attempt)
    sealer.send_signal(signal.SIGKILL)
    sealer.wait()

    seal_audit()

    assert [leaf.sequence for leaf in leaves(tenant)] == list(range(1, 3002))
    sightings = witness_of(tenant.id).read(signing_key().public_key)
    assert sightings.roots == {c.tree_size: bytes(c.root_hash) for c in checkpoints(tenant)}
    assert verify_audit().ok


def test_nothing_is_sealed_on_top_of_a_trail_that_was_cut(database):
    tenant, other = make_tenant(), make_tenant("other")
    make_trail(tenant, 3)
    tamper("DELETE FROM conversations_auditleaf WHERE tenant_id = %s AND sequence = 4", tenant.id)
    act(tenant, "next")
    act(other, "next")

    done = seal_audit()

    assert done.refused == (tenant.id,)
    assert len(leaves(tenant)) == 3
    assert len(leaves(other)) == 2


def test_witness_that_cannot_be_written_is_caught_up_with_later(database, settings, tmp_path):
    blocker = tmp_path / "blocker"
    blocker.touch()
    settings.AUDIT_WITNESS = blocker / "witness"
    tenant = make_tenant()
    make_trail(tenant, 2)
    act(tenant, "more")

    assert seal_audit().unwitnessed == (tenant.id,)
    settings.AUDIT_WITNESS = tmp_path / "witness"
    assert seal_audit().unwitnessed == ()

    assert list(witness_of(tenant.id).read(signing_key().public_key).roots) == [3, 4]


def test_witness_lines_are_signed_notes(database):
    tenant = make_tenant()
    make_trail(tenant, 2)

    [line] = witness_of(tenant.id).file.read_text().splitlines()

    note = json.loads(line)["signed"]
    assert note == checkpoints(tenant)[0].signed
    assert b64decode(note.split("\n")[2]) == bytes(checkpoints(tenant)[0].root_hash)


def _url(database: str) -> str:
    return os.environ["DATABASE_URL"].replace("/remembrancer?", f"/{database}?")
