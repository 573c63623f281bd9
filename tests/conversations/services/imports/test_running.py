"""Imports and exports through their commands: everything once, with its times, and nothing of what is broken."""

import io
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from conversations import ids
from conversations.enums import Reason
from conversations.inputs import MessageIn, Outcome
from conversations.memory_inputs import MemoryIn
from conversations.mirror.profiles import served_profile
from conversations.models import Customer, Memory, Message, Session, Tenant
from conversations.principals import SYSTEM
from conversations.services.customers import erase_customer
from conversations.services.imports import messages
from conversations.services.memories.changes import create_memories
from conversations.services.messages.appends import append_messages
from conversations.services.messages.changes import delete_messages
from conversations.services.messages.reading import last_messages
from conversations.services.sessions import close_session
from conversations.tenancy import tenant_scope
from portraits.counters import Interactions
from portraits.inputs import PortraitPatch, SummaryIn, TraitIn
from portraits.services.portraits import get_portrait, patch_portrait
from portraits.services.summaries import read_summary, set_baseline
from tests.builders import make_session, make_tenant
from tests.conversations.importing.factories import write_lines

START = ids.now().replace(microsecond=123456) - timedelta(days=20)


@pytest.fixture
def tenant(database: str) -> Tenant:
    return make_tenant()


def at(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


def run(command: str, *arguments: Any) -> tuple[dict[str, Any], int]:
    """What the command prints with `--json`, and its exit status."""
    out = io.StringIO()
    try:
        call_command(command, *map(str, arguments), "--json", stdout=out, stderr=io.StringIO())
    except CommandError as error:
        return json.loads(out.getvalue() or json.dumps({"refused": str(error)})), error.returncode
    return json.loads(out.getvalue()), 0


def bring(tenant: Tenant, source: Path, format_: str = "jsonl", *more: Any) -> dict[str, Any]:
    report, status = run("import_conversations", source, "--tenant", tenant.name, "--format", format_, *more)
    assert "refused" not in report, report
    assert status == (1 if report["errors"] else 0)
    return report


def said(tenant: Tenant) -> dict[str | None, list[tuple[str, str, datetime]]]:
    """By session's external id, what was said, by whom and when."""
    with tenant_scope(tenant.id):
        return {
            session.external_id: [
                (message["role"], message["content"], message["created_at"])
                for message in last_messages(session, 200, include_system=True)
            ]
            for session in Session.objects.for_tenant(tenant.id).live()
        }


def jsonl(tmp_path: Path) -> Path:
    return write_lines(
        tmp_path / "talk.jsonl",
        {
            "object": "session",
            "id": "s-1",
            "external_id": "one",
            "customer_id": "ann",
            "created_at": str(at(0)),
        },
        {"session_id": "s-1", "id": "m-1", "role": "user", "content": "Hi", "created_at": str(at(1))},
        {"session_id": "one", "id": "m-2", "role": "assistant", "content": "Hello", "timestamp": str(at(2))},
    )


def openai(tmp_path: Path) -> Path:
    items = [
        {"id": "m-1", "type": "message", "role": "user", "content": "Hi", "created_at": at(1).timestamp()},
        {
            "id": "m-2",
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Hello"}],
            "created_at": at(2).timestamp(),
        },
    ]
    return write_lines(
        tmp_path / "openai.jsonl",
        {
            "id": "one",
            "object": "conversation",
            "created_at": at(0).timestamp(),
            "metadata": {"user_id": "ann"},
            "items": items,
        },
    )


def langchain(tmp_path: Path) -> Path:
    def row(number: int, kind: str, content: str) -> dict[str, Any]:
        message = {"type": kind, "data": {"content": content, "id": f"run-{number}"}}
        return {
            "id": number,
            "session_id": "one",
            "user_id": "ann",
            "message": json.dumps(message) if number == 2 else message,
            "created_at": at(number).isoformat(),
        }

    return write_lines(tmp_path / "langchain.jsonl", row(1, "human", "Hi"), row(2, "ai", "Hello"))


def dynamodb(tmp_path: Path) -> Path:
    def item(number: int, role: str, content: str) -> dict[str, Any]:
        fields = {
            "session_id": "one",
            "timestamp": at(number).isoformat(),
            "message_id": f"m-{number}",
            "role": role,
            "content": content,
            "user_id": "ann",
            "metadata": '{"intent": "greeting"}',
        }
        return {"Item": {name: {"S": value} for name, value in fields.items()}}

    return write_lines(tmp_path / "items.json", item(2, "assistant", "Hello"), item(1, "user", "Hi"))


def sqlite(tmp_path: Path) -> Path:
    path = tmp_path / "talk.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE sessions (session_id, user_id, channel, created_at)")
        database.execute("CREATE TABLE messages (id INTEGER, session_id, role, content, timestamp, metadata)")
        database.execute("INSERT INTO sessions VALUES ('one', 'ann', 'web', ?)", (at(0).isoformat(),))
        rows = [
            (2, "one", "assistant", "Hello", at(2).isoformat(), "{}"),
            (1, "one", "user", "Hi", at(1).isoformat(), None),
        ]
        database.executemany("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?)", rows)
        database.commit()
    return path


FORMATS = {"jsonl": jsonl, "openai": openai, "langchain": langchain, "dynamodb": dynamodb, "sqlite": sqlite}


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_is_stored_with_its_times_and_twice_stores_once(
    tenant: Tenant, tmp_path: Path, format_: str
) -> None:
    source = FORMATS[format_](tmp_path)

    tried = bring(tenant, source, format_, "--dry-run")
    nothing = said(tenant)
    first = bring(tenant, source, format_)
    again = bring(tenant, source, format_)

    assert (tried["dry_run"], tried["messages"], tried["stored"], nothing) == (True, 2, 0, {})
    assert (first["sessions"], first["messages"], first["stored"], first["skipped"]) == (1, 2, 2, 0)
    assert (again["messages"], again["stored"], again["skipped"]) == (2, 0, 2)
    assert first["errors"] == again["errors"] == []
    assert said(tenant) == {"one": [("user", "Hi", at(1)), ("assistant", "Hello", at(2))]}
    with tenant_scope(tenant.id):
        customer = Customer.objects.for_tenant(tenant.id).get(external_id="ann")
        counted = read_summary(tenant.id, customer)
    assert (counted.session_count, counted.message_count) == (1, 2)
    assert (counted.first_interaction_at, counted.last_interaction_at) == (at(1), at(2))


def test_bom_crlf_and_blank_lines_are_fine_and_broken_lines_are_told_by_number(
    tenant: Tenant, tmp_path: Path
) -> None:
    good = {"session_id": "s", "role": "user", "created_at": at(1).isoformat()}
    future = {**good, "created_at": (ids.now() + timedelta(days=1)).isoformat(), "content": "later"}
    lines = [
        b"\xef\xbb\xbf" + json.dumps({**good, "content": "first"}).encode() + b"\r",
        b"\r",
        b"{not json",
        json.dumps({**good, "content": "latin"}).encode() + b"\xe9",
        json.dumps(future).encode(),
        b"",
        json.dumps({**good, "content": "last", "nonsense": 1}).encode(),
        json.dumps({**good, "content": "last"}).encode() + b"\r",
    ]

    report = bring(tenant, write_lines(tmp_path / "x.jsonl", *lines))

    assert [(e["line"], e["code"]) for e in report["errors"]] == [
        (3, "malformed_json"),
        (4, "malformed_json"),
        (5, "out_of_range"),
        (7, "unknown_field"),
    ]
    assert [text for _, text, _ in said(tenant)["s"]] == ["first", "last"]
    assert (report["messages"], report["stored"]) == (2, 2)


def test_an_interrupted_import_goes_on_where_it_stopped(
    tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conversations.services.imports.running.BATCH", 10)
    source = write_lines(
        tmp_path / "x.jsonl",
        *(
            {"session_id": f"s{n % 3}", "role": "user", "content": str(n), "created_at": str(at(n))}
            for n in range(50)
        ),
    )
    lasting = iter(range(3))
    execute = messages.execute

    def dying(query: str, values: Any) -> Any:
        if query is messages._INSERT and next(lasting, None) is None:
            raise OSError("the machine is gone")
        return execute(query, values)

    with monkeypatch.context() as patched:
        patched.setattr(messages, "execute", dying)
        assert run("import_conversations", source, "--tenant", tenant.name, "--format", "jsonl")[1] == 1
    with tenant_scope(tenant.id):
        stored = Message.objects.for_tenant(tenant.id).count()

    report = bring(tenant, source)

    assert stored == 30
    assert (report["stored"], report["skipped"]) == (20, 30)
    for number in range(3):
        assert [text for _, text, _ in said(tenant)[f"s{number}"]] == [str(n) for n in range(number, 50, 3)]


def test_what_the_api_holds_by_external_id_is_not_stored_again(tenant: Tenant, tmp_path: Path) -> None:
    session = make_session(tenant, external_id="one")
    given = [MessageIn(role="user", content="Hi", external_id="m-1")]
    append_messages(tenant_id=tenant.id, session_id=session.id, given=given)
    line = {"session_id": "one", "role": "user", "content": "Hi", "external_id": "m-1"}
    other = {**line, "external_id": "m-2", "content": "there"}

    report = bring(tenant, write_lines(tmp_path / "x.jsonl", line, other, other))

    assert (report["stored"], report["skipped"]) == (1, 2)
    assert [text for _, text, _ in said(tenant)["one"]] == ["Hi", "there"]


def populated(tenant: Tenant) -> None:
    """One of everything an export holds."""
    session = make_session(
        tenant, external_id="a/b", customer_id="ann", channel="web", title="Boxes", context={"k": 1}
    )
    given = [
        MessageIn(role="user", content="I like vanilla, call +65 8123 4567", intent="taste", name="Ann"),
        MessageIn(
            role="assistant",
            content="Noted",
            external_id="m-2",
            agent_responses={"sentiment_agent": {"score": 0.5}},
            metadata={"deep": {"er": [1]}},
        ),
        MessageIn(role="tool", content="{}", usage={"tokens": 3}, occurred_at=at(3)),
    ]
    appended = append_messages(tenant_id=tenant.id, session_id=session.id, given=given)
    evidence = appended.messages[0]["id"]
    nobody = make_session(tenant)
    append_messages(tenant_id=tenant.id, session_id=nobody.id, given=given[:1] * 2)

    outcome = Outcome(success=True, issue_type="boxes", entities=["depot"], knowledge="Call first")
    close_session(tenant_id=tenant.id, session_id=session.id, outcome=outcome)
    own = [1.0] + [0.0] * (served_profile().dimension - 1)
    memories = [
        MemoryIn(content="Prefers vanilla", customer_id="ann", source_message_ids=[evidence]),
        MemoryIn(content="We close at six", kind="note", embedding=own, external_id="k", metadata={"a": 1}),
    ]
    create_memories(tenant_id=tenant.id, given=memories)
    patch = PortraitPatch(
        preferences={"colour": "green"},
        purchase_history={"boxes": 3},
        traits=[TraitIn(name="taste", value="vanilla", source_message_ids=[str(evidence)])],
        sentiment_score=0.25,
        summary="Likes vanilla.",
    )
    patch_portrait(tenant_id=tenant.id, external_id="ann", patch=patch)
    elsewhere = SummaryIn(
        session_count=7,
        message_count=40,
        intents={"taste": 3},
        channels={"phone": 7},
        first_interaction_at=at(-900),
    )
    set_baseline(tenant_id=tenant.id, external_id="ann", baseline=elsewhere)


def lines_of(folder: Path) -> dict[str, list[Any]]:
    return {
        path.name: [json.loads(line) for line in path.read_text().splitlines()]
        for path in folder.glob("*.jsonl")
    }


def counted(tenant: Tenant, customer: str = "ann") -> Interactions:
    with tenant_scope(tenant.id):
        return read_summary(tenant.id, Customer.objects.for_tenant(tenant.id).get(external_id=customer))


def test_counters_of_what_was_purged_come_along(tenant: Tenant, tmp_path: Path) -> None:
    populated(tenant)
    with tenant_scope(tenant.id):
        gone = Message.objects.for_tenant(tenant.id).filter(customer__isnull=False).order_by("id")[:2]
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('app.reason', %s, true)", [str(Reason.PURGE.value)])
        Message.objects.for_tenant(tenant.id).filter(id__in=[one.id for one in gone]).delete()
    other = make_tenant("other")
    run("export_tenant", tenant.name, tmp_path / "out")

    report = bring(other, tmp_path / "out")

    assert report["errors"] == []
    assert counted(other) == counted(tenant)
    assert counted(other).message_count == 43


def test_a_baseline_of_the_future_is_a_line_error(tenant: Tenant, tmp_path: Path) -> None:
    lines = [
        {"object": "summary", "customer_id": "ann", "message_count": 4},
        {"object": "summary", "customer_id": "bob", "last_interaction_at": "2999-01-01T00:00:00Z"},
        {"object": "summary", "customer_id": "eve", "message_count": -1},
    ]

    report = bring(tenant, write_lines(tmp_path / "s.jsonl", *lines))

    assert [error["line"] for error in report["errors"]] == [2, 3]
    assert (report["summaries"], counted(tenant).message_count) == (1, 4)


def test_a_dry_run_never_says_that_it_stored(tenant: Tenant, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "s.jsonl", {"object": "alien"})
    arguments = ("import_conversations", str(source), "--tenant", tenant.name, "--format", "jsonl")

    with pytest.raises(CommandError, match="nothing is stored"):
        call_command(*arguments, "--dry-run", stdout=io.StringIO(), stderr=io.StringIO())
    with pytest.raises(CommandError, match="the others are stored"):
        call_command(*arguments, stdout=io.StringIO(), stderr=io.StringIO())


MADE_ANEW = {"id", "session_id", "updated_at", "version", "source_message_ids", "message_id"}


def comparable(value: Any) -> Any:
    """Without ids, which are made anew, but with how many there are; without times of change."""
    if isinstance(value, list):
        return [comparable(item) for item in value]
    if isinstance(value, dict):
        return {
            name: len(item) if isinstance(item, list) and name in MADE_ANEW else comparable(item)
            for name, item in value.items()
            if name not in MADE_ANEW or isinstance(item, list)
        }
    return value


def test_out_and_in_again_is_equal(tenant: Tenant, tmp_path: Path) -> None:
    populated(tenant)
    other = make_tenant("other")

    manifest, status = run("export_tenant", tenant.name, tmp_path / "out")
    report = bring(other, tmp_path / "out")
    again = bring(other, tmp_path / "out")
    run("export_tenant", other.name, tmp_path / "back")

    out, back = lines_of(tmp_path / "out"), lines_of(tmp_path / "back")
    assert status == 0
    assert {file["name"]: file["lines"] for file in manifest["files"]} == {
        "customers.jsonl": 1,
        "sessions.jsonl": 2,
        "messages.jsonl": 5,
        "memories.jsonl": 2,
        "portraits.jsonl": 1,
        "summaries.jsonl": 1,
    }
    assert report["errors"] == []
    assert (report["stored"], report["memories"], report["portraits"], report["summaries"]) == (5, 2, 1, 1)
    assert (again["stored"], again["skipped"], again["memories"], again["portraits"]) == (0, 5, 0, 0)
    for name, lines in out.items():
        assert sorted(map(str, comparable(back[name]))) == sorted(map(str, comparable(lines))), name
    assert (
        [one["embedding"] for one in back["memories.jsonl"] if "embedding" in one]
        == [one["embedding"] for one in out["memories.jsonl"] if "embedding" in one]
        != []
    )
    assert counted(other) == counted(tenant)
    assert counted(other).message_count == 43
    portrait = get_portrait(other.id, "ann")
    colour = get_portrait(tenant.id, "ann").state.preferences["colour"]
    assert portrait.preferences_created_at == colour.created_at
    assert portrait.preferences_updated_at == colour.updated_at
    trait = portrait.state.traits[0]
    with tenant_scope(other.id):
        (source,) = trait.source_message_ids
        assert Message.objects.for_tenant(other.id).get(id=source).intent == "taste"
        (memory,) = Memory.objects.for_tenant(other.id).filter(customer__isnull=False)
        assert memory.source_message_ids == [source]


def test_an_export_comes_back_to_its_own_tenant_without_doubles(tenant: Tenant, tmp_path: Path) -> None:
    populated(tenant)
    run("export_tenant", tenant.name, tmp_path / "out")
    before = counted(tenant)

    report = bring(tenant, tmp_path / "out")

    assert (report["stored"], report["skipped"]) == (0, 5)
    assert counted(tenant) == before
    with tenant_scope(tenant.id):
        assert Session.objects.for_tenant(tenant.id).count() == 2
        assert Memory.objects.for_tenant(tenant.id).count() == 2


def test_what_was_erased_since_the_export_stays_gone(tenant: Tenant, tmp_path: Path) -> None:
    populated(tenant)
    run("export_tenant", tenant.name, tmp_path / "out")
    with tenant_scope(tenant.id):
        nobody = Session.objects.for_tenant(tenant.id).get(customer__isnull=True)
        one = Message.objects.for_tenant(tenant.id).filter(session=nobody).first()
    assert one is not None
    delete_messages(tenant_id=tenant.id, message_ids=[one.id], actor=SYSTEM)
    erase_customer(tenant_id=tenant.id, external_id="ann", actor=SYSTEM)

    report = bring(tenant, tmp_path / "out")

    assert report["stored"] == 0
    assert {error["code"] for error in report["errors"]} == {"erased"}
    with tenant_scope(tenant.id):
        assert not Customer.objects.for_tenant(tenant.id).filter(external_id="ann").exists()
        assert Session.objects.for_tenant(tenant.id).live().count() == 1
        assert Message.objects.for_tenant(tenant.id).live().count() == 1


def altered(folder: Path) -> Iterator[Callable[[], object]]:
    messages = folder / "messages.jsonl"
    whole = messages.read_bytes()
    yield lambda: messages.write_bytes(whole.replace(b"vanilla", b"Vanilla", 1))
    yield lambda: (messages.write_bytes(whole), (folder / "more.jsonl").write_text("{}\n"))
    yield lambda: ((folder / "more.jsonl").unlink(), messages.unlink())


def test_an_altered_export_is_refused_whole(tenant: Tenant, tmp_path: Path) -> None:
    populated(tenant)
    run("export_tenant", tenant.name, tmp_path / "out")
    other = make_tenant("other")

    for alter in altered(tmp_path / "out"):
        alter()
        assert run("import_conversations", tmp_path / "out", "--tenant", "other", "--format", "jsonl")[1] == 1

    assert said(other) == {}
    assert run("export_tenant", tenant.name, tmp_path / "out")[1] == 1  # there is something already


def test_preferences_of_a_table_keep_their_times(tenant: Tenant, tmp_path: Path) -> None:
    fields = {
        "user_id": {"S": "ann"},
        "preferences": {"S": '{"favorite_genres": ["rock", "jazz"]}'},
        "created_at": {"S": at(1).isoformat()},
        "updated_at": {"S": at(2).isoformat()},
    }

    report = bring(tenant, write_lines(tmp_path / "p.json", {"Item": fields}), "dynamodb")

    portrayal = get_portrait(tenant.id, "ann")
    assert report["errors"] == []
    assert portrayal.state.preferences["favorite_genres"].value == ["rock", "jazz"]
    assert (portrayal.preferences_created_at, portrayal.preferences_updated_at) == (at(1), at(2))


def test_wrong_use_is_told(tenant: Tenant, tmp_path: Path) -> None:
    source = jsonl(tmp_path)
    arguments = ("--tenant", tenant.name, "--format", "jsonl")

    assert run("import_conversations", tmp_path / "nothing", *arguments)[1] == 1
    assert run("import_conversations", source, "--tenant", "nobody", "--format", "jsonl")[1] == 1
    assert run("import_conversations", source, *arguments, "--mapping", source)[1] == 2
    assert run("export_tenant", "nobody", tmp_path / "out")[1] == 1
