"""Which stores answer. Only PostgreSQL is needed to be ready: everything else can be down for a while."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections

from conversations.backends import configured
from conversations.backends.values import StoreUnavailable
from conversations.enums import GateState

RECORD = "postgresql"
PATIENCE = 1.0  # seconds for all the stores beside PostgreSQL together


class StoreStatus(StrEnum):
    OK = "ok"
    DEGRADED = "degraded"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class StoreState:
    status: StoreStatus
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Readiness:
    stores: Mapping[str, StoreState]

    @property
    def is_ready(self) -> bool:
        return self.stores[RECORD].status is StoreStatus.OK

    @property
    def status(self) -> StoreStatus:
        some_degraded = any(state.status is StoreStatus.DEGRADED for state in self.stores.values())
        return StoreStatus.DEGRADED if some_degraded else StoreStatus.OK


Probe = Callable[[], None]  # returns, or raises StoreUnavailable


def read_readiness(probes: Mapping[str, Probe | None] | None = None) -> Readiness:
    """The state of every store; those beside PostgreSQL are asked together, for at most `PATIENCE`.

    `probes` are those of the stores in use unless others are given; a store without one is off.
    """
    probes = configured_probes() if probes is None else probes
    asked = {name: _pool().submit(probe) for name, probe in probes.items() if probe is not None}
    states = {RECORD: _judge_record()}
    wait(asked.values(), timeout=PATIENCE)
    for name in probes:
        states[name] = _judge(asked[name]) if name in asked else StoreState(StoreStatus.OFF)
    return Readiness(states)


def configured_probes() -> Mapping[str, Probe | None]:
    """How to ask each store that the settings name; None for those that they do not."""
    search, vectors, window = configured.search_store(), configured.vector_stores(), configured.window_store()

    def ping_vectors() -> None:
        for store in vectors.values():
            store.ping()

    return {
        "elasticsearch": search.ping if search else None,
        "milvus": ping_vectors if vectors else None,
        "redis": window.ping if window else None,
    }


def _judge_record() -> StoreState:
    # Asked by the calling thread: its connection persists, one of a pool's thread would be left behind.
    try:
        with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
            cursor.execute("SELECT state FROM conversations_gate")
            (gate,) = cursor.fetchone()
    except (DatabaseError, InterfaceError) as error:
        return StoreState(StoreStatus.DEGRADED, type(error).__name__)
    if gate != GateState.OPEN:
        return StoreState(StoreStatus.DEGRADED, "a restore is under way")
    return StoreState(StoreStatus.OK)


def _judge(answer: Future[None]) -> StoreState:
    if not answer.done():
        return StoreState(StoreStatus.DEGRADED, "no answer in time")
    try:
        answer.result()
    except StoreUnavailable as error:
        return StoreState(StoreStatus.DEGRADED, error.reason)
    return StoreState(StoreStatus.OK)


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=8, thread_name_prefix="readiness")
