"""The id of the current request, for log lines, problems and audit events."""

from collections.abc import Iterator
from contextlib import contextmanager

from structlog.contextvars import bound_contextvars, get_contextvars


@contextmanager
def request_scope(request_id: str) -> Iterator[None]:
    """Every log line and audit event written inside carries this id."""
    with bound_contextvars(request_id=request_id):
        yield


def current_request_id() -> str:
    """Empty outside of a request."""
    return str(get_contextvars().get("request_id", ""))
