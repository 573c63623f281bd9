"""Rotation over every sealed column of every app, hence here and not beside the core's own tests."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connections, transaction

from conversations import crypto, ids, keyring
from conversations.enums import KeyOwner
from conversations.exceptions import Conflict, KeyDestroyed
from conversations.models import AuditEvent, DataKey, IdempotencyRecord, MirrorEvent
from conversations.principals import SYSTEM
from conversations.sealed_columns import sealed_columns
from conversations.services.keys import resealing, rotation
from conversations.services.keys.rotation import finish_rotations, rewrap_under_master, rotate_keys
from conversations.services.messages.contents import message_aad
from conversations.services.messages.reading import read_messages
from conversations.tenancy import tenant_scope
from tests.retention.services.sealed_world import make_world, opened, values

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(autouse=True)
def cold_keyring():
    yield
    keyring.master_keys.cache_clear()
    keyring.forget()


def keys(tenant, **conditions):
    return list(DataKey.objects.using("ops").filter(tenant=tenant, **conditions).order_by("id"))


def rotate(world):
    return rotate_keys([world.tenant], actor=SYSTEM)


def key_ids(tenant):
    """By which keys the tenant's values are sealed."""
    return {
        crypto.key_id(sealed) for column in sealed_columns() for sealed in values(column, tenant).values()
    }


def test_sample_has_something_in_every_sealed_column():
    """Else the tests below would say nothing of a new column."""
    world = make_world()

    assert [str(column) for column in sealed_columns() if not values(column, world.tenant)] == []


def test_every_value_is_sealed_anew_and_says_the_same():
    world = make_world()
    before, old = opened(world.tenant), key_ids(world.tenant)

    done = rotate(world)

    assert opened(world.tenant) == before
    assert not key_ids(world.tenant) & old
    assert done.resealed == {name: len(rows) for name, rows in before.items()}
    assert done.broken == 0


def test_every_key_but_that_of_the_index_is_another():
    world = make_world()
    before = keys(world.tenant, retired_at=None)

    rotate(world)

    after = keys(world.tenant, retired_at=None)
    assert sorted((k.owner, k.owner_id) for k in after) == sorted((k.owner, k.owner_id) for k in before)
    assert {k.owner for k in after if k.id in {b.id for b in before}} == {KeyOwner.INDEX}
    [tenant_key] = [k for k in after if k.owner == KeyOwner.TENANT]
    assert {k.wrapped_by for k in after if k.owner != KeyOwner.TENANT} == {str(tenant_key.id)}


def test_keyed_hashes_stay_the_same():
    world = make_world()
    with tenant_scope(world.tenant.id):
        before = keyring.keyed_hash(world.tenant.id, "label", "value")

    rotate(world)

    with tenant_scope(world.tenant.id):
        assert keyring.keyed_hash(world.tenant.id, "label", "value") == before


def test_other_tenants_are_left_alone():
    world, other = make_world(), make_world("other")
    before = {column: values(column, other.tenant) for column in sealed_columns()}

    rotate(world)

    assert {column: values(column, other.tenant) for column in sealed_columns()} == before


def test_no_mirror_has_to_follow():
    world = make_world()
    with connections["owner"].cursor() as cursor:
        cursor.execute("UPDATE conversations_mirrorsink SET enabled = true")
    MirrorEvent.objects.using("ops").all().delete()

    rotate(world)

    assert MirrorEvent.objects.using("ops").count() == 0


def test_answers_remember_the_key_that_seals_them_now():
    world = make_world()

    rotate(world)

    [record] = IdempotencyRecord.objects.using("ops").filter(tenant=world.tenant)
    assert record.subject_key_id == crypto.key_id(bytes(record.sealed_answer))


def test_old_keys_are_kept_as_long_as_backups_are(settings):
    world = make_world()
    before = keys(world.tenant)

    done = rotate(world)

    waiting = [k for k in keys(world.tenant, retired_at__isnull=False) if k.wrapped is not None]
    assert {k.id for k in waiting} == {k.id for k in before if k.owner != KeyOwner.INDEX}
    assert (done.destroyed, done.waiting) == (0, len(waiting))


def test_old_keys_are_destroyed_when_their_grace_is_over(settings):
    world = make_world()
    before = opened(world.tenant)
    rotate(world)
    _age_retirement(world.tenant, timedelta(days=31))

    done = finish_rotations()

    assert done.destroyed == 4
    assert done.waiting == 0
    assert all(bytes(k.wrapped or b"") == b"" for k in keys(world.tenant, retired_at__isnull=False))
    assert opened(world.tenant) == before


def test_key_that_still_seals_something_is_not_destroyed(monkeypatch):
    world = make_world()
    stray = next(c for c in sealed_columns() if c.table == "conversations_memory")
    kept = values(stray, world.tenant)
    rotate(world)
    with connections["owner"].cursor() as cursor:  # another process sealed with a key it had read before
        for row_id, sealed in kept.items():
            cursor.execute("UPDATE conversations_memory SET sealed = %s WHERE id = %s", [sealed, row_id])
    _age_retirement(world.tenant, timedelta(days=31))
    monkeypatch.setattr(rotation, "reseal", lambda tenant_id, done, report=None: None)

    done = finish_rotations()

    assert {crypto.key_id(sealed) for sealed in kept.values()} <= {
        k.id for k in keys(world.tenant, wrapped__isnull=False)
    }
    assert done.waiting > 0


def test_stray_under_a_retired_key_is_sealed_anew_within_hours():
    world = make_world()
    stray = next(c for c in sealed_columns() if c.table == "conversations_memory")
    kept, said = values(stray, world.tenant), opened(world.tenant)
    rotate(world)
    with connections["owner"].cursor() as cursor:
        for row_id, sealed in kept.items():
            cursor.execute("UPDATE conversations_memory SET sealed = %s WHERE id = %s", [sealed, row_id])
    _age_retirement(world.tenant, timedelta(minutes=10))

    done = finish_rotations()

    assert done.resealed["conversations_memory.sealed"] == len(kept)
    assert opened(world.tenant) == said


def test_second_rotation_begins_anew():
    world = make_world()
    rotate(world)
    first = key_ids(world.tenant)

    rotate(world)

    assert not key_ids(world.tenant) & first
    started = AuditEvent.objects.using("ops").filter(tenant=world.tenant, action="keys.rotation_started")
    assert started.count() == 2


def test_rotation_is_audited_without_saying_anything_of_keys():
    world = make_world()

    rotate(world)

    events = AuditEvent.objects.using("ops").filter(tenant=world.tenant, action__startswith="keys.")
    assert [event.action for event in events.order_by("id")] == ["keys.rotation_started", "keys.rotated"]
    assert set(events.order_by("id").last().details) == {"rewrapped", "replaced", "resealed"}


@pytest.mark.parametrize("step", ["_rewrap_keys", "_replace_subject_keys", "reseal"])
def test_interrupted_rotation_is_gone_on_with(monkeypatch, step):
    world, said = make_world(), None
    said = opened(world.tenant)
    with monkeypatch.context() as patch:
        patch.setattr(rotation, step, _die)
        with pytest.raises(_Killed):
            rotate(world)
    [current] = keys(world.tenant, owner=KeyOwner.TENANT, retired_at=None)
    assert opened(world.tenant) == said

    rotate(world)

    assert [k.id for k in keys(world.tenant, owner=KeyOwner.TENANT, retired_at=None)] == [current.id]
    assert opened(world.tenant) == said
    assert key_ids(world.tenant) <= {k.id for k in keys(world.tenant, retired_at=None)}


def test_interrupted_rotation_of_all_leaves_alone_what_is_done(monkeypatch):
    first, second, third = make_world("a"), make_world("b"), make_world("c")
    tenants = [world.tenant for world in (first, second, third)]
    finish, finished = rotation._finish_rotation, []

    def stop_after_the_first(tenant_id, actor, report):
        if finished:
            raise _Killed
        finished.append(tenant_id)
        return finish(tenant_id, actor, report)

    with monkeypatch.context() as patch:
        patch.setattr(rotation, "_finish_rotation", stop_after_the_first)
        with pytest.raises(_Killed):
            rotate_keys(tenants, actor=SYSTEM)
    done_before = key_ids(first.tenant)

    rotate_keys(tenants, actor=SYSTEM)

    assert key_ids(first.tenant) == done_before
    for world in (second, third):
        assert key_ids(world.tenant) <= {k.id for k in keys(world.tenant, retired_at=None)}


def test_killed_rotation_is_gone_on_with(database):
    world = make_world(messages=60)
    said = opened(world.tenant)
    program = (
        "import django; django.setup()\n"
        "from conversations.services.keys import resealing; resealing.BATCH = 2\n"
        "from django.core.management import call_command\n"
        "print('go', flush=True); call_command('rotate_keys')"
    )
    environ = {
        **os.environ,
        "DATABASE_URL": os.environ["DATABASE_URL"].replace("/remembrancer?", f"/{database}?"),
    }
    for delay in (0.03, 0.06, 0.1):
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            env={**environ, "DATABASE_ROLE_PREFIX": _prefix()},
            stdout=subprocess.PIPE,
        )
        assert process.stdout.readline() == b"go\n"
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert opened(world.tenant) == said

    rotate(world)

    assert opened(world.tenant) == said
    assert key_ids(world.tenant) <= {k.id for k in keys(world.tenant, retired_at=None)}


def test_reads_go_on_all_the_while(monkeypatch):
    monkeypatch.setattr(resealing, "BATCH", 2)
    world = make_world(messages=40)
    stop, failures, reads = threading.Event(), [], 0

    def read() -> None:
        nonlocal reads
        while not stop.is_set():
            try:
                with tenant_scope(world.tenant.id):
                    read_messages(world.tenant.id, world.message_ids)
                reads += 1
            except Exception as error:  # noqa: BLE001
                failures.append(error)
        connections.close_all()

    reader = threading.Thread(target=read)
    reader.start()
    rotate(world)
    stop.set()
    reader.join()

    assert failures == []
    assert reads > 3


def test_what_is_erased_meanwhile_does_not_live_on_under_a_new_key(monkeypatch):
    world = make_world()
    destroy = keyring.destroy_keys

    def erase_first(tenant_id, done, report=None):
        with tenant_scope(tenant_id):
            customer = [k.id for k in keys(world.tenant, owner=KeyOwner.CUSTOMER)]
            destroy(tenant_id, customer)

    with monkeypatch.context() as patch:
        patch.setattr(rotation, "reseal", erase_first)
        rotate(world)
    rotate(world)

    keyring.forget()
    message = next(c for c in sealed_columns() if c.table == "conversations_message")
    sealed = values(message, world.tenant)[world.message_ids[0]]
    with tenant_scope(world.tenant.id), pytest.raises(KeyDestroyed):
        keyring.unseal(world.tenant.id, sealed, message_aad(world.tenant.id, world.message_ids[0]))


def test_broken_value_is_counted_and_left(capsys):
    world = make_world()
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "UPDATE conversations_message SET sealed = overlay(sealed placing '\\x00' from length(sealed)) WHERE id = %s",
            [world.message_ids[0]],
        )

    with pytest.raises(CommandError, match="1 sealed values do not authenticate"):
        call_command("rotate_keys", "--json")

    assert json.loads(capsys.readouterr().out)["broken"] == 1


def test_only_one_process_rotates_a_tenants_keys():
    world = make_world()
    held = threading.Event()
    release = threading.Event()

    def hold() -> None:
        with rotation._alone(world.tenant.id):
            held.set()
            release.wait(10)
        connections.close_all()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)
    before = key_ids(world.tenant)

    with pytest.raises(Conflict):
        rotate(world)

    release.set()
    holder.join()
    assert key_ids(world.tenant) == before


def test_master_key_is_changed_without_touching_values(settings):
    world = make_world()
    before, said = {c: values(c, world.tenant) for c in sealed_columns()}, opened(world.tenant)
    old = settings.MASTER_KEYS
    settings.MASTER_KEYS = "m2:" + "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=," + old
    keyring.master_keys.cache_clear()

    done = rewrap_under_master(world.tenant, actor=SYSTEM)

    assert done.rewrapped == 1
    settings.MASTER_KEYS = settings.MASTER_KEYS.partition(",")[0]  # the old one is not needed any more
    keyring.master_keys.cache_clear()
    assert opened(world.tenant) == said
    assert {c: values(c, world.tenant) for c in sealed_columns()} == before


def test_command_says_what_it_did(capsys):
    make_world()
    make_world("other")

    call_command("rotate_keys", "--tenant", "acme", "--json")

    report = json.loads(capsys.readouterr().out)
    assert report["tenants"] == 1
    assert report["resealed"]["conversations_message.sealed"] == 4
    assert report["waiting"] == 4


def test_command_refuses_an_unknown_tenant():
    with pytest.raises(CommandError, match="There is no tenant"):
        call_command("rotate_keys", "--tenant", "nobody")


class _Killed(Exception):
    pass


def _die(*args, **kwargs):
    raise _Killed


def _age_retirement(tenant, by):
    with transaction.atomic(using="ops"):
        DataKey.objects.using("ops").filter(tenant=tenant, retired_at__isnull=False).update(
            retired_at=ids.now() - by
        )


def _prefix():
    from django.conf import settings

    return settings.DATABASE_ROLE_PREFIX
