"""What every window promises: the last messages exactly, or a miss."""

from uuid import UUID

import pytest

from conversations.backends.protocols import WindowStore
from conversations.backends.values import WindowEntry, WindowKey
from conversations.ids import new_id


@pytest.fixture
def key(tenant: UUID) -> WindowKey:
    return WindowKey(tenant, new_id())


def entries(*positions: int) -> tuple[WindowEntry, ...]:
    return tuple(WindowEntry(position, b"sealed %d" % position) for position in positions)


def test_read_gives_what_was_pushed_from_the_first_message_on(window: WindowStore, key: WindowKey) -> None:
    window.push({(key, 1): entries(1)})
    window.push({(key, 1): entries(2)})

    assert window.read(key, 1, 2, 3) == entries(1, 2)
    assert window.read(key, 1, 2, 1) == entries(2)


def test_read_misses_without_a_window(window: WindowStore, key: WindowKey) -> None:
    assert window.read(key, 1, 5, 3) is None


def test_push_keeps_only_as_many_as_fit(window: WindowStore, key: WindowKey) -> None:
    window.push({(key, 1): entries(1, 2, 3, 4, 5)})

    assert window.read(key, 1, 5, 3) == entries(3, 4, 5)
    assert window.read(key, 1, 5, 4) is None


def test_read_misses_when_older_messages_are_unknown(window: WindowStore, key: WindowKey) -> None:
    window.push({(key, 1): entries(7)})

    assert window.read(key, 1, 7, 1) == entries(7)
    assert window.read(key, 1, 7, 2) is None


def test_read_misses_when_the_last_push_was_lost(window: WindowStore, key: WindowKey) -> None:
    window.push({(key, 1): entries(1, 2)})

    assert window.read(key, 1, 3, 2) is None


def test_read_misses_when_a_push_between_was_lost(window: WindowStore, key: WindowKey) -> None:
    window.push({(key, 1): entries(1)})
    window.push({(key, 1): entries(3)})

    assert window.read(key, 1, 3, 2) is None
    assert window.read(key, 1, 3, 1) == entries(3)


def test_read_puts_pushes_in_order(window: WindowStore, key: WindowKey) -> None:
    window.push({(key, 1): entries(1)})
    window.push({(key, 1): entries(3)})
    window.push({(key, 1): entries(2)})

    assert window.read(key, 1, 3, 3) == entries(1, 2, 3)


def test_read_of_another_epoch_misses(window: WindowStore, key: WindowKey) -> None:
    window.push({(key, 1): entries(1, 2)})

    assert window.read(key, 2, 2, 2) is None


def test_push_of_a_new_epoch_does_not_lean_on_the_old_one(window: WindowStore, key: WindowKey) -> None:
    window.push({(key, 1): entries(1, 2)})
    window.push({(key, 2): entries(3)})

    assert window.read(key, 2, 3, 2) is None


def test_refill_covers_hidden_messages(window: WindowStore, key: WindowKey) -> None:
    window.refill(key, 2, 9, entries(4, 7), complete=False)

    assert window.read(key, 2, 9, 2) == entries(4, 7)
    assert window.read(key, 2, 9, 3) is None


def test_refill_that_is_complete_satisfies_any_limit(window: WindowStore, key: WindowKey) -> None:
    window.refill(key, 1, 4, entries(2, 3), complete=True)

    assert window.read(key, 1, 4, 100) == entries(2, 3)


def test_refill_larger_than_the_window_is_not_complete(window: WindowStore, key: WindowKey) -> None:
    window.refill(key, 1, 4, entries(1, 2, 3, 4), complete=True)

    assert window.read(key, 1, 4, 3) == entries(2, 3, 4)
    assert window.read(key, 1, 4, 4) is None


def test_push_continues_a_refill(window: WindowStore, key: WindowKey) -> None:
    window.refill(key, 1, 6, entries(3, 5), complete=True)
    window.push({(key, 1): entries(7)})

    assert window.read(key, 1, 7, 3) == entries(3, 5, 7)


def test_refill_with_nothing_visible_leaves_no_window(window: WindowStore, key: WindowKey) -> None:
    window.push({(key, 1): entries(1)})
    window.refill(key, 2, 1, (), complete=True)

    assert window.read(key, 2, 1, 1) is None


def test_forget_makes_a_miss(window: WindowStore, key: WindowKey) -> None:
    window.push({(key, 1): entries(1)})
    window.forget(key)

    assert window.read(key, 1, 1, 1) is None


def test_sessions_and_tenants_are_apart(window: WindowStore, key: WindowKey, stranger: UUID) -> None:
    other_session, other_tenant = WindowKey(key.tenant_id, new_id()), WindowKey(stranger, key.session_id)
    window.push({(key, 1): entries(1)})

    assert window.read(other_session, 1, 1, 1) is None
    assert window.read(other_tenant, 1, 1, 1) is None


def test_keys_names_the_windows_of_a_tenant(window: WindowStore, key: WindowKey, stranger: UUID) -> None:
    other = WindowKey(stranger, new_id())
    window.push({(key, 1): entries(1)})
    window.push({(other, 1): entries(1)})

    assert set(window.keys(key.tenant_id)) == {key}
    assert {key, other} <= set(window.keys())
