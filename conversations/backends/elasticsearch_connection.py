"""One client for Elasticsearch: with a deadline, translated errors and a circuit breaker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from elastic_transport import TransportError
from elasticsearch import ApiError, Elasticsearch, UnsupportedProductError

from conversations.backends.breaker import CircuitBreaker
from conversations.backends.deadline import within
from conversations.backends.values import IndexMissing, StoreUnavailable

Answer = TypeVar("Answer")


class ElasticsearchConnection:
    """Asks Elasticsearch within a time, behind a breaker."""

    name = "elasticsearch"

    def __init__(
        self, url: str, *, basic_auth: tuple[str, str] | None = None, breaker: CircuitBreaker | None = None
    ) -> None:
        self._client = Elasticsearch(
            url,
            basic_auth=basic_auth,
            # Callers decide about retries, so that the time of one call stays bounded.
            max_retries=0,
            retry_on_timeout=False,
        )
        self.breaker = breaker or CircuitBreaker(self.name)

    def ask(self, seconds: float, question: Callable[[Elasticsearch], Answer]) -> Answer:
        """The answer within so many seconds, or `StoreUnavailable`."""
        if seconds <= 0:
            raise StoreUnavailable(self.name, "out of time")
        client = self._client.options(request_timeout=seconds)

        def translated() -> Answer:
            try:
                return question(client)
            except ApiError as error:
                if _reason(error) == "index_not_found_exception":
                    raise IndexMissing(self.name, _reason(error)) from error
                raise StoreUnavailable(self.name, _reason(error)) from error
            except (TransportError, UnsupportedProductError) as error:
                raise StoreUnavailable(self.name, type(error).__name__) from error

        with self.breaker.guard():
            return within(seconds, self.name, translated)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Wraps the reading of a response, which a proxy between us and the server may have sent."""
        try:
            yield
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise StoreUnavailable(self.name, "unexpected answer") from error


def _reason(error: ApiError) -> str:
    # Of a gateway's error page only the status is of use.
    return error.error if isinstance(error.body, dict) else f"status {error.status_code}"
