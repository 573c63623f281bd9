"""Real stores of a test's own, switched on; and the drain as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.db import connections

from conversations.backends.configured import forget_stores, search_store, vector_stores
from conversations.backends.elasticsearch import ElasticsearchStore
from conversations.backends.milvus import MilvusStore
from conversations.enums import Sink
from conversations.mirror.drain import drain
from conversations.mirror.switching import ensure_sinks
from conversations.mirror.verifying import Verdict, verify
from conversations.models import MirrorEvent, Tenant

ROOT = Path(__file__).resolve().parents[3]


class Stores:
    """The stores as the settings name them now."""

    @property
    def search(self) -> ElasticsearchStore:
        store = search_store()
        assert store is not None
        return store

    @property
    def vectors(self) -> MilvusStore:
        return next(iter(vector_stores().values()))

    def verdict(self, sink: Sink, *, repair: bool = False) -> Verdict | None:
        tenants = list(Tenant.objects.using("ops").values_list("id", flat=True))
        return verify(sink, tenants, repair=repair, tell=quiet)

    def differences(self) -> dict[str, Verdict]:
        """What does not agree with the record, of every store that is on."""
        verdicts = {sink.name: self.verdict(sink) for sink in Sink}
        return {
            name: verdict for name, verdict in verdicts.items() if verdict is not None and not verdict.agrees
        }


def quiet(*_: object) -> None:
    pass


@pytest.fixture
def elasticsearch(database: str, elasticsearch_url: str, settings: Any) -> Iterator[str]:
    """The URL of an Elasticsearch with indices of this test's own, switched on."""
    settings.ELASTICSEARCH_URL = elasticsearch_url
    settings.ELASTICSEARCH_PREFIX = f"test-{uuid4().hex[:10]}"
    settings.MILVUS_URI = ""
    forget_stores()
    ensure_sinks(quiet)
    yield elasticsearch_url
    settings.ELASTICSEARCH_URL = elasticsearch_url
    forget_stores()
    Stores().search.drop_indexes()
    forget_stores()


@pytest.fixture
def milvus(database: str, milvus_server: str, settings: Any) -> Iterator[str]:
    """The address of a Milvus with collections of this test's own, switched on."""
    settings.ELASTICSEARCH_PREFIX = f"test-{uuid4().hex[:10]}"
    settings.MILVUS_URI = milvus_server
    forget_stores()
    ensure_sinks(quiet)
    yield milvus_server
    settings.MILVUS_URI = milvus_server
    forget_stores()
    for store in vector_stores().values():
        store.drop()
    forget_stores()


@pytest.fixture
def stores(elasticsearch: str, milvus_server: str, settings: Any) -> Iterator[Stores]:
    """Every store, switched on and level with an empty record."""
    settings.MILVUS_URI = milvus_server
    forget_stores()
    ensure_sinks(quiet)
    yield Stores()
    settings.ELASTICSEARCH_URL, settings.MILVUS_URI = elasticsearch, milvus_server
    forget_stores()
    for store in vector_stores().values():
        store.drop()


@pytest.fixture
def lexical_only(database: str, settings: Any) -> Stores:
    """PostgreSQL's search tables and nothing else."""
    settings.ELASTICSEARCH_URL = settings.MILVUS_URI = ""
    forget_stores()
    return Stores()


@pytest.fixture
def drain_process(database: str) -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    """Starts `manage.py drain_mirror` on this test's database."""
    started: list[subprocess.Popen[bytes]] = []

    def start(**environment: str) -> "subprocess.Popen[bytes]":
        url = os.environ["DATABASE_URL"]
        path, _, query = url.partition("?")
        ours = {
            "DATABASE_URL": f"{path.rpartition('/')[0]}/{database}?{query}",
            "DATABASE_ROLE_PREFIX": django_settings.DATABASE_ROLE_PREFIX,
            "ELASTICSEARCH_PREFIX": django_settings.ELASTICSEARCH_PREFIX,
            "MILVUS_URI": django_settings.MILVUS_URI,
        }
        process = subprocess.Popen(
            [sys.executable, "manage.py", "drain_mirror"], cwd=ROOT, env={**os.environ, **ours, **environment}
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def events(sink: Sink | None = None) -> int:
    """How many events wait, parked ones included."""
    found = MirrorEvent.objects.using("ops").all()
    return (found if sink is None else found.filter(sink=sink)).count()


def drain_all() -> None:
    """Drain until nothing is due any more."""
    while drain().done:
        pass


def as_owner(statement: str, *values: Any) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute(statement, list(values))


def make_due() -> None:
    """End every lease and every pause now."""
    as_owner("UPDATE conversations_mirrorevent SET leased_until = NULL, lease = NULL, next_at = now()")
