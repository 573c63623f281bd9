"""What only the real server can show: restarts, kills, bytes left on disk, hostile filters, faults."""

import logging
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.embedded.milvus import MilvusServer
from config.embedded.process import free_port
from conversations.backends.breaker import CircuitBreaker
from conversations.backends.milvus import MilvusStore
from conversations.backends.milvus_connection import MilvusConnection
from conversations.backends.milvus_filters import code, search_filter
from conversations.backends.values import Kind, MirrorKey, Outcome, SearchFilter, StoreUnavailable, Vector
from conversations.exceptions import TenantMissing
from conversations.ids import new_id
from tests.conversations.backends.builders import DIMENSION, embedded, key, removal, vector
from tests.conversations.backends.proxies import FaultProxy

PROMISED = 1.0
SLACK = 1.5  # of a busy machine; what hangs here hangs for three seconds and more
EAST = vector(1.0)


class Server:
    """A Milvus Lite of this test's own, to be stopped and killed."""

    def __init__(self, home: Path) -> None:
        self.settings = MilvusServer(home=home, port=free_port())
        self.settings.prepare()
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.settings.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while not self.settings.is_ready():
            assert self.process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        self.process.send_signal(how)
        self.process.wait(timeout=60)

    def store(self, url: str = "") -> MilvusStore:
        """A store over the one collection, with a breaker that gives a second chance soon."""
        breaker = CircuitBreaker("milvus", cooldown=0.2)
        connection = MilvusConnection(url or self.settings.uri, breaker=breaker)
        return MilvusStore(connection, collection="vectors", dimension=DIMENSION)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("milvus"))
    yield server
    server.process.kill()
    server.process.wait()


@pytest.fixture
def store(server: Server) -> Iterator[MilvusStore]:
    store = server.store()
    store.ensure_collection()
    yield store
    store.drop()


def found(store: MilvusStore, tenant: UUID) -> list[UUID]:
    return [hit.id for hit in store.search([EAST], SearchFilter(tenant_id=tenant))[0]]


def seconds(call: Callable[[], object]) -> float:
    """How long the call took to say that the store is away."""
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        call()
    return time.monotonic() - started


# -- collections -----------------------------------------------------------------------------------------


def test_the_client_is_not_loaded_until_it_is_needed() -> None:
    code = "import sys, conversations.backends.milvus; sys.exit('pymilvus' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_first_search_of_a_process_is_not_too_slow_for_its_own_limit(milvus_server: str) -> None:
    code = f"""
from uuid import uuid4
import numpy
from conversations.backends.milvus import MilvusStore
from conversations.backends.milvus_connection import MilvusConnection
from conversations.backends.values import SearchFilter, StoreUnavailable
store = MilvusStore(MilvusConnection({milvus_server!r}), collection="none", dimension=1)
try:
    store.search([numpy.ones(1, "f4")], SearchFilter(tenant_id=uuid4()))
except StoreUnavailable as error:
    print(error.reason)
"""
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert answer.stdout == "collection missing\n"


def test_milvus_lite_gets_an_exact_index(store: MilvusStore) -> None:
    index = store.connection.ask(5, lambda client: client.describe_index("vectors", "vector"))

    assert (index["index_type"], index["metric_type"]) == ("FLAT", "COSINE")


def test_profiles_do_not_mix(server: Server, store: MilvusStore, tenant: UUID) -> None:
    wider = MilvusStore(store.connection, collection="vectors_of_4", dimension=4)
    wider.ensure_collection()
    said = key(tenant)
    wide = np.array([1, 0, 0, 0], np.float32)

    results = wider.apply([embedded(said, vector=wide)]) + store.apply([embedded(said, vector=wide)])

    assert [result.outcome for result in results] == [Outcome.DONE, Outcome.REJECTED]
    assert results[1].detail == "dimension 4, not 8"
    wider.drop()
    assert store.count(Kind.MESSAGES) == 0


def test_a_lost_collection_is_told_and_not_made_by_a_write(store: MilvusStore, tenant: UUID) -> None:
    change = embedded(key(tenant))
    store.drop()

    for call in (
        lambda: store.apply([change]),
        lambda: found(store, tenant),
        lambda: store.present([change.key]),
        lambda: store.count(Kind.MESSAGES),
        lambda: list(store.versions(Kind.MESSAGES, tenant)),
        store.ping,
    ):
        store.connection.breaker.reset()
        with pytest.raises(StoreUnavailable, match="collection missing"):
            call()
    store.connection.breaker.reset()

    assert store.ensure_collection() is True
    assert store.apply([change])[0].outcome is Outcome.DONE
    store.ping()


def test_what_an_interrupted_copy_left_is_dropped_by_the_next(store: MilvusStore, tenant: UUID) -> None:
    kept = embedded(key(tenant))
    store.apply([kept])
    store._keep(lambda family: family.create_next())  # and the process died

    copied = store.rebuild_by_copy()

    names = store.connection.ask(5, lambda client: client.list_collections())
    assert copied == 1
    assert len([name for name in names if name.startswith("vectors_")]) == 1
    assert found(store, tenant) == [kept.key.id]


# -- restarts --------------------------------------------------------------------------------------------


def test_a_restarted_server_answers_without_anybody_s_help(
    server: Server, store: MilvusStore, tenant: UUID
) -> None:
    kept = embedded(key(tenant))
    store.apply([kept])
    server.stop(signal.SIGKILL)  # told politely, it waits for the connections that the store keeps
    while_down = seconds(lambda: found(store, tenant))
    server.start()
    store.connection.breaker.reset()

    assert while_down < PROMISED
    assert found(store, tenant) == [kept.key.id]
    assert store.apply([embedded(key(tenant))])[0].outcome is Outcome.DONE


def test_what_was_acknowledged_survives_a_kill(server: Server, store: MilvusStore, tenant: UUID) -> None:
    acknowledged: set[MirrorKey] = set()
    for _ in range(5):
        for _ in range(20):
            changes = [embedded(key(tenant)) for _ in range(10)]
            acknowledged |= {result.key for result in store.apply(changes) if result.outcome is Outcome.DONE}
        server.stop(signal.SIGKILL)
        server.start()
        store.connection.breaker.reset()

    assert len(acknowledged) == 1_000
    assert store.present(list(acknowledged)) == acknowledged


# -- bytes on disk ---------------------------------------------------------------------------------------


def test_after_a_copy_nothing_deleted_is_left_in_the_files(
    server: Server, store: MilvusStore, tenant: UUID
) -> None:
    random = np.random.default_rng(5)
    kept, gone, gone_before_flush = (
        embedded(key(tenant), vector=random.random(DIMENSION, np.float32)) for _ in range(3)
    )
    store.apply([kept, gone])
    store.connection.ask(20, lambda client: client.flush("vectors"))
    store.apply([gone_before_flush])
    store.apply([removal(gone.key, 2), removal(gone_before_flush.key, 2)])
    deleted = [gone.document.vector, gone_before_flush.document.vector]
    before = [is_on_disk(server.settings.home, each) for each in deleted]

    store.rebuild_by_copy()

    assert before == [True, True]
    assert [is_on_disk(server.settings.home, each) for each in deleted] == [False, False]
    assert is_on_disk(server.settings.home, kept.document.vector)
    assert not any(str(gone.key.id).encode() in path.read_bytes() for path in files(server.settings.home))
    assert found(store, tenant) == [kept.key.id]


def files(home: Path) -> list[Path]:
    return [path for path in home.rglob("*") if path.is_file()]


def is_on_disk(home: Path, wanted: Vector) -> bool:
    """Whether the vector's numbers stand anywhere, as plain bytes or inside Parquet or Arrow files."""
    return any(
        wanted.tobytes() in path.read_bytes() or any((row == wanted).all() for row in _rows(path))
        for path in files(home)
    )


def _rows(path: Path) -> Iterator[Any]:
    if path.suffix == ".parquet":
        tables = [pq.read_table(path)]
    elif path.suffix == ".arrow":
        try:
            tables = [pa.ipc.open_stream(path.read_bytes()).read_all()]
        except pa.ArrowInvalid:
            return
    else:
        return
    for table in tables:
        if "vector" in table.column_names:
            for value in table.column("vector").to_pylist():
                yield np.array(value, np.float32)


# -- hostile filters -------------------------------------------------------------------------------------

UNREACHABLE = MilvusStore(MilvusConnection("http://127.0.0.1:9"), collection="x", dimension=DIMENSION)
ANYTHING = st.one_of(
    st.text(), st.binary(), st.integers(), st.none(), st.lists(st.text()), st.uuids().map(str)
)


@given(ANYTHING)
def test_a_tenant_that_is_no_id_never_reaches_the_client(tenant: Any) -> None:
    with pytest.raises(TenantMissing):
        UNREACHABLE.search([EAST], SearchFilter(tenant_id=tenant))


@given(
    st.sampled_from(["customer_id", "session_id", "min_id"]), ANYTHING.filter(lambda value: value is not None)
)
def test_an_owner_that_is_no_id_never_reaches_the_client(field: str, value: Any) -> None:
    with pytest.raises(TypeError):
        UNREACHABLE.search([EAST], SearchFilter(tenant_id=new_id(), **{field: value}))


@given(st.text().filter(lambda text: text not in list(Kind)))
def test_a_kind_that_is_none_never_reaches_the_client(kind: Any) -> None:
    with pytest.raises(ValueError, match="is not a valid Kind"):
        UNREACHABLE.search([EAST], SearchFilter(tenant_id=new_id()), kind)


@given(
    st.text() | st.sampled_from(['en" or tenant_id != "', "en\\", 'a"', "zh-CN\n"]),
    st.sampled_from(["role", "language", "kind"]),
)
def test_no_text_changes_the_shape_of_a_filter(value: str, field: str) -> None:
    tenant = new_id()
    plain = search_filter(SearchFilter(tenant_id=tenant, **{field: "x"}), Kind.MESSAGES)

    condition = search_filter(SearchFilter(tenant_id=tenant, **{field: value}), Kind.MESSAGES)

    if condition is None:
        assert code(value) == ""
    else:
        assert plain is not None
        assert condition == plain.replace('"x"', f'"{value}"')
        assert condition.count('"') == plain.count('"')


# -- the network -----------------------------------------------------------------------------------------


@pytest.fixture
def proxy(server: Server) -> Iterator[FaultProxy]:
    proxy = FaultProxy(server.settings.uri)
    yield proxy
    proxy.down()


@pytest.mark.parametrize("is_connected", [True, False])
@pytest.mark.parametrize("fault", ["black_hole", "latency", "trickle"])
def test_a_hanging_server_costs_a_search_a_second(
    server: Server, store: MilvusStore, proxy: FaultProxy, tenant: UUID, fault: str, is_connected: bool
) -> None:
    distant = server.store(proxy.url)
    if is_connected:
        assert found(distant, tenant) == []
    if fault == "black_hole":
        proxy.black_hole = True
    elif fault == "latency":
        proxy.latency = 3
    else:
        proxy.slice_to, proxy.latency = 1, 0.1

    assert PROMISED * 0.8 < seconds(lambda: found(distant, tenant)) < PROMISED + SLACK
    distant.connection.close()


def test_a_stopped_process_costs_a_second_three_times_and_then_nothing(
    server: Server, store: MilvusStore, tenant: UUID
) -> None:
    kept = embedded(key(tenant))
    store.apply([kept])
    server.process.send_signal(signal.SIGSTOP)
    took = [seconds(lambda: found(store, tenant)) for _ in range(4)]
    server.process.send_signal(signal.SIGCONT)
    time.sleep(0.3)

    assert max(took[:3]) < PROMISED + SLACK
    assert took[3] < PROMISED / 2
    assert found(store, tenant) == [kept.key.id]


def test_a_broken_connection_is_rebuilt(
    server: Server, store: MilvusStore, proxy: FaultProxy, tenant: UUID
) -> None:
    kept = embedded(key(tenant))
    distant = server.store(proxy.url)
    distant.apply([kept])
    proxy.down()
    took = seconds(lambda: found(distant, tenant))
    proxy.up()

    assert took < PROMISED + SLACK
    assert found(distant, tenant) == [kept.key.id]
    distant.connection.close()


def test_an_answer_cut_off_loses_nothing(
    server: Server, store: MilvusStore, proxy: FaultProxy, tenant: UUID
) -> None:
    changes = [embedded(key(tenant), version=2) for _ in range(5)]
    distant = server.store(proxy.url)
    distant.apply([removal(key(tenant), 1)])
    for cut in (0, 50, 150):
        proxy.answered, proxy.cut_after = 0, cut
        try:
            distant.apply(changes)
        except StoreUnavailable:
            distant.connection.breaker.reset()
        proxy.heal()

    assert {result.outcome for result in distant.apply(changes)} == {Outcome.DONE}
    assert store.present([change.key for change in changes]) == {change.key for change in changes}
    distant.connection.close()


def test_the_library_keeps_its_tracebacks_to_itself(tenant: UUID, caplog: pytest.LogCaptureFixture) -> None:
    away = MilvusStore(
        MilvusConnection(f"http://127.0.0.1:{free_port()}"), collection=f"x{uuid4().hex}", dimension=DIMENSION
    )

    with caplog.at_level(logging.DEBUG):
        assert seconds(lambda: found(away, tenant)) < PROMISED + SLACK

    assert [record for record in caplog.records if record.name.startswith("pymilvus")] == []
