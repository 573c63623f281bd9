"""The hard limit around a call."""

import os
import threading
import time

import pytest

from conversations.backends import deadline
from conversations.backends.deadline import within
from conversations.backends.values import StoreUnavailable


def test_answer_and_error_pass_through() -> None:
    def fail() -> None:
        raise KeyError("theirs")

    assert within(1, "store", lambda: 7) == 7
    with pytest.raises(KeyError, match="theirs"):
        within(1, "store", fail)


def test_a_timeout_of_the_call_itself_passes_through() -> None:
    def fail() -> None:
        raise TimeoutError("theirs")

    with pytest.raises(TimeoutError, match="theirs"):
        within(1, "store", fail)


def test_a_call_that_hangs_is_left_behind() -> None:
    release = threading.Event()
    started = time.monotonic()

    with pytest.raises(StoreUnavailable, match=r"no answer within 0\.05 s"):
        within(0.05, "store", release.wait)

    assert time.monotonic() - started < 1
    release.set()


def test_calls_behind_hanging_ones_never_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "_pool", deadline.ThreadPoolExecutor(1))
    release, ran = threading.Event(), []
    with pytest.raises(StoreUnavailable):
        within(0.01, "store", release.wait)

    with pytest.raises(StoreUnavailable):
        within(0.01, "store", lambda: ran.append(1))
    release.set()

    assert within(1, "store", lambda: "next") == "next"
    assert ran == []


def test_a_forked_child_has_threads_of_its_own() -> None:
    assert within(1, "store", lambda: 1) == 1

    child = os.fork()
    if child == 0:
        os._exit(within(5, "store", lambda: 42))
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 42
