import hashlib
import stat
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from conversations.exceptions import Conflict, Invalid
from conversations.export_files import write_export
from conversations.importing import Format, read_records

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ID = UUID("019e8000-0000-7000-8000-000000000001")
CUSTOMER = {
    "id": ID,
    "object": "customer",
    "customer_id": "顾客/1",
    "language": "zh",
    "metadata": {},
    "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
    "last_interaction_at": None,
}
SESSION = {
    "id": ID,
    "object": "session",
    "external_id": None,
    "customer_id": "顾客/1",
    "channel": "web",
    "language": None,
    "outlet_id": None,
    "title": "Hello",
    "status": "closed",
    "outcome": {"success": True},
    "intents": {"primary": "order"},
    "context": {},
    "metadata": {"a": [1, 2.5, None]},
    "message_count": 1,
    "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    "last_message_at": datetime(2026, 1, 1, tzinfo=UTC),
    "closed_at": datetime(2026, 1, 1, 1, tzinfo=UTC),
    "held": False,
}
MESSAGE = {
    "id": ID,
    "object": "message",
    "session_id": ID,
    "customer_id": "顾客/1",
    "position": 1,
    "role": "user",
    "content": "line\nbreak \u2028 \U0001f600 \u202e",
    "name": "Ada",
    "external_id": None,
    "intent": "order",
    "intent_confidence": 0.95,
    "language": "en",
    "turn_id": None,
    "model": None,
    "usage": None,
    "agent_responses": {"sales": {"score": 1}},
    "attachments": [{"kind": "transcription", "text": "spoken"}],
    "metadata": {"k": "v"},
    "occurred_at": None,
    "created_at": datetime(2026, 1, 1, 0, 0, 0, 123_456, tzinfo=UTC),
    "pii": [{"type": "email", "start": 0, "end": 4}],
    "processing": {"mirrored": True, "embedded": False},
}
FILES = {
    "customers.jsonl": [CUSTOMER],
    "sessions.jsonl": [SESSION],
    "messages.jsonl": [MESSAGE, MESSAGE | {"id": "2"}],
}


def test_what_was_written_is_read_again_field_by_field(tmp_path):
    write_export(tmp_path / "out", FILES)

    customer, session, message, other = read_records(tmp_path / "out", Format.JSONL, now=NOW)

    for record, written in [(customer, CUSTOMER), (session, SESSION), (message, MESSAGE)]:
        assert (
            msgspec.json.decode(msgspec.json.encode(record.given)).items()
            >= {
                name: value
                for name, value in msgspec.json.decode(msgspec.json.encode(written)).items()
                if name not in ("attachments",)
            }.items()
        )
    assert message.given.attachments[0].text == "spoken"
    assert message.session == session.source_id == str(ID)
    assert other.source_id == "2"


def test_the_manifest_tells_bytes_lines_and_digest(tmp_path):
    write_export(tmp_path / "out", FILES)

    manifest = msgspec.json.decode((tmp_path / "out" / "manifest.json").read_bytes())

    assert [entry["name"] for entry in manifest["files"]] == list(FILES)
    body = (tmp_path / "out" / "messages.jsonl").read_bytes()
    assert manifest["files"][2] == {
        "name": "messages.jsonl",
        "bytes": len(body),
        "lines": 2,
        "sha256": hashlib.sha256(body).hexdigest(),
    }


def test_only_the_owner_can_read_an_export(tmp_path):
    write_export(tmp_path / "out", FILES)

    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out").iterdir()} == {0o600}


def test_an_empty_folder_is_used_and_a_full_one_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").write_text("kept")

    write_export(tmp_path / "empty", FILES)
    with pytest.raises(Conflict):
        write_export(tmp_path / "full", FILES)

    assert (tmp_path / "full" / "a").read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "full"]


def test_a_failure_on_the_way_leaves_nothing(tmp_path):
    def breaking():
        yield MESSAGE
        raise ConnectionError

    with pytest.raises(ConnectionError):
        write_export(tmp_path / "out", {"messages.jsonl": breaking()})

    assert list(tmp_path.iterdir()) == []


def edit_a_byte(folder):
    path = folder / "messages.jsonl"
    path.write_bytes(path.read_bytes().replace(b"Ada", b"Eve", 1))


def cut_a_line(folder):
    path = folder / "messages.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])


def remove_a_file(folder):
    (folder / "sessions.jsonl").unlink()


def add_a_file(folder):
    (folder / "extra.jsonl").write_bytes(b"{}\n")


def break_the_manifest(folder):
    (folder / "manifest.json").write_text('{"files": [{"name": 1}]}')


def lead_out_of_the_folder(folder):
    (folder.parent / "outside.jsonl").write_bytes((folder / "messages.jsonl").read_bytes())
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace("messages.jsonl", "../outside.jsonl"))
    (folder / "messages.jsonl").unlink()


@pytest.mark.parametrize(
    "alter",
    [edit_a_byte, cut_a_line, remove_a_file, add_a_file, break_the_manifest, lead_out_of_the_folder],
)
def test_an_altered_export_is_refused_before_anything_is_read(tmp_path, alter):
    write_export(tmp_path / "out", FILES)
    alter(tmp_path / "out")

    with pytest.raises(Invalid) as caught:
        read_records(tmp_path / "out", Format.JSONL, now=NOW)

    assert "out" in caught.value.detail
