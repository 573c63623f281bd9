"""Any endpoint that speaks OpenAI's `POST /embeddings`: hosted, TEI, Ollama, vLLM."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import httpx
import msgspec
import numpy as np
from django.core.exceptions import ImproperlyConfigured

from conversations.backends.embedders.contract import MAX_CHARACTERS, BadVectors, Vectors, checked, written
from conversations.backends.embedders.destination import PrivateAddress, PublicTransport
from conversations.backends.embedders.profile import EmbeddingProfile
from conversations.backends.embedders.static import word_table
from conversations.backends.values import StoreUnavailable

_WORTH_RETRYING = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where vectors come from, and how patiently they are asked for; times in seconds."""

    url: str
    """The base, ending in `/v1` or the like; `/embeddings` is added."""
    api_key: str = field(default="", repr=False)
    private_allowed: bool = False
    timeout: float = 10.0
    attempts: int = 3
    pause: float = 0.5
    """Before the second attempt; doubled for each one after."""
    batch: int = 64


class _Embedding(msgspec.Struct):
    index: int
    embedding: list[float]


class _Answer(msgspec.Struct):
    data: list[_Embedding]


class RemoteEmbedder:
    """Texts leave the machine as the caller gives them: scrubbed.

    A request is tried again, after a growing pause, when the endpoint cannot be reached or says it is busy.
    """

    def __init__(self, profile: EmbeddingProfile, endpoint: Endpoint) -> None:
        self.name = profile.name
        self.dimension = profile.dimension
        self._model = profile.model
        self._endpoint = endpoint
        self._client = _client(profile, endpoint)

    def embed(self, texts: Sequence[str]) -> Vectors:
        rows = np.zeros((len(texts), self.dimension), np.float32)
        # Of like length together: an endpoint pads a batch to its longest text.
        filled = sorted(written(texts), key=lambda i: len(texts[i]))
        for start in range(0, len(filled), self._endpoint.batch):
            chosen = filled[start : start + self._endpoint.batch]
            rows[chosen] = self._embed_batch([texts[i][:MAX_CHARACTERS] for i in chosen])
        return rows

    def embed_windows(self, windows: Sequence[Sequence[str]]) -> Vectors:
        return self.embed(["\n".join(window) for window in windows])

    def term_vectors(self, words: Sequence[str]) -> Vectors:
        """From the local word table: a request for every word would be no way to rank."""
        return word_table()(words)

    def _embed_batch(self, texts: list[str]) -> Vectors:
        response = self._post({"model": self._model, "input": texts, "encoding_format": "float"})
        try:
            answer = msgspec.json.decode(response.content, type=_Answer)
        except msgspec.DecodeError as error:
            raise BadVectors(self.name, f"not an embeddings answer: {error}") from error
        if sorted(item.index for item in answer.data) != list(range(len(texts))):
            raise BadVectors(self.name, f"expected {len(texts)} vectors, got {len(answer.data)}")
        ordered = [item.embedding for item in sorted(answer.data, key=lambda item: item.index)]
        if wrong := {len(row) for row in ordered} - {self.dimension}:
            raise BadVectors(
                self.name, f"expected {self.dimension} dimensions, got {', '.join(map(str, wrong))}"
            )
        with np.errstate(over="ignore"):  # A number too large becomes infinity, which `checked` refuses.
            rows = np.array(ordered, np.float32)
        return checked(rows, provider=self.name, shape=(len(texts), self.dimension))

    def _post(self, body: dict[str, object]) -> httpx.Response:
        """The first answer that is not worth another try; `StoreUnavailable` unless it is a success."""
        content = msgspec.json.encode(body)
        reason = ""
        for pause in self._pauses():
            response = None
            try:
                response = self._client.post("embeddings", content=content)
            except PrivateAddress as error:
                raise StoreUnavailable(self.name, str(error)) from error
            except httpx.TransportError as error:
                reason = type(error).__name__
            else:
                if response.is_success:
                    return response
                # The answer's body may repeat what was sent: it belongs in no log.
                reason = f"HTTP {response.status_code}"
                if response.status_code not in _WORTH_RETRYING:
                    break
            if pause is not None:
                time.sleep(_as_asked(response, pause))
        raise StoreUnavailable(self.name, reason)

    def _pauses(self) -> Iterator[float | None]:
        """One per attempt, with jitter; none after the last."""
        for attempt in range(self._endpoint.attempts - 1):
            yield self._endpoint.pause * 2**attempt * random.uniform(0.5, 1.0)  # noqa: S311
        yield None


def _as_asked(response: httpx.Response | None, pause: float) -> float:
    """The pause, or what the endpoint asks for if that is longer, within reason."""
    asked = response.headers.get("Retry-After", "") if response is not None else ""
    return min(max(pause, float(asked) if asked.isdecimal() else 0.0), _LONGEST_PAUSE)


def _client(profile: EmbeddingProfile, endpoint: Endpoint) -> httpx.Client:
    try:
        url = httpx.URL(endpoint.url)
    except httpx.InvalidURL as error:
        raise ImproperlyConfigured(f"The embedding endpoint is no URL: {error}") from error
    if url.scheme not in ("https", "http") or not url.host:
        raise ImproperlyConfigured(f"Embedding profile {profile.name!r} needs an endpoint: https://host/v1.")
    if url.scheme == "http" and not endpoint.private_allowed:
        raise ImproperlyConfigured(
            "The embedding endpoint must use https, unless private endpoints are allowed."
        )
    return httpx.Client(
        base_url=url,
        headers={
            "Content-Type": "application/json",
            **({"Authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}),
        },
        timeout=endpoint.timeout,
        transport=httpx.HTTPTransport() if endpoint.private_allowed else PublicTransport(),
        trust_env=False,
    )
