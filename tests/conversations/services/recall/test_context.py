"""What a context costs: the same few statements, however much there is to be read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from conversations.memory_inputs import MemoryIn
from conversations.models import Session, Tenant
from conversations.services.memories.changes import create_memories
from conversations.services.recall.context import ContextOptions, build_context
from portraits.inputs import PortraitPatch, TraitIn
from portraits.services.portraits import patch_portrait
from retention.services.policies import expiries
from tests.builders import make_session, make_tenant, message_ids, say
from tests.conversations.mirror.conftest import drain_all

MOST = 10  # BEGIN, COMMIT and the tenant's setting, which travels with BEGIN, apart

Statements = Callable[[Callable[[], Any]], list[str]]


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Statements:
    """Everything that reaches PostgreSQL meanwhile, whoever sends it."""
    sent: list[str] = []
    execute = psycopg.Cursor.execute

    def counted(self: Any, query: Any, *rest: Any, **options: Any) -> Any:
        sent.append(str(query))
        return execute(self, query, *rest, **options)

    def run(work: Callable[[], Any]) -> list[str]:
        with patched():
            sent.clear()
            work()
            return [sql for sql in sent if "set_config('app.tenant'" not in sql]

    @contextmanager
    def patched() -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(psycopg.Cursor, "execute", counted)
            yield

    return run


def remember(tenant: Tenant, count: int) -> Session:
    """A customer of so many sessions, memories and traits; returns the latest session."""
    session = None
    for number in range(count):
        session = make_session(tenant, customer_id="ann", title=f"Order {number}")
        say(
            tenant, session, f"I ordered {number} red boxes", "When do they come?", name="Ann", intent="order"
        )
    assert session is not None
    given = [MemoryIn(content=f"Ann likes red boxes, {n} of them", customer_id="ann") for n in range(count)]
    create_memories(tenant_id=tenant.id, given=[*given, MemoryIn(content="Boxes leave the depot at six")])
    evidence = str(message_ids(say(tenant, session, "Red boxes, please"))[0])
    traits = [TraitIn(name=f"colour {n}", value="red", source_message_ids=[evidence]) for n in range(count)]
    patch = PortraitPatch(preferences={"colour": "red"}, traits=traits, summary="Likes red.")
    patch_portrait(tenant_id=tenant.id, external_id="ann", patch=patch)
    drain_all()
    return session


def whole_context(tenant: Tenant, session: Session) -> dict[str, Any]:
    options = ContextOptions(recall_limit=50, message_limit=1)
    answer = build_context(tenant_id=tenant.id, session_id=session.id, options=options)
    assert answer["portrait"]["traits"]
    assert answer["preferences"] == {"colour": "red"}
    assert {hit["kind"] for hit in answer["recalled"]} == {"message", "memory"}
    assert answer["conversation_summary"]["intents"] == {"order": 2}
    return answer


@pytest.mark.parametrize("mode", ["lexical_only", "stores"])
def test_a_context_takes_ten_statements_however_much_there_is(
    request: pytest.FixtureRequest, database: str, statements: Statements, mode: str
) -> None:
    request.getfixturevalue(mode)
    counts = {}
    for size in (1, 3, 12):
        tenant = make_tenant(f"of {size}")
        session = remember(tenant, size)
        whole_context(tenant, session)  # keys are remembered for a minute
        expiries.forget(tenant.id)  # periods for two seconds
        counts[size] = statements(lambda: whole_context(tenant, session))  # noqa: B023

    assert len(counts[1]) <= MOST, "\n\n".join(counts[1])
    assert {size: len(sent) for size, sent in counts.items()} == dict.fromkeys(counts, len(counts[1]))
