"""The compiled condition on a real PostgreSQL, against the plain reference."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import environ
import pytest
from django.db import models
from django.db.utils import ConnectionHandler
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from conversations.filters import Kind, compile_filter, parse_filter, parse_order
from tests.conversations.filters.reference import matches

COLUMNS = {"customer_id": "customer__external_id"}
DAY = datetime(2026, 3, 1, tzinfo=UTC)

IDS = [UUID(int=0x0193_0000_0000_7000_8000_0000_0000_0000 + n) for n in range(60)]
TEXTS = ["user", "User", "", "a\"b'c\\d%s", "顾客", "\U0001f600", "1", "null"]
NUMBERS = [0, 1, -5, 0.5, 1.0, 2**40, -1.5e-7, 1e22]
DOCUMENTS = [*TEXTS[:5], *NUMBERS, True, False, None]
KEYS = ["a", "b", 'k"ey', "键", "$c"]


class Person(models.Model):
    external_id = models.TextField(null=True)

    class Meta:
        app_label, managed, db_table = "filters", False, "filters_person"


class Record(models.Model):
    id = models.UUIDField(primary_key=True)
    customer = models.ForeignKey(Person, models.DO_NOTHING, null=True)
    role = models.TextField(null=True)
    position = models.IntegerField(null=True)
    intent_confidence = models.FloatField(null=True)
    created_at = models.DateTimeField(null=True)
    last_message_at = models.DateTimeField(null=True)
    metadata = models.JSONField()
    outcome = models.JSONField(null=True)

    class Meta:
        app_label, managed, db_table = "filters", False, "filters_record"


TABLES = """
CREATE TEMPORARY TABLE filters_person (id bigint PRIMARY KEY, external_id text);
CREATE TEMPORARY TABLE filters_record (id uuid PRIMARY KEY, customer_id bigint, role text, position int,
    intent_confidence float8, created_at timestamptz, last_message_at timestamptz,
    metadata jsonb NOT NULL, outcome jsonb);
CREATE INDEX ON filters_record USING gin (metadata jsonb_path_ops) WHERE NOT (metadata = '{}'::jsonb)
"""


def document(chance: random.Random, depth: int = 0) -> Any:
    shape = chance.random()
    if depth == 0 or (depth < 3 and shape < 0.3):
        return {key: document(chance, depth + 1) for key in KEYS if chance.random() < 0.6}
    if depth < 3 and shape < 0.5:
        return [document(chance, depth + 1) for _ in range(chance.randrange(3))]
    return chance.choice(DOCUMENTS)


def records() -> list[dict[str, Any]]:
    chance = random.Random(5)

    def some(values: list[Any]) -> Any:
        return chance.choice([*values, None])

    return [
        {
            "id": id_,
            "customer_id": some(TEXTS),
            "role": some(TEXTS),
            "position": some([-1, 0, 1, 2]),
            "intent_confidence": some([0.0, 0.5, 0.95, 1.0]),
            "created_at": some([DAY + timedelta(days=n) for n in range(4)]),
            "last_message_at": some([DAY, DAY + timedelta(microseconds=1)]),
            "metadata": document(chance),
            "outcome": some([document(chance), {}]),
        }
        for id_ in IDS
    ]


RECORDS = records()


@pytest.fixture(scope="module")
def table(postgres_server: str, django_db_blocker: Any) -> Iterator[models.QuerySet[Record]]:
    """All records in a table of this connection only."""
    handler = ConnectionHandler({"default": environ.Env.db_url_config(postgres_server)})
    with django_db_blocker.unblock():
        connection = handler["default"]
        with connection.cursor() as cursor:
            cursor.execute(TABLES)
            for number, record in enumerate(RECORDS):
                person = None if record["customer_id"] is None else number
                if person is not None:
                    cursor.execute(
                        "INSERT INTO filters_person VALUES (%s, %s)", [person, record["customer_id"]]
                    )
                row = record | {"customer_id": person}
                row |= {
                    name: None if row[name] is None else Jsonb(row[name]) for name in ("metadata", "outcome")
                }
                cursor.execute(
                    f"INSERT INTO filters_record ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})",
                    list(row.values()),
                )
        yield Query(connection)
        connection.close()


class Query:
    """Runs querysets of Record on the connection that has the table."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def rows(self, queryset: models.QuerySet[Record]) -> list[UUID]:
        compiler = queryset.values_list("id").query.get_compiler(connection=self.connection)
        return [row[0] for row in compiler.results_iter()]

    def ids(self, raw: Any, kind: Kind = Kind.MESSAGES) -> set[UUID]:
        return set(self.rows(Record.objects.filter(compile_filter(parse_filter(raw, kind), COLUMNS))))

    def explain(self, raw: Any) -> str:
        tree = parse_filter(raw, Kind.MESSAGES)
        compiler = Record.objects.filter(compile_filter(tree, COLUMNS)).query.get_compiler(
            connection=self.connection
        )
        with self.connection.cursor() as cursor:
            cursor.execute("SET enable_seqscan = off")
            sql, params = compiler.as_sql()
            cursor.execute(f"EXPLAIN {sql}", params)
            return "\n".join(row[0] for row in cursor.fetchall())


def expected(raw: Any) -> set[UUID]:
    return {record["id"] for record in RECORDS if matches(raw, record)}


def operators(values: st.SearchStrategy[Any], ordered: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    nullable = st.none() | values
    single = st.one_of(
        st.fixed_dictionaries({"$eq": nullable}),
        st.fixed_dictionaries({"$ne": nullable}),
        st.fixed_dictionaries({"$in": st.lists(nullable, max_size=4)}),
        st.fixed_dictionaries({"$nin": st.lists(nullable, max_size=4)}),
        st.fixed_dictionaries({"$exists": st.booleans()}),
        *(st.fixed_dictionaries({name: ordered}) for name in ("$gt", "$gte", "$lt", "$lte")),
    )
    pair = st.builds(lambda one, other: one | other, single, single)
    plain = single | pair
    return st.one_of(nullable, plain, plain.map(lambda inner: {"$not": inner}))


def column(name: str, values: list[Any]) -> st.SearchStrategy[Any]:
    chosen = st.sampled_from(values)
    return operators(chosen, chosen).map(lambda condition: {name: condition})


PATHS = st.lists(st.sampled_from(KEYS), min_size=1, max_size=3).map(
    lambda keys: ".".join(["metadata", *keys])
)
IN_DOCUMENTS = operators(
    st.sampled_from([value for value in DOCUMENTS if value is not None]),
    st.sampled_from([value for value in DOCUMENTS if value is not None and not isinstance(value, bool)]),
)
LEAVES = st.one_of(
    column("id", [str(id_) for id_ in IDS[::9]]),
    column("customer_id", TEXTS),
    column("role", TEXTS),
    column("position", [-1, 0, 1, 2, 2**31, -(2**40), 2**63 - 1]),
    column("intent_confidence", [0, 0.5, 0.95, 1, -3]),
    column("created_at", ["2026-03-01T00:00:00Z", "2026-03-02T02:00:00+02:00", "2026-03-09T00:00:00.5Z"]),
    st.builds(lambda path, condition: {path: condition}, PATHS, IN_DOCUMENTS),
    st.just({}),
)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda one, other: one | other, inner, inner),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"$and": parts}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"$or": parts}),
    ),
    max_leaves=6,
)


@given(raw=FILTERS)
@settings(max_examples=600, deadline=None)
def test_a_compiled_filter_finds_what_the_reference_finds(table, raw):
    assert table.ids(raw) == expected(raw)


@given(path=PATHS, condition=IN_DOCUMENTS)
@settings(max_examples=400, deadline=None)
def test_conditions_on_documents_find_what_the_reference_finds(table, path, condition):
    assert table.ids({path: condition}) == expected({path: condition})


@given(path=PATHS.map(lambda path: path.replace("metadata", "outcome", 1)), condition=IN_DOCUMENTS)
@settings(max_examples=200, deadline=None)
def test_a_column_without_a_document_has_every_path_missing(table, path, condition):
    assert table.ids({path: condition}, Kind.SESSIONS) == expected({path: condition})


def test_the_reference_tells_records_apart():
    """The comparison above means something only if filters do find some records and not others."""
    found = {len(expected({path: value})) for path in ("metadata.a", "metadata.b.a") for value in DOCUMENTS}

    assert len(found) > 3
    assert max(found) < len(RECORDS)


@pytest.mark.parametrize("field", ["role", "customer_id", "position", "metadata.a"])
def test_an_empty_list_matches_nothing_and_its_negation_everything(table, field):
    assert table.ids({field: {"$in": []}}) == set()
    assert table.ids({field: {"$nin": []}}) == set(IDS)
    assert table.ids({"$or": [{field: {"$in": []}}, {}]}) == set(IDS)


def test_a_missing_field_is_not_equal(table):
    without_role = {record["id"] for record in RECORDS if record["role"] is None}

    assert without_role
    assert without_role <= table.ids({"role": {"$ne": "user"}})
    assert without_role <= table.ids({"role": {"$nin": ["user", "User"]}})
    assert without_role == table.ids({"role": None})


@pytest.mark.parametrize(
    "value", ["x", 1, 1.5, True, {"$gt": 1}, {"$lte": "x"}, {"$in": ["x", 1, None, False]}]
)
def test_unlike_types_never_fail(table, value):
    for key in KEYS:
        assert table.ids({f"metadata.{key}": value}) == expected({f"metadata.{key}": value})


def test_the_largest_filters_are_planned_and_answered(table):
    values = [f"v{n}" for n in range(999)]

    assert table.ids({"metadata.a": {"$in": [*values, "user"]}}) == expected({"metadata.a": "user"})
    assert table.ids({"$or": [{"metadata.b": value} for value in values[:400]]}) == set()


def test_quotes_and_operators_in_a_path_are_only_names(table):
    raw = {'metadata.a" ? (@ == 1) || $."b': 1}

    assert table.ids(raw) == set()


def test_equality_in_documents_uses_the_index_and_order_does_not(table):
    assert "Bitmap Index Scan" in table.explain({"metadata.a": "user"})
    assert "Bitmap Index Scan" in table.explain({"metadata.a": {"$in": ["user", 5]}})
    assert "Bitmap Index Scan" not in table.explain({"metadata.a": {"$ne": 5}})


@pytest.mark.parametrize("names", [["id"], ["-created_at"], ["created_at", "-id"]])
def test_pages_by_key_join_to_the_whole_list(table, names):
    rows = Record.objects.filter(created_at__isnull=False)
    assert pages(table, parse_order(names, Kind.MESSAGES), rows) == listed(
        table, parse_order(names, Kind.MESSAGES), rows
    )


@pytest.mark.parametrize("names", [["last_message_at"], ["-last_message_at"], ["-last_message_at", "id"]])
def test_pages_by_key_pass_rows_without_a_value(table, names):
    order = parse_order(names, Kind.SESSIONS)

    whole = listed(table, order, Record.objects.all())

    assert len(whole) == len(IDS)
    assert pages(table, order, Record.objects.all()) == whole
    empty = {record["id"] for record in RECORDS if record["last_message_at"] is None}
    assert set(whole[-len(empty) :] if names[0].startswith("-") else whole[: len(empty)]) == empty


def listed(table, order, rows):
    return table.rows(rows.order_by(*order.expressions()))


def pages(table, order, rows):
    by_id = {record["id"]: record for record in RECORDS}
    found: list[UUID] = []
    page = table.rows(rows.order_by(*order.expressions())[:7])
    while page:
        found += page
        last = by_id[page[-1]]
        condition = order.after([last[key.name] for key in order.keys])
        page = table.rows(rows.filter(condition).order_by(*order.expressions())[:7])
    return found
