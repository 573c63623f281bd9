"""A client for Milvus: created on first use, recreated when it broke, with a deadline for each call."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from conversations.backends.breaker import CircuitBreaker
from conversations.backends.deadline import within
from conversations.backends.values import IndexMissing, StoreUnavailable

if TYPE_CHECKING:
    from pymilvus import MilvusClient

Answer = TypeVar("Answer")

# Codes of the server, the same in Milvus and Milvus Lite.
COLLECTION_MISSING = 100
COLLECTION_NOT_LOADED = 101


class CollectionNotLoaded(StoreUnavailable):
    """The server was restarted and keeps the collection on disk until told to load it."""


# pymilvus pings every ten seconds; gRPC servers that keep the protocol's defaults (Milvus Lite) take more than two of
# those in five minutes for an attack and hang up: "too many pings".
QUIET = {"grpc.keepalive_time_ms": 600_000, "grpc.keepalive_permit_without_calls": False}


class MilvusConnection:
    """Asks Milvus within a time, behind a breaker."""

    name = "milvus"

    def __init__(self, uri: str, token: str = "", *, breaker: CircuitBreaker | None = None) -> None:
        self._uri = uri
        self._token = token
        self.breaker = breaker or CircuitBreaker(self.name)
        self._lock = threading.Lock()
        self._client: MilvusClient | None = None

    def ask(self, seconds: float, question: Callable[[MilvusClient], Answer]) -> Answer:
        """The answer within so many seconds, or `StoreUnavailable`.

        The first question of a process loads the client, which is not the server's slowness and not counted.
        """
        _load_library()
        with self.breaker.guard():
            return within(seconds, self.name, lambda: self._translated(seconds, question))

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _translated(self, seconds: float, question: Callable[[MilvusClient], Answer]) -> Answer:
        import grpc  # type: ignore[import-untyped]  # noqa: PLC0415  (see `_load_library`)
        from pymilvus import MilvusException  # noqa: PLC0415  (see `_load_library`)

        try:
            return question(self._connected(seconds))
        except MilvusException as error:
            if error.code == COLLECTION_NOT_LOADED:
                raise CollectionNotLoaded(self.name, "collection not loaded") from error
            if error.code == COLLECTION_MISSING:
                raise IndexMissing(self.name, "collection missing") from error
            self.close()
            raise StoreUnavailable(self.name, f"error {error.code}") from error
        except grpc.RpcError as error:
            self.close()
            raise StoreUnavailable(self.name, type(error).__name__) from error
        except ValueError as error:
            # What gRPC raises for a channel that another thread has closed meanwhile.
            if "closed channel" not in str(error):
                raise
            self.close()
            raise StoreUnavailable(self.name, "connection closed") from error

    def _connected(self, seconds: float) -> MilvusClient:
        from pymilvus import MilvusClient  # noqa: PLC0415  (see `_load_library`)

        with self._lock:
            if self._client is None:
                # Not one of pymilvus' shared connections: those outlive `close`, broken or not.
                self._client = MilvusClient(
                    self._uri, token=self._token, timeout=seconds, dedicated=True, grpc_options=dict(QUIET)
                )
            return self._client


@cache
def _load_library() -> None:
    # It costs two seconds and 140 MB, which processes without vectors should not pay: hence not at the top.
    import pymilvus  # noqa: F401, PLC0415

    # It logs a traceback for each of its own retries; what matters is raised.
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
