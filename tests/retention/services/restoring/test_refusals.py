"""Restores that are refused, before anything is touched, and what the commands say."""

import io
import json
from base64 import b64encode

import pytest
from django.core.management import CommandError, call_command

from conversations import keyring
from conversations.backup_files import open_backup
from conversations.enums import GateState
from conversations.exceptions import Conflict, Invalid
from conversations.installation import signing_key
from conversations.models import ApiKey, Message, Tenant
from conversations.services.operations import backups
from conversations.services.operations.backups import keys_file
from conversations.services.operations.gate import read_gate
from conversations.tenancy import tenant_scope
from retention.services import restoring
from tests.retention.factories import make_tenant
from tests.retention.services.restoring.steps import back, bring_back, dump
from tests.retention.services.sealed_world import make_world

pytestmark = pytest.mark.usefixtures("database")


class Terminal(io.StringIO):
    """What a person types."""

    def isatty(self) -> bool:
        return True


# -- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["y\n", ""])
def test_database_in_use_is_left_alone_when_the_person_at_the_terminal_does_not_say_yes(
    file, monkeypatch, typed
):
    make_world()
    back(file)
    make_world("later")
    before = dump()
    monkeypatch.setattr("sys.stdin", Terminal(typed))

    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("restore", str(file), "--keys", str(keys_file(file)))

    assert dump() == before
    assert read_gate().state == GateState.OPEN


@pytest.mark.parametrize("options", [[], ["--replace"]])
def test_database_in_use_is_replaced_when_the_person_said_so(file, monkeypatch, options):
    world = make_world()
    back(file)
    make_world("later")
    monkeypatch.setattr("sys.stdin", Terminal("" if options else "yes\n"))

    call_command("restore", str(file), "--keys", str(keys_file(file)), *options)

    assert [t.id for t in Tenant.objects.using("ops")] == [world.tenant.id]


def test_database_of_a_first_start_counts_as_empty(file, empty_database, monkeypatch):
    world = make_world()
    back(file)
    empty_database()
    call_command("bootstrap", "--json", stdout=io.StringIO())
    monkeypatch.setattr("sys.stdin", Terminal())

    call_command("restore", str(file), "--keys", str(keys_file(file)))

    assert [t.id for t in Tenant.objects.using("ops")] == [world.tenant.id]
    assert ApiKey.objects.using("ops").count() == 0


def test_existing_file_is_never_written_over(file):
    make_tenant()
    back(file)
    before = file.read_bytes()

    with pytest.raises(Conflict, match="is there already"):
        back(file)

    assert file.read_bytes() == before


@pytest.mark.parametrize("which", ["file", "keys"])
def test_file_cut_anywhere_is_refused(file, which):
    make_world()
    back(file)
    path = file if which == "file" else keys_file(file)
    whole = path.read_bytes()

    end = whole.rfind(b'"signature"')  # of what counts; the container is padded behind it
    for length in (0, 1, 511, 512, 1024, end // 3, end // 2, end, end + 20):
        path.write_bytes(whole[:length])
        with pytest.raises(Invalid):
            restoring.verify(file, keys_file(file), without_ledger=False)


def test_every_flipped_byte_is_refused_or_harmless(file):
    """Bytes of the container's padding may change; not one of a row or of the manifest may."""
    make_tenant()
    back(file)
    path, whole = keys_file(file), keys_file(file).read_bytes()
    kept = open_backup(path, "backup_keys", signing_key().public_key)
    rows = [list(kept.read(table)) for table in kept.manifest.tables]

    accepted = 0
    for position in range(0, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        try:
            found = open_backup(path, "backup_keys", signing_key().public_key)
        except Invalid:
            continue
        accepted += 1
        assert found.manifest == kept.manifest
        assert [list(found.read(table)) for table in found.manifest.tables] == rows

    assert accepted < len(whole) / 7


def test_halves_cannot_be_exchanged(file):
    make_tenant()
    back(file)

    with pytest.raises(Invalid, match="other half"):
        restoring.verify(keys_file(file), file, without_ledger=False)


def test_older_keys_are_refused(file):
    make_tenant()
    back(file)
    newer = file.with_name("newer")
    back(newer)

    with pytest.raises(Invalid, match="older"):
        bring_back(newer, keys_file(file))


def test_backup_of_another_release_is_refused(file, monkeypatch):
    make_tenant()
    back(file)
    monkeypatch.setattr(backups, "applied_migrations", lambda: ["conversations.0001_initial"])

    with pytest.raises(Invalid, match="another release"):
        bring_back(file)


def test_something_else_than_a_backup_is_refused(file, tmp_path):
    make_tenant()
    text = tmp_path / "text"
    text.write_text("hello")

    for path in (text, tmp_path / "nowhere", tmp_path):
        with pytest.raises(Invalid):
            bring_back(path, keys_file(file))


def test_restore_without_the_master_key_is_refused(file, settings, empty_database):
    make_world()
    back(file)
    empty_database()
    settings.MASTER_KEYS = "tests:" + b64encode(b"x" * 32).decode()
    keyring.master_keys.cache_clear()

    with pytest.raises(Invalid, match="MASTER_KEYS lacks tests"):
        bring_back(file)

    assert Tenant.objects.using("ops").count() == 0


def test_restore_with_another_signing_key_is_refused(file, settings, empty_database):
    make_world()
    back(file)
    empty_database()
    settings.SIGNING_KEY = b64encode(b"x" * 32).decode()

    with pytest.raises(Invalid, match="was signed with the key SHA256:"):
        bring_back(file)

    assert Tenant.objects.using("ops").count() == 0


# -- commands ------------------------------------------------------------------------------------------------------


def test_commands_there_and_back(file, capsys):
    world = make_world()
    call_command("backup", str(file), "--json")
    made = json.loads(capsys.readouterr().out)

    call_command("restore", str(file), "--keys", str(keys_file(file)), "--json")

    done = json.loads(capsys.readouterr().out)
    assert made["masters"] == keyring.master_keys().fingerprints()
    assert made["signer"] == signing_key().public_key.fingerprint
    assert (done["backup"], done["rows"]) == (made["backup"], made["rows"])
    with tenant_scope(world.tenant.id):
        assert Message.objects.count() == 4


def test_command_says_what_a_restore_will_need(file, capsys):
    make_tenant()

    call_command("backup", str(file))

    told = capsys.readouterr().out
    assert keyring.master_keys().current.fingerprint in told
    assert signing_key().public_key.fingerprint in told


def test_command_without_its_files_is_wrong_usage():
    with pytest.raises(CommandError) as refused:
        call_command("restore")

    assert refused.value.returncode == 2


def test_command_that_is_refused_says_why(file):
    with pytest.raises(CommandError, match="is not there"):
        call_command("restore", str(file), "--keys", str(file))
