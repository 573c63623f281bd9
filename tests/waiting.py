"""Waiting for what other threads and processes do, with patience for a busy machine."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(check: Callable[[], T], seconds: float = 60.0) -> T:
    """The first truthy answer, within some seconds."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)
    return found
