"""`/capabilities`: what this installation supports, so that clients need not probe."""

from typing import Literal

import msgspec
from django.conf import settings
from django.http import HttpResponse

from conversations.api.answers import answer
from conversations.api.operations import operation
from conversations.api.pagination import LARGEST_PAGE
from conversations.api.views import TenantView
from conversations.backends.embedders import EmbeddingProfile, configured_profiles
from conversations.enums import Scope
from conversations.exceptions import Unavailable
from conversations.filters import parsing
from conversations.mirror.profiles import served_profile
from conversations.services.messages.windows import MAX_LIMIT
from conversations.services.operations.readiness import StoreStatus, read_readiness


class EmbeddingOut(msgspec.Struct):
    profile: str
    dimension: int
    metric: Literal["cosine"]


class LimitsOut(msgspec.Struct, kw_only=True):
    """Sizes in bytes, the rest counts."""

    body: int
    content: int
    metadata: int
    json_depth: int
    batch: int
    page: int
    in_values: int
    filter_depth: int
    window: int
    message_limit: int
    search: int
    recall_limit: int
    top_k: int
    neighbours: int
    throttle: str


class CapabilitiesOut(msgspec.Struct, kw_only=True):
    object: Literal["capabilities"] = "capabilities"
    embedding: EmbeddingOut
    profiles: list[EmbeddingOut]
    limits: LimitsOut
    stores: dict[str, StoreStatus]


class Capabilities(TenantView):
    @operation(Scope.READ, answers={200: CapabilitiesOut})
    def get(self) -> HttpResponse:
        """Embedding profiles, limits and stores of this installation."""
        profiles = [_embedding(profile) for profile in configured_profiles()]
        readiness = read_readiness()
        if not readiness.is_ready:  # nothing else is asked of PostgreSQL here once the key is known
            raise Unavailable
        stores = {name: state.status for name, state in readiness.stores.items()}
        return answer(
            CapabilitiesOut(
                embedding=_embedding(served_profile()), profiles=profiles, limits=_limits(), stores=stores
            )
        )


def _embedding(profile: EmbeddingProfile) -> EmbeddingOut:
    return EmbeddingOut(profile.name, profile.dimension, profile.metric)


def _limits() -> LimitsOut:
    return LimitsOut(
        body=settings.MAX_BODY,
        content=settings.MAX_CONTENT,
        metadata=settings.MAX_METADATA,
        json_depth=settings.MAX_DEPTH,
        batch=settings.MAX_BATCH,
        page=LARGEST_PAGE,
        in_values=parsing.MAX_VALUES,
        filter_depth=parsing.MAX_DEPTH,
        window=MAX_LIMIT,
        message_limit=200,
        search=100,
        recall_limit=50,
        top_k=100,
        neighbours=5,
        throttle=settings.THROTTLE_RATE,
    )
