"""Stores for retention's tests, switched on for one test."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from conversations.backends.configured import forget_stores, search_store, vector_store
from conversations.backends.embedders import configured_profiles
from conversations.backends.protocols import VectorStore
from conversations.mirror.switching import ensure_sinks


@pytest.fixture
def elasticsearch(database: str, elasticsearch_url: str, settings: Any) -> Iterator[Any]:
    """A real Elasticsearch with indices of this test's own; events are written for it."""
    settings.ELASTICSEARCH_URL, settings.MILVUS_URI = elasticsearch_url, ""
    settings.ELASTICSEARCH_PREFIX = f"retention-{uuid4().hex[:8]}"
    forget_stores()
    ensure_sinks(lambda *_: None)
    store = search_store()
    yield store
    store.drop_indexes()
    forget_stores()


@pytest.fixture
def milvus(database: str, milvus_server: str, settings: Any) -> Iterator[VectorStore]:
    """A real Milvus with a collection of this test's own; events are written for it."""
    settings.MILVUS_URI, settings.ELASTICSEARCH_URL = milvus_server, ""
    settings.ELASTICSEARCH_PREFIX = f"retention-{uuid4().hex[:8]}"
    settings.EMBEDDING_PROFILES = ["hash:words:64"]
    forget_stores()
    ensure_sinks(lambda *_: None)
    store = vector_store(configured_profiles()[0])
    assert store is not None
    yield store
    store.drop()
    forget_stores()


@pytest.fixture
def postgresql_alone(settings: Any) -> Iterator[None]:
    """No other store is switched on."""
    settings.REDIS_URL = settings.ELASTICSEARCH_URL = settings.MILVUS_URI = ""
    forget_stores()
    yield
    forget_stores()
