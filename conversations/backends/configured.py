"""The stores this installation uses, as the settings name them; one of each per process."""

import os
from functools import cache

from django.conf import settings

from conversations.backends.elasticsearch import ElasticsearchStore
from conversations.backends.elasticsearch_connection import ElasticsearchConnection
from conversations.backends.embedders import EmbeddingProfile, configured_profiles
from conversations.backends.milvus import MilvusStore
from conversations.backends.milvus_connection import MilvusConnection
from conversations.backends.window import RedisWindow


@cache
def search_store() -> ElasticsearchStore | None:
    """Elasticsearch; None where it is switched off."""
    if not settings.ELASTICSEARCH_URL:
        return None
    password = settings.ELASTIC_PASSWORD
    return ElasticsearchStore(
        ElasticsearchConnection(
            settings.ELASTICSEARCH_URL, basic_auth=("elastic", password) if password else None
        ),
        prefix=settings.ELASTICSEARCH_PREFIX,
        index_settings=settings.ELASTICSEARCH_INDEX_SETTINGS,
    )


@cache
def vector_store(profile: EmbeddingProfile) -> MilvusStore | None:
    """The profile's collection in Milvus; None where Milvus is switched off."""
    if not settings.MILVUS_URI:
        return None
    name = f"{settings.ELASTICSEARCH_PREFIX}_{profile.slug}".replace("-", "_")
    return MilvusStore(_milvus(), collection=name, dimension=profile.dimension)


def vector_stores() -> dict[EmbeddingProfile, MilvusStore]:
    """Every profile's collection; empty where Milvus is switched off."""
    return {
        profile: store for profile in configured_profiles() if (store := vector_store(profile)) is not None
    }


@cache
def window_store() -> RedisWindow | None:
    """The window's Redis; None where it is switched off."""
    if not settings.REDIS_URL:
        return None
    return RedisWindow(
        settings.REDIS_URL, size=settings.WINDOW_SIZE, ttl=int(settings.WINDOW_TTL.total_seconds())
    )


def forget_stores() -> None:
    """Read the settings again at the next use."""
    for one in (search_store, vector_store, window_store, _milvus):
        one.cache_clear()


@cache
def _milvus() -> MilvusConnection:
    return MilvusConnection(settings.MILVUS_URI, settings.MILVUS_TOKEN)


# A child that shared its parent's sockets would read responses meant for the parent.
os.register_at_fork(after_in_child=forget_stores)
