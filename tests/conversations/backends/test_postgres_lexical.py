"""What only PostgreSQL can show: its limits on text search, its plans, its row-level security."""

import random
import string
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.db import connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversations.analysis.tokens import lexemes
from conversations.backends import postgres_lexical
from conversations.backends.postgres_lexical import PostgresLexical, tsquery, tsvector
from conversations.backends.values import Kind, SearchFilter
from conversations.ids import new_id
from tests.conversations.backends.builders import key, memory, message
from tests.conversations.backends.search_tables import write_search_tables

ONE_DATABASE = settings(
    max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


@pytest.fixture
def ops(database: str) -> Iterator[Any]:
    with connections["ops"].cursor() as cursor:
        yield cursor


def rank(cursor: Any, vector: str, query: str) -> float:
    cursor.execute("SELECT ts_rank(%s::tsvector, %s::tsquery)", [vector, query])
    return float(cursor.fetchone()[0])


@ONE_DATABASE
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), max_size=20))
def test_any_terms_make_a_vector_and_a_query_that_match(ops: Any, terms: list[str]) -> None:
    vector, query = tsvector(terms), tsquery(terms)

    matched = rank(ops, vector, query) > 0

    assert matched == any(term and "\0" not in term for term in terms)


@ONE_DATABASE
@given(st.text(max_size=200))
def test_whatever_is_written_is_found_by_its_own_words(ops: Any, text: str) -> None:
    terms = lexemes(text.encode("utf-8", "replace").decode())

    assert (rank(ops, tsvector(terms), tsquery(terms)) > 0) == bool(terms)


@pytest.mark.parametrize(
    "terms",
    [
        pytest.param([f"{number:x}" * 3 for number in range(300_000)], id="many short words"),
        pytest.param(["x" * 499 + str(number) for number in range(4_000)], id="long words"),
        pytest.param(["same"] * 300_000, id="one word often"),
        pytest.param(
            [chr(0x4E00 + n % 20_000) + chr(0x4E00 + n // 20_000) for n in range(200_000)], id="Chinese"
        ),
        pytest.param(["first", "y" * 5_000], id="an enormous word"),
    ],
)
def test_text_of_any_size_is_cut_to_what_postgresql_takes(ops: Any, terms: list[str]) -> None:
    assert rank(ops, tsvector(terms), tsquery(terms[:1])) > 0


def test_more_often_counts_for_more(ops: Any) -> None:
    query = tsquery(["a"])

    assert rank(ops, tsvector(["a", "b", "a"]), query) > rank(ops, tsvector(["a", "b"]), query)


def test_a_question_of_ten_thousand_words_is_cut(database: str, tenant: UUID) -> None:
    wanted = key(tenant)
    write_search_tables([message(wanted, "printer")])
    noise = "".join(random.Random(1).choices(string.ascii_lowercase + " ", k=100_000))

    found = PostgresLexical().candidates(f"printer {noise}", noise, SearchFilter(tenant_id=tenant))

    assert [hit.id for hit in found.messages] == [wanted.id]


@pytest.mark.parametrize("kind", [Kind.ARCHIVE, Kind.CHAPTERS])
def test_kinds_without_a_table_are_refused(tenant: UUID, kind: Kind) -> None:
    with pytest.raises(ValueError, match="no search table"):
        PostgresLexical().matches(kind, "x", SearchFilter(tenant_id=tenant))


def test_messages_match_by_context(database: str, tenant: UUID) -> None:
    wanted = key(tenant)
    write_search_tables([message(wanted, "printer")])

    (hit,) = PostgresLexical().matches(Kind.MESSAGES, "printers", SearchFilter(tenant_id=tenant))

    assert hit.id == wanted.id


def test_hidden_memories_are_not_found(database: str, tenant: UUID) -> None:
    write_search_tables([memory(key(tenant, Kind.MEMORIES), "printer")])
    with connections["owner"].cursor() as cursor:
        cursor.execute("UPDATE conversations_memory SET hidden_at = now()")

    assert PostgresLexical().matches(Kind.MEMORIES, "printer", SearchFilter(tenant_id=tenant)) == ()


def test_a_search_is_one_statement(database: str, tenant: UUID) -> None:
    connection = connections["ops"]
    connection.ensure_connection()
    connection.force_debug_cursor = True
    before = len(connection.queries)

    PostgresLexical().candidates("printer", "printer", SearchFilter(tenant_id=tenant))

    assert len(connection.queries) - before == 1
    connection.force_debug_cursor = False


def test_the_plan_uses_the_customer_s_index_or_the_words_index(database: str, tenant: UUID) -> None:
    customer = new_id()
    chosen = random.Random(3)
    words = ["".join(chosen.choices(string.ascii_lowercase, k=6)) for _ in range(2_000)]
    write_search_tables(
        [
            message(
                key(tenant),
                " ".join(chosen.choices(words, k=20)),
                customer_id=customer if n % 50 == 0 else new_id(),
            )
            for n in range(3_000)
        ]
    )
    with connections["owner"].cursor() as cursor:
        cursor.execute("VACUUM ANALYZE conversations_messageindex")

    of_customer = plan(" ".join(words[:300]), SearchFilter(tenant_id=tenant, customer_id=customer))
    of_tenant = plan("unheard of", SearchFilter(tenant_id=tenant))

    assert "tenant_id_customer_id_message_id" in of_customer
    assert "context_idx" in of_tenant


def plan(text: str, where: SearchFilter) -> str:
    statement, values = postgres_lexical._messages(text, where, 200)
    with connections["ops"].cursor() as cursor:
        cursor.execute(f"EXPLAIN {statement}", values)
        return "\n".join(row[0] for row in cursor.fetchall())


def test_only_the_newest_are_ranked_and_what_is_rare_is_found_beside_them(
    database: str, tenant: UUID
) -> None:
    oldest, older, *newer = sorted((key(tenant) for _ in range(6)), key=lambda one: one.id)
    write_search_tables([message(oldest, "parcel parcel"), message(older, "parcel zebra")])
    write_search_tables([message(one, "parcel") for one in newer])

    def found(words: str, newest: int | None) -> set[UUID]:
        where = SearchFilter(tenant_id=tenant, newest=newest)
        return {hit.id for hit in PostgresLexical().matches(Kind.MESSAGES, words, where)}

    assert found("parcel", None) == {oldest.id, older.id, *(one.id for one in newer)}
    assert found("parcel", 3) == {one.id for one in newer[-3:]}
    assert found("parcel zebra", 3) == {older.id, *(one.id for one in newer[-3:])}
    assert found("unheard of", 3) == set()
