"""The throttle: never more than the rate, exactly it when one process asks, cheap, and no victim of Redis."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from limits.storage import MemoryStorage

from config.embedded.process import free_port
from conversations.api import throttling
from conversations.api.throttling import LARGEST_LEASE, REDIS_TIMEOUT, SharedLimit, parse_rate, shared_limit
from conversations.exceptions import Throttled
from conversations.models import Customer
from conversations.tenancy import tenant_scope
from tests.conversations.api.conftest import Caller, Issue


def allowed(limit: SharedLimit, attempts: int, rate: str, subject: str = "key:a") -> int:
    count = 0
    for _ in range(attempts):
        try:
            limit.spend(subject, rate)
        except Throttled:
            continue
        count += 1
    return count


@pytest.mark.parametrize(
    ("rate", "amount", "seconds"),
    [("1000/s", 1000, 1), ("60/m", 60, 60), ("5 / h", 5, 3600), ("1/d", 1, 86_400), ("3/minute", 3, 60)],
)
def test_rate_is_parsed(rate: str, amount: int, seconds: int) -> None:
    parsed = parse_rate(rate)

    assert (parsed.amount, parsed.get_expiry()) == (amount, seconds)


@pytest.mark.parametrize("rate", ["", "1000", "fast", "1/x"])
def test_rate_that_is_none_is_refused(rate: str) -> None:
    with pytest.raises(ValueError, match=r"rate limit|granularity"):
        parse_rate(rate)


@pytest.mark.parametrize("amount", [1, 5, 19, 40, 999, 1000, 5000])
def test_one_process_gets_exactly_the_rate(amount: int) -> None:
    assert allowed(SharedLimit(None), amount + 60, f"{amount}/h") == amount


def test_subjects_do_not_share_a_window() -> None:
    limit = SharedLimit(None)
    allowed(limit, 10, "5/h", "key:a")

    assert allowed(limit, 10, "5/h", "key:b") == 5


@pytest.mark.parametrize("amount", [6, 100, 2000])
def test_processes_share_one_window(amount: int) -> None:
    storage = MemoryStorage()
    first, second = SharedLimit(storage), SharedLimit(storage)

    together = sum(
        allowed(first, 1, f"{amount}/h") + allowed(second, 1, f"{amount}/h") for _ in range(amount)
    )

    unspent = max(1, min(amount // 20, LARGEST_LEASE)) - 1
    assert amount - unspent <= together <= amount


def test_threads_together_get_no_more_than_the_rate() -> None:
    limit = SharedLimit(None)

    with ThreadPoolExecutor(8) as pool:
        counts = pool.map(lambda _: allowed(limit, 200, "1000/h"), range(8))

    assert 1000 - 8 * LARGEST_LEASE <= sum(counts) <= 1000


def test_refusal_says_when_there_is_room_and_then_there_is() -> None:
    limit = SharedLimit(None)
    assert allowed(limit, 4, "3/s") == 3

    with pytest.raises(Throttled) as refused:
        limit.spend("key:a", "3/s")
    assert refused.value.retry_after == 1
    time.sleep(1.05)

    assert allowed(limit, 4, "3/s") == 3


def test_refusal_of_a_long_window_names_its_end() -> None:
    limit = SharedLimit(None)
    limit.spend("key:a", "1/h")

    with pytest.raises(Throttled) as refused:
        limit.spend("key:a", "1/h")

    assert 3595 <= refused.value.retry_after <= 3600


def test_old_leases_are_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "SUBJECTS", 10)
    now = [0.0]
    limit = SharedLimit(None, clock=lambda: now[0])

    for number in range(100):
        now[0] += 1
        limit.spend(f"key:{number}", "1000/s")

    assert len(limit._leases) <= 11


def test_spending_is_cheap() -> None:
    limit = SharedLimit(None)
    started = time.perf_counter()

    for _ in range(20_000):
        limit.spend("key:a", "1000000/s")

    assert (time.perf_counter() - started) / 20_000 < 50e-6


def test_processes_share_one_window_in_redis(redis_server: str, settings: Any) -> None:
    settings.REDIS_URL = redis_server.rsplit("/", 1)[0] + "/9"
    subject = f"key:{uuid4()}"
    first = shared_limit()
    throttling._limit_over.cache_clear()
    second = shared_limit()

    together = [allowed(limit, 1, "30/m", subject) for _ in range(40) for limit in (first, second)]

    assert first is not second
    assert sum(together) == 30


def test_absent_redis_costs_nothing_and_each_process_counts_alone(settings: Any) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    started = time.perf_counter()

    assert allowed(shared_limit(), 20, "10/m") == 10

    assert time.perf_counter() - started < 0.1


def test_hanging_redis_costs_one_request_less_than_a_tenth_of_a_second(
    hanging_redis: str, settings: Any
) -> None:
    settings.REDIS_URL = hanging_redis
    limit = shared_limit()
    seconds = []

    for _ in range(40):
        started = time.perf_counter()
        limit.spend("key:a", "40/m")
        seconds.append(time.perf_counter() - started)

    assert max(seconds) < 0.1
    assert sorted(seconds)[-2] < REDIS_TIMEOUT / 2


@pytest.fixture
def hanging_redis() -> Iterator[str]:
    """A port that accepts connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


@pytest.mark.usefixtures("sample_api")
@pytest.mark.parametrize("path", ["/customers", "/bypassing"])
def test_key_over_its_rate_is_told_and_nothing_is_stored(issue: Issue, settings: Any, path: str) -> None:
    settings.THROTTLE_RATE = "3/h"
    mine, theirs = issue(), issue()

    statuses = [mine("POST", path, {"external_id": str(n)}).status_code for n in range(5)]
    refused = mine("POST", path, {"external_id": "more"})

    assert statuses == [201, 201, 201, 429, 429]
    assert refused.json()["code"] == "throttled"
    assert 3590 <= int(refused["Retry-After"]) <= 3600
    assert theirs("POST", path, {"external_id": "x"}).status_code == 201
    with tenant_scope(mine.tenant_id):
        assert Customer.objects.count() == 3


@pytest.mark.usefixtures("sample_api")
def test_address_that_keeps_trying_keys_is_throttled(caller: Caller, settings: Any) -> None:
    settings.THROTTLE_RATE = "3/h"
    stranger = Client(headers={"authorization": "Bearer rmb_nothing"})

    statuses = [stranger.get("/api/v1/customers").status_code for _ in range(5)]

    assert statuses == [401, 401, 401, 429, 429]
    assert caller("GET", "/customers").status_code == 200
