"""What comes back from a backup, and what does not: erased people, secrets, half a load."""

import os
import signal
import subprocess
import sys
import tarfile
from base64 import b64encode
from pathlib import Path
from uuid import UUID

import pytest
import zstandard
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import OperationalError, connections

from conversations import ids, keyring
from conversations.backup_files import open_backup
from conversations.enums import GateState, Scope
from conversations.exceptions import Erased, Invalid, KeyDestroyed, Unauthenticated
from conversations.installation import signing_key
from conversations.models import AuditEvent, Customer, DataKey, Message, Session, Tenant
from conversations.ports import Target
from conversations.principals import SYSTEM
from conversations.services.accounts import api_keys
from conversations.services.customers import get_customer
from conversations.services.messages.reading import read_messages
from conversations.services.operations import backups, gate
from conversations.services.operations.backups import keys_file
from conversations.services.operations.gate import read_gate
from conversations.services.operations.readiness import StoreStatus, read_readiness
from conversations.tenancy import tenant_scope
from retention.services import restoring
from retention.services.audit.sealing import seal_audit
from retention.services.audit.verifying import verify_audit
from retention.services.erasures import cases
from retention.services.erasures.execution import carry_out
from retention.services.restoring import resume
from tests.retention.factories import ago, make_session, make_tenant, say
from tests.retention.services.restoring.steps import back, bring_back, dump, quiet
from tests.retention.services.sealed_world import make_world, opened

pytestmark = pytest.mark.usefixtures("database")


# -- there and back ------------------------------------------------------------------------------------------------


def test_everything_comes_back_as_it_was(file, empty_database):
    world, other = make_world(), make_world("other")
    seal_audit()
    before, said = dump(), opened(world.tenant)
    back(file)

    empty_database()
    done = bring_back(file)

    after = dump()
    events, leaves = "conversations_auditevent", "conversations_auditleaf"
    assert {t for t in before if before[t] != after[t]} == {events}
    assert set(before[events]) < set(after[events])
    assert len(after[leaves]) == len(before[leaves])
    assert opened(world.tenant) == said
    assert done.rows == sum(map(len, before.values())) + _pending(file)
    assert other.tenant.id in {t.id for t in Tenant.objects.using("ops")}


def test_restored_database_goes_on(file, empty_database):
    world = make_world()
    back(file)
    empty_database()
    bring_back(file)

    session = make_session(world.tenant, made_at=ago(1))
    [said] = say(world.tenant, session, [ids.now()])

    with tenant_scope(world.tenant.id):
        assert read_messages(world.tenant.id, [said])
        assert Message.objects.get(id=said).row_version > max(
            Message.objects.exclude(id=said).values_list("row_version", flat=True)
        )


def test_triggers_and_row_level_security_are_on_again(file, empty_database):
    make_world()
    back(file)
    empty_database()
    before = _guards()

    bring_back(file)

    assert _guards() == before


def test_rows_of_old_weeks_have_partitions_again(file, empty_database):
    world = make_world()
    session = make_session(world.tenant, made_at=ago(80))
    say(world.tenant, session, [ago(70), ago(40)])
    back(file)
    empty_database()

    bring_back(file)

    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM conversations_message_default")
        assert cursor.fetchone() == (0,)


def test_restored_trail_verifies_and_goes_on_beside_its_witness(file, empty_database):
    tenant = make_tenant()
    seal_audit()
    back(file)
    api_keys.create_key(tenant=tenant, scopes=["read"])
    seal_audit()
    assert verify_audit().witnessed == 2

    bring_back(file)
    seal_audit()

    found = verify_audit()
    assert found.findings == ()
    restored = AuditEvent.objects.using("ops").filter(tenant=tenant, action="backup.restored")
    assert restored.count() == 1


def test_tail_that_went_with_a_foreign_restore_is_told_by_the_witness(file):
    """The counterpart: without the signed note of a restore, the same state is a cut tail."""
    tenant = make_tenant()
    seal_audit()
    witnessed = _witness_lines(tenant)
    back(file)
    api_keys.create_key(tenant=tenant, scopes=["read"])
    seal_audit()
    full = _witness_lines(tenant)

    bring_back(file)
    restoring.witness_of(tenant.id).file.write_text("\n".join(full) + "\n")

    assert len(full) > len(witnessed)
    assert {f.kind for f in verify_audit().findings} == {"witness"}


def test_backup_is_one_moment_while_others_write(file):
    """Whatever is written during the backup is in it whole or not at all: counters and messages agree."""
    tenant = make_tenant()
    session = make_session(tenant, made_at=ago(1))
    program = (
        "import django; django.setup()\n"
        "from uuid import UUID\n"
        "from conversations.inputs import MessageIn\n"
        "from conversations.services.messages.appends import append_messages\n"
        "while True:\n"
        f"    append_messages(tenant_id=UUID('{tenant.id}'), session_id=UUID('{session.id}'),\n"
        "        given=[MessageIn(role='user', content='hello')])\n"
        "    print('stored', flush=True)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", program], env=_environ(), stdout=subprocess.PIPE)
    assert writer.stdout.readline() == b"stored\n"
    try:
        for number in range(5):
            back(file.with_name(f"b{number}"))
    finally:
        writer.kill()
        writer.wait()

    for number in range(5):
        bring_back(file.with_name(f"b{number}"))
        with tenant_scope(tenant.id):
            assert Session.objects.get().message_count == Message.objects.count() > 0


# -- keys and secrets ----------------------------------------------------------------------------------------------


def test_data_keys_are_in_the_keys_file_only(file):
    make_world()
    wrapped = [bytes(row.wrapped) for row in DataKey.objects.using("ops").all()]

    back(file)

    data, keys = _plain(file), _plain(keys_file(file))
    assert [w.hex() for w in wrapped if w.hex().encode() in data] == []
    assert all(w.hex().encode() in keys for w in wrapped)


def test_master_and_signing_keys_are_in_neither_file(file, settings):
    make_world()
    back(file)

    both = _plain(file) + _plain(keys_file(file)) + file.read_bytes() + keys_file(file).read_bytes()

    master = keyring.master_keys().current.secret
    for secret in (master, b64encode(master), master.hex().encode(), settings.SIGNING_KEY.encode()):
        assert secret not in both


def test_content_is_sealed_in_the_files(file):
    make_world()
    back(file)

    assert b"likes tea" not in _sealed_columns_of(file)


def test_files_are_private(file):
    make_tenant()
    back(file)

    assert [path.stat().st_mode & 0o777 for path in (file, keys_file(file))] == [0o600, 0o600]


# -- nobody erased comes back --------------------------------------------------------------------------------------


def test_customer_erased_after_the_backup_does_not_come_back(file, empty_database):
    world = make_world()
    back(file)
    erased = _erase(world, "c1")

    empty_database()
    done = bring_back(file)

    assert done.replayed.opened == 1
    _assert_gone(world, erased)


def test_customer_erased_after_the_backup_has_no_key_in_a_newer_keys_file(file, empty_database, settings):
    """Even if the ledger is lost: the newest keys are used, and the erased person's is not among them."""
    world = make_world()
    back(file)
    erased = _erase(world, "c1")
    newer = file.with_name("newer")
    back(newer)
    settings.ERASURE_LEDGER.unlink()

    empty_database()
    bring_back(file, keys_file(newer), without_ledger=True)

    [key] = DataKey.objects.using("ops").filter(customer_id=erased, owner="customer")
    assert key.wrapped is None
    with tenant_scope(world.tenant.id), pytest.raises(KeyDestroyed):
        read_messages(world.tenant.id, world.message_ids[:1])


def test_customer_erased_before_the_backup_stays_gone(file, empty_database):
    world = make_world()
    erased = _erase(world, "c1")
    back(file)

    empty_database()
    done = bring_back(file)

    assert done.replayed.opened == 0
    _assert_gone(world, erased)


def test_tenant_removed_after_the_backup_does_not_come_back(file, empty_database, settings):
    settings.CLI_SECOND_PERSON = True
    tenant, other = make_tenant("gone"), make_tenant("other")
    for each in (tenant, other):
        say(each, make_session(each, customer="ann"), [ago(1)])
    key = api_keys.create_key(tenant=tenant, scopes=[Scope.READ]).key
    back(file)
    for name in ("alice", "bob"):
        call_command("remove_tenant", "gone", *("--reason", "r", "--basis", "b", "--execute", "--as", name))

    empty_database()
    done = bring_back(file)

    assert done.replayed.removed == [tenant.id]
    assert Tenant.objects.using("ops").get(id=tenant.id).removed_at is not None
    assert not Message.objects.using("ops").filter(tenant=tenant).exists()
    assert not DataKey.objects.using("ops").filter(tenant=tenant, wrapped__isnull=False).exists()
    with pytest.raises(Unauthenticated):
        api_keys.authenticate(key)
    assert Message.objects.using("ops").filter(tenant=other).count() == 1


def test_restore_without_the_ledger_is_refused(file, empty_database, settings):
    world = make_world()
    _erase(world, "c1")
    back(file)
    settings.ERASURE_LEDGER.write_bytes(b"")
    empty_database()

    with pytest.raises(Invalid, match="erasure ledger"):
        bring_back(file)

    assert Tenant.objects.using("ops").count() == 0


def test_nobody_is_served_before_the_ledger_is_replayed(file, empty_database, monkeypatch):
    world = make_world()
    key = api_keys.create_key(tenant=world.tenant, scopes=[Scope.READ]).key
    back(file)
    erased = _erase(world, "c1")
    seen = []

    def look_in_between():
        api_keys._verified.clear()
        with pytest.raises(OperationalError):
            api_keys.authenticate(key)
        readiness = read_readiness({})
        seen.append((readiness.is_ready, readiness.stores["postgresql"].detail))
        connections["default"].close()
        return replay()

    replay = restoring.replay_ledger
    monkeypatch.setattr(restoring, "replay_ledger", look_in_between)
    bring_back(file)

    assert seen == [(False, "a restore is under way")]
    assert api_keys.authenticate(key).tenant_id == world.tenant.id
    assert read_readiness({}).stores["postgresql"].status is StoreStatus.OK
    _assert_gone(world, erased)


def test_key_that_was_believed_is_not_believed_after_the_gate_has_closed(monkeypatch):
    tenant = make_tenant()
    key = api_keys.create_key(tenant=tenant, scopes=[Scope.READ]).key
    monkeypatch.setattr(gate, "BELIEVED", gate.timedelta(seconds=1))
    monkeypatch.setattr(api_keys, "LIFETIME", 0.9)
    assert api_keys.authenticate(key)

    gate.close_gate()

    with pytest.raises(OperationalError):
        api_keys.authenticate(key)


# -- interruptions -------------------------------------------------------------------------------------------------


def test_interrupted_load_changes_nothing(file, monkeypatch):
    world = make_world()
    back(file)
    make_world("later")
    before = dump()
    copies = []

    def fail(table, source, advance):
        copies.append(table)
        if len(copies) > 5:
            raise _Killed
        return copy(table, source, advance)

    copy = backups._copy_in
    monkeypatch.setattr(backups, "_copy_in", fail)
    with pytest.raises(_Killed):
        bring_back(file)

    assert dump() == before
    assert read_gate().state == GateState.LOADING
    resume(actor=SYSTEM, advance=quiet)
    assert read_gate().state == GateState.OPEN
    assert dump() == before
    assert opened(world.tenant)


def test_interrupted_replay_is_gone_on_with(file, monkeypatch):
    world = make_world()
    back(file)
    erased = _erase(world, "c1")
    with monkeypatch.context() as patch:
        patch.setattr(restoring, "replay_ledger", _die)
        with pytest.raises(_Killed):
            bring_back(file)
    assert read_gate().state == GateState.REPLAYING

    call_command("restore", "--resume")

    assert read_gate().state == GateState.OPEN
    _assert_gone(world, erased)


def test_killed_backup_leaves_no_file(file):
    tenant = make_tenant()
    session = make_session(tenant, made_at=ago(3))
    say(tenant, session, [ago(1)] * 500)
    program = (
        "import django; django.setup()\n"
        "from django.core.management import call_command\n"
        "from conversations.backup_files import BackupWriter\n"
        "add = BackupWriter.add_table\n"
        "def slow(*a):\n"
        "    import time; print('go', flush=True); time.sleep(0.1); return add(*a)\n"
        "BackupWriter.add_table = slow\n"
        f"call_command('backup', {str(file)!r}, '--json')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], env=_environ(), stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"go\n"
    process.send_signal(signal.SIGKILL)
    process.wait()

    assert not file.exists()
    assert not keys_file(file).exists()


# -- hands ---------------------------------------------------------------------------------------------------------


class _Killed(Exception):
    pass


def _die(*args):
    raise _Killed


def _erase(world, external_id) -> UUID:
    with tenant_scope(world.tenant.id):
        customer = get_customer(world.tenant.id, external_id)
        case = cases.open_case(
            tenant_id=world.tenant.id,
            target=Target(customer_id=customer.id),
            reason="asked",
            basis="GDPR 17",
            actor=SYSTEM,
            word="erased",
        )
    carry_out(case, timeout=20)
    return customer.id


def _assert_gone(world, customer_id) -> None:
    keyring.forget()
    with tenant_scope(world.tenant.id):
        with pytest.raises(Erased):
            get_customer(world.tenant.id, "c1")
        assert not Message.objects.live().filter(customer_id=customer_id).exists()
        assert not Customer.objects.filter(external_id="c1").exists()
        assert not DataKey.objects.filter(customer_id=customer_id, wrapped__isnull=False).exists()


def _guards():
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal"
            " UNION ALL SELECT oid::regclass::text, 'rls', (relrowsecurity AND relforcerowsecurity)::text::\"char\""
            " FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace ORDER BY 1, 2"
        )
        return [row for row in cursor.fetchall() if not row[0].split("_")[-1].isdigit()]


def _pending(file: Path) -> int:
    manifest = open_backup(file, "backup", signing_key().public_key).manifest
    return sum(table.rows for table in manifest.tables if table.name == backups.OUTBOX)


def _plain(file: Path) -> bytes:
    """Everything in a file of a backup, unpacked."""
    with tarfile.open(file) as tar:
        parts = [tar.extractfile(member).read() for member in tar.getmembers()]
    unpack = zstandard.ZstdDecompressor().decompress
    return b"".join(unpack(part) if part[:4] == b"\x28\xb5\x2f\xfd" else part for part in parts)


def _sealed_columns_of(file: Path) -> bytes:
    backup = open_backup(file, "backup", signing_key().public_key)
    memory = next(t for t in backup.manifest.tables if t.name == "conversations_memory")
    place = memory.columns.index("sealed")
    rows = b"".join(backup.read(memory)).splitlines()
    return b"".join(bytes.fromhex(row.split(b"\t")[place][3:].decode()) for row in rows)


def _witness_lines(tenant) -> list[str]:
    return restoring.witness_of(tenant.id).file.read_text().splitlines()


def _environ() -> dict[str, str]:
    database = connections["default"].settings_dict["NAME"]
    return {
        **os.environ,
        "DATABASE_URL": os.environ["DATABASE_URL"].replace("/remembrancer?", f"/{database}?"),
        "DATABASE_ROLE_PREFIX": django_settings.DATABASE_ROLE_PREFIX,
        "REDIS_URL": "",
        "MILVUS_URI": "",
        "PATIENCE": "0",
        "ERASURE_LEDGER": str(django_settings.ERASURE_LEDGER),
    }
