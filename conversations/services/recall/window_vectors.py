"""Cosines without a vector store: embeds the candidates' windows here and caches the vectors for a minute."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from conversations.backends.embedders import embedder_for
from conversations.indexing.turns import read_windows
from conversations.mirror.profiles import served_profile
from conversations.timed_cache import TimedCache

REMEMBERED = 20_000  # vectors; a kilobyte each at 256 dimensions
LIFETIME = 60.0  # seconds, as long as a destroyed key may linger in a process

Vector = NDArray[np.float32]

_vectors: TimedCache[tuple[UUID, UUID], Vector] = TimedCache(REMEMBERED)


def window_cosines(tenant_id: UUID, query: str, message_ids: Sequence[UUID]) -> dict[UUID, float]:
    """Cosine of the question with each message's window; nothing where the provider is remote.

    A remote provider would be asked for hundreds of texts inside a request, so only local ones are used.
    """
    profile = served_profile()
    if profile.provider == "openai" or not message_ids:
        return {}
    embedder = embedder_for(profile)
    known = {i: vector for i in message_ids if (vector := _vectors.get((tenant_id, i))) is not None}
    missing = [i for i in message_ids if i not in known]
    if missing:
        windows = {
            i: window for i, window in read_windows(missing).items() if window.turn.tenant_id == tenant_id
        }
        made: Any = embedder.embed_windows([window.texts for window in windows.values()]) if windows else []
        fresh = dict(zip(windows, made, strict=True))
        for message_id, vector in fresh.items():
            _vectors.put((tenant_id, message_id), vector, LIFETIME)
        known |= fresh
    question = embedder.embed([query])[0]
    return {message_id: float(vector @ question) for message_id, vector in known.items()}
