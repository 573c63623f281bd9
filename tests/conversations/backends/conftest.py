"""Each store twice: the real one and its fake, for the contract suites."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest

from conversations.backends.elasticsearch import ElasticsearchStore
from conversations.backends.elasticsearch_connection import ElasticsearchConnection
from conversations.backends.fakes import FakeSearchStore, FakeVectorStore, FakeWindow
from conversations.backends.milvus import MilvusStore
from conversations.backends.milvus_connection import MilvusConnection
from conversations.backends.postgres_lexical import PostgresLexical
from conversations.backends.protocols import LexicalSearch, Mirror, SearchStore, VectorStore, WindowStore
from conversations.backends.values import Change, Kind, MirrorKey, Upsert
from conversations.backends.window import RedisWindow
from conversations.ids import new_id
from tests.conversations.backends import builders
from tests.conversations.backends.builders import DIMENSION
from tests.conversations.backends.search_tables import write_search_tables

SINGLE_NODE = {"number_of_shards": 1, "number_of_replicas": 0}


@pytest.fixture
def tenant() -> UUID:
    return new_id()


@pytest.fixture
def stranger() -> UUID:
    """Another tenant."""
    return new_id()


@pytest.fixture
def make_elasticsearch(elasticsearch_url: str) -> Iterator[Callable[..., ElasticsearchStore]]:
    """Stores over indices of this test's own; each may go through another address."""
    prefix = f"test-{uuid4().hex[:10]}"

    def make(url: str = elasticsearch_url, **options: Any) -> ElasticsearchStore:
        connection = ElasticsearchConnection(url, breaker=options.pop("breaker", None))
        return ElasticsearchStore(connection, **{"prefix": prefix, "index_settings": SINGLE_NODE, **options})

    yield make
    make().drop_indexes()


@pytest.fixture
def elasticsearch(make_elasticsearch: Callable[..., ElasticsearchStore]) -> ElasticsearchStore:
    store = make_elasticsearch()
    store.ensure_indexes()
    return store


@pytest.fixture(scope="session")
def shared_elasticsearch(elasticsearch_url: str) -> Iterator[ElasticsearchStore]:
    """One set of indices for all tests that keep to tenants of their own."""
    store = ElasticsearchStore(
        ElasticsearchConnection(elasticsearch_url),
        prefix=f"test-{uuid4().hex[:10]}",
        index_settings=SINGLE_NODE,
    )
    store.ensure_indexes()
    yield store
    store.drop_indexes()


@pytest.fixture(params=["fake", "elasticsearch"])
def search_store(request: pytest.FixtureRequest) -> SearchStore:
    if request.param == "fake":
        return FakeSearchStore()
    return request.getfixturevalue("shared_elasticsearch")


@dataclass
class Lexical:
    """Something that finds by words, and the way to fill it so that the next search sees it."""

    search: LexicalSearch
    write: Callable[[Sequence[Change]], object]


@pytest.fixture(params=["fake", "elasticsearch", "postgresql"])
def lexical(request: pytest.FixtureRequest) -> Lexical:
    if request.param == "fake":
        fake = FakeSearchStore()
        return Lexical(fake, fake.apply)
    if request.param == "postgresql":
        request.getfixturevalue("database")
        return Lexical(PostgresLexical(), write_search_tables)
    store: ElasticsearchStore = request.getfixturevalue("shared_elasticsearch")

    def write(changes: Sequence[Change]) -> None:
        store.apply(changes)
        for kind in {change.key.kind for change in changes}:
            store.count(kind, changes[0].key.tenant_id)

    return Lexical(store, write)


@pytest.fixture(params=["fake", "elasticsearch"])
def own_search_store(request: pytest.FixtureRequest) -> SearchStore:
    return FakeSearchStore() if request.param == "fake" else request.getfixturevalue("elasticsearch")


@pytest.fixture
def milvus(milvus_server: str) -> Iterator[MilvusStore]:
    """A store over a collection of this test's own."""
    connection = MilvusConnection(milvus_server)
    store = MilvusStore(connection, collection=f"test_{uuid4().hex}", dimension=DIMENSION)
    store.ensure_collection()
    yield store
    store.drop()
    connection.close()


@pytest.fixture(scope="session")
def shared_milvus(milvus_server: str) -> Iterator[MilvusStore]:
    """One collection for all tests that keep to tenants of their own."""
    store = MilvusStore(
        MilvusConnection(milvus_server), collection=f"test_{uuid4().hex}", dimension=DIMENSION
    )
    store.ensure_collection()
    yield store
    store.drop()


@pytest.fixture(params=["fake", "milvus"])
def vector_store(request: pytest.FixtureRequest) -> VectorStore:
    return FakeVectorStore(DIMENSION) if request.param == "fake" else request.getfixturevalue("shared_milvus")


@pytest.fixture(params=["fake", "milvus"])
def own_vector_store(request: pytest.FixtureRequest) -> VectorStore:
    return FakeVectorStore(DIMENSION) if request.param == "fake" else request.getfixturevalue("milvus")


@dataclass
class MirrorUnderTest:
    """A store as a mirror, and a change that it takes."""

    store: Mirror
    upsert: Callable[..., Upsert]


def _document(of: MirrorKey, version: int = 1) -> Upsert:
    if of.kind is Kind.MEMORIES:
        return builders.memory(of, "a word", version=version)
    return builders.message(of, version=version)


MIRRORS = {
    "fake_search": lambda _: MirrorUnderTest(FakeSearchStore(), _document),
    "fake_vectors": lambda _: MirrorUnderTest(FakeVectorStore(DIMENSION), builders.embedded),
    "elasticsearch": lambda store: MirrorUnderTest(store, _document),
    "milvus": lambda store: MirrorUnderTest(store, builders.embedded),
}


@pytest.fixture(params=MIRRORS)
def mirror(request: pytest.FixtureRequest) -> MirrorUnderTest:
    real = not request.param.startswith("fake")
    return MIRRORS[request.param](request.getfixturevalue(f"shared_{request.param}") if real else None)


@pytest.fixture(params=MIRRORS)
def own_mirror(request: pytest.FixtureRequest) -> MirrorUnderTest:
    """A mirror that no other test writes to."""
    real = not request.param.startswith("fake")
    return MIRRORS[request.param](request.getfixturevalue(request.param) if real else None)


@pytest.fixture(params=["fake", "redis"])
def window(request: pytest.FixtureRequest) -> WindowStore:
    """A window of three messages."""
    if request.param == "fake":
        return FakeWindow(size=3)
    return RedisWindow(request.getfixturevalue("redis_server"), size=3, timeout=2)
