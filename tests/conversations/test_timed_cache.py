from conversations.timed_cache import TimedCache


def test_a_value_is_kept_for_its_time_and_no_longer() -> None:
    cache: TimedCache[str, int] = TimedCache()

    cache.put("kept", 1, seconds=60)
    cache.put("expired", 2, seconds=0)

    assert (cache.get("kept"), cache.get("expired"), cache.get("unknown")) == (1, None, None)


def test_a_full_cache_starts_over() -> None:
    cache: TimedCache[int, int] = TimedCache(most=2)

    for number in range(3):
        cache.put(number, number, seconds=60)

    assert [cache.get(number) for number in range(3)] == [None, None, 2]


def test_values_can_be_dropped() -> None:
    cache: TimedCache[str, int] = TimedCache()
    for key in ("a", "b", "c"):
        cache.put(key, 1, seconds=60)

    cache.drop("a")
    dropped = [cache.get(key) for key in ("a", "b", "c")]
    cache.clear()

    assert dropped == [None, 1, 1]
    assert cache.get("b") is None
