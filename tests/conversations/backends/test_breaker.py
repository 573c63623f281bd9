"""The circuit breaker on a clock of its own."""

import threading

import pytest

from conversations.backends.breaker import CircuitBreaker
from conversations.backends.values import StoreUnavailable


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker("store", failures=3, cooldown=5, clock=clock)


def fail(breaker: CircuitBreaker, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(StoreUnavailable, match="away"), breaker.guard():
            raise StoreUnavailable("store", "away")


def is_refused(breaker: CircuitBreaker) -> bool:
    try:
        with breaker.guard():
            return False
    except StoreUnavailable as error:
        return error.reason == "circuit open"


def test_calls_pass_while_failures_are_few(breaker: CircuitBreaker) -> None:
    fail(breaker, 2)

    assert not is_refused(breaker)
    assert not breaker.is_open


def test_three_failures_in_a_row_open_it(breaker: CircuitBreaker) -> None:
    fail(breaker, 3)

    assert breaker.is_open
    assert is_refused(breaker)


def test_an_answer_between_starts_the_count_anew(breaker: CircuitBreaker) -> None:
    fail(breaker, 2)
    with breaker.guard():
        pass
    fail(breaker, 2)

    assert not breaker.is_open


def test_another_error_is_an_answer(breaker: CircuitBreaker) -> None:
    fail(breaker, 2)
    with pytest.raises(ValueError, match="ours"), breaker.guard():
        raise ValueError("ours")
    fail(breaker, 2)

    assert not breaker.is_open


def test_after_the_cooldown_an_answer_closes_it(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 4.9
    before = is_refused(breaker)
    clock.now += 0.2

    assert before
    assert not is_refused(breaker)
    assert not is_refused(breaker)


def test_after_the_cooldown_one_failure_opens_it_again(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 5

    fail(breaker)

    assert is_refused(breaker)


def test_only_one_call_probes_at_a_time(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 5

    with breaker.guard():
        refused_meanwhile = is_refused(breaker)

    assert refused_meanwhile
    assert not is_refused(breaker)


def test_a_probe_that_never_ends_does_not_shut_it_for_good(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 5
    breaker.guard().__enter__()  # its thread was killed
    refused_first = is_refused(breaker)
    clock.now += 5

    assert refused_first
    assert not is_refused(breaker)


def test_many_threads_make_one_probe(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 5
    start, done = threading.Barrier(20), threading.Barrier(20)
    admitted = []

    def call() -> None:
        start.wait()
        try:
            with breaker.guard():
                admitted.append(1)
                done.wait()
        except StoreUnavailable:
            done.wait()

    threads = [threading.Thread(target=call) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(admitted) == 1
