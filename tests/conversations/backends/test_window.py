"""What only the real Redis can show: expiry, foreign and poisoned values, faults on the way."""

import pickle
import time
from collections.abc import Callable, Iterator
from uuid import UUID

import msgspec
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from conversations.backends.breaker import CircuitBreaker
from conversations.backends.values import StoreUnavailable, WindowEntry, WindowKey
from conversations.backends.window import RedisWindow, list_name, pushed, refilled, unbroken
from conversations.ids import new_id
from tests.conversations.backends.proxies import FaultProxy

PROMISED = 0.1
SLACK = 0.15


@pytest.fixture
def key(tenant: UUID) -> WindowKey:
    return WindowKey(tenant, new_id())


@pytest.fixture
def raw(redis_server: str) -> redis.Redis:
    """A client of our own, to look behind the store's back."""
    return redis.Redis.from_url(redis_server)


@pytest.fixture
def store(redis_server: str) -> RedisWindow:
    return RedisWindow(redis_server, size=3, ttl=60, timeout=2)


@pytest.fixture
def proxy(redis_server: str) -> Iterator[FaultProxy]:
    proxy = FaultProxy(redis_server)
    yield proxy
    proxy.down()


@pytest.fixture
def distant(proxy: FaultProxy) -> RedisWindow:
    """A window behind the proxy, with the time limit of production."""
    return RedisWindow(proxy.url, breaker=CircuitBreaker("redis", cooldown=0.2))


def entries(*positions: int) -> tuple[WindowEntry, ...]:
    return tuple(WindowEntry(position, b"sealed %d" % position) for position in positions)


# -- keeping ---------------------------------------------------------------------------------------------


def test_every_touch_prolongs_the_window(store: RedisWindow, raw: redis.Redis, key: WindowKey) -> None:
    lives = []
    for touch in (
        lambda: store.push({(key, 1): entries(1)}),
        lambda: store.read(key, 1, 1, 1),
        lambda: store.refill(key, 1, 1, entries(1), complete=True),
    ):
        touch()
        lives.append(raw.ttl(list_name(key)))
        raw.expire(list_name(key), 5)

    assert all(55 < life <= 60 for life in lives)


def test_a_window_that_expired_is_a_miss(store: RedisWindow, raw: redis.Redis, key: WindowKey) -> None:
    store.push({(key, 1): entries(1)})
    raw.pexpire(list_name(key), 1)
    time.sleep(0.01)

    assert store.read(key, 1, 1, 1) is None


def test_values_are_sealed_bytes_with_their_owner_and_no_pickle(
    store: RedisWindow, raw: redis.Redis, key: WindowKey
) -> None:
    store.push({(key, 7): entries(1)})

    (value,) = raw.lrange(list_name(key), 0, -1)

    assert msgspec.msgpack.decode(value) == [
        key.tenant_id.bytes,
        key.session_id.bytes,
        7,
        0,
        1,
        1,
        b"sealed 1",
    ]
    assert raw.dbsize() >= 1
    assert list_name(key) == f"t:{key.tenant_id}:w:{key.session_id}"


def test_flushing_redis_is_a_miss_and_heals(store: RedisWindow, raw: redis.Redis, key: WindowKey) -> None:
    store.push({(key, 1): entries(1, 2)})
    raw.delete(list_name(key))
    missed = store.read(key, 1, 2, 2)

    store.refill(key, 1, 2, entries(1, 2), complete=True)

    assert missed is None
    assert store.read(key, 1, 2, 2) == entries(1, 2)


# -- poison ----------------------------------------------------------------------------------------------


def poisoned(key: WindowKey) -> dict[str, bytes]:
    (good,) = pushed(key, 1, entries(2))
    (foreign,) = pushed(WindowKey(new_id(), key.session_id), 1, entries(2))
    (elsewhere,) = pushed(WindowKey(key.tenant_id, new_id()), 1, entries(2))
    return {
        "truncated": good[:-1],
        "longer": good + b"x",
        "empty": b"",
        "text": b"{}",
        "pickle": pickle.dumps(["x"]),
        "another tenant's": foreign,
        "another session's": elsewhere,
        "wrong types": msgspec.msgpack.encode([1, 2, 3, 4, 5, 6, 7]),
        "too few": msgspec.msgpack.encode([1]),
        "too many": msgspec.msgpack.encode([*msgspec.msgpack.decode(good), 1]),
    }


@pytest.mark.parametrize("kind", poisoned(WindowKey(new_id(), new_id())))
def test_a_poisoned_value_is_a_miss_and_a_refill_mends_it(
    store: RedisWindow, raw: redis.Redis, key: WindowKey, kind: str
) -> None:
    store.push({(key, 1): entries(1)})
    raw.rpush(list_name(key), poisoned(key)[kind])

    missed = store.read(key, 1, 2, 2)
    store.refill(key, 1, 2, entries(1, 2), complete=True)

    assert missed is None
    assert store.read(key, 1, 2, 2) == entries(1, 2)


def test_a_key_of_another_type_is_a_miss_and_is_dropped_by_the_next_push(
    store: RedisWindow, raw: redis.Redis, key: WindowKey
) -> None:
    raw.set(list_name(key), "a string")
    missed = store.read(key, 1, 1, 1)

    store.push({(key, 1): entries(1)})
    store.push({(key, 1): entries(1)})

    assert missed is None
    assert store.read(key, 1, 1, 1) == entries(1)


def test_without_memory_left_a_window_is_given_up_rather_than_kept_stale(
    store: RedisWindow, raw: redis.Redis, key: WindowKey
) -> None:
    store.push({(key, 1): entries(1)})
    raw.config_set("maxmemory", "1")
    try:
        store.push({(key, 1): entries(2)})
        left = raw.exists(list_name(key))
    finally:
        raw.config_set("maxmemory", "0")

    assert left == 0


@given(st.lists(st.binary(max_size=80), max_size=4))
def test_no_bytes_at_all_break_a_read(values: list[bytes]) -> None:
    key = WindowKey(new_id(), new_id())

    assert unbroken(values, key, 1, 3, 2) is None


@given(
    visible=st.lists(st.integers(1, 30), unique=True, max_size=12).map(sorted),
    beyond=st.integers(0, 3),
    then=st.integers(0, 4),
    order=st.randoms(),
    lost=st.integers(-1, 20),
    limit=st.integers(1, 12),
)
def test_whatever_happens_on_the_way_a_window_is_exact_or_a_miss(
    visible: list[int], beyond: int, then: int, order: object, lost: int, limit: int
) -> None:
    """Refilled with what is visible of a session, pushed to in any order, one element lost perhaps."""
    key = WindowKey(new_id(), new_id())
    head = max(visible, default=0) + beyond
    later = range(head + 1, head + then + 1)
    values = refilled(key, 1, head, entries(*visible), complete=True)
    tail = [pushed(key, 1, entries(position))[0] for position in later]
    order.shuffle(tail)  # type: ignore[attr-defined]
    values += tail
    is_lost = 0 <= lost < len(values)
    if is_lost:
        del values[lost]

    window = unbroken(values, key, 1, head + then, limit)

    expected = entries(*[*visible, *later][-limit:])
    assert window in (expected, None)
    if not is_lost and expected and (visible or head == 0):
        assert window == expected


# -- the network -----------------------------------------------------------------------------------------


def seconds(call: Callable[[], object]) -> float:
    """How long the call took to say that the store is away."""
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        call()
    return time.monotonic() - started


def test_redis_down_is_told_at_once_and_heals(
    distant: RedisWindow, proxy: FaultProxy, key: WindowKey
) -> None:
    distant.push({(key, 1): entries(1)})
    proxy.down()
    took = [
        seconds(lambda: distant.read(key, 1, 1, 1)),
        seconds(lambda: distant.push({(key, 1): entries(2)})),
    ]
    proxy.up()

    assert max(took) < SLACK
    assert distant.read(key, 1, 1, 1) == entries(1)


@pytest.mark.parametrize("is_connected", [True, False])
def test_a_hanging_redis_costs_a_tenth_of_a_second(
    distant: RedisWindow, proxy: FaultProxy, key: WindowKey, is_connected: bool
) -> None:
    if is_connected:
        distant.ping()
    proxy.black_hole = True

    for call in (
        lambda: distant.read(key, 1, 1, 1),
        lambda: distant.push({(key, 1): entries(1)}),
        lambda: distant.forget(key),
    ):
        assert seconds(call) < PROMISED + SLACK
    assert seconds(distant.ping) < 0.02


def test_a_late_answer_never_reaches_the_next_question(
    distant: RedisWindow, proxy: FaultProxy, key: WindowKey
) -> None:
    other = WindowKey(key.tenant_id, new_id())
    distant.push({(key, 1): entries(1)})
    distant.push({(other, 1): entries(1, 2)})
    proxy.latency = PROMISED * 1.5
    seconds(lambda: distant.read(key, 1, 1, 1))
    proxy.heal()

    assert distant.read(other, 1, 2, 2) == entries(1, 2)
    assert distant.read(key, 1, 1, 1) == entries(1)


@pytest.mark.parametrize("cut", [0, 1, 20, 60])
def test_an_answer_cut_off_is_away_and_not_a_short_window(
    distant: RedisWindow, proxy: FaultProxy, key: WindowKey, cut: int
) -> None:
    distant.push({(key, 1): entries(1, 2)})
    proxy.answered, proxy.cut_after = 0, cut

    seconds(lambda: distant.read(key, 1, 2, 2))
    proxy.heal()

    assert distant.read(key, 1, 2, 2) == entries(1, 2)
