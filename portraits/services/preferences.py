"""Preferences: merged whole or one key at a time, each key with its own times."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import structs

from conversations import ids
from conversations.exceptions import Invalid, NotFound
from conversations.inputs import merge_patch
from conversations.services.customers import ensure_customer, get_customer
from conversations.tenancy import tenant_scope
from portraits.inputs import LONGEST_KEY, check_size
from portraits.portrayal import Portrayal
from portraits.services.storage import Change, change_portrait, wait_longer
from portraits.state import Preference, State


def replace_preferences(*, tenant_id: UUID, external_id: str, values: Mapping[str, Any]) -> Portrayal:
    """Replace all preferences; creates the customer when new."""
    now = ids.now()
    return _write(tenant_id, external_id, lambda state: _with(state, values, now))


def set_preference(*, tenant_id: UUID, external_id: str, key: str, value: Any) -> Portrayal:
    """Set one preference; creates the customer when new. Invalid for a name that is too long."""
    if len(key) > LONGEST_KEY:
        raise Invalid.field("key", f"At most {LONGEST_KEY} characters.", code="too_large")
    now = ids.now()

    def change(state: State) -> State:
        return _with(state, {**_values(state), key: value}, now)

    return _write(tenant_id, external_id, change)


def delete_preferences(*, tenant_id: UUID, external_id: str) -> None:
    """Delete all preferences; NotFound for an unknown customer."""
    with tenant_scope(tenant_id):
        customer = get_customer(tenant_id, external_id)
        change_portrait(
            tenant_id=tenant_id,
            customer=customer,
            change=lambda state: structs.replace(state, preferences={}),
        )


def delete_preference(*, tenant_id: UUID, external_id: str, key: str) -> None:
    """NotFound when the customer has no such preference."""

    def change(state: State) -> State:
        if key not in state.preferences:
            raise NotFound
        left = {name: one for name, one in state.preferences.items() if name != key}
        return structs.replace(state, preferences=left)

    with tenant_scope(tenant_id):
        customer = get_customer(tenant_id, external_id)
        change_portrait(tenant_id=tenant_id, customer=customer, change=change)


def merge_preferences(state: State, patch: Mapping[str, Any] | None, now: datetime) -> State:
    """A merge patch (RFC 7396): deep, null removes, and null for the whole removes all."""
    if patch is None:
        return structs.replace(state, preferences={})
    return _with(state, merge_patch(_values(state), patch), now)


def _write(tenant_id: UUID, external_id: str, change: Change) -> Portrayal:
    with tenant_scope(tenant_id):
        wait_longer()
        customer = ensure_customer(tenant_id, external_id)
        return change_portrait(tenant_id=tenant_id, customer=customer, change=change)


def _values(state: State) -> dict[str, Any]:
    return {name: one.value for name, one in state.preferences.items()}


def _with(state: State, values: Mapping[str, Any], now: datetime) -> State:
    check_size("preferences", values)
    preferences = {}
    for name, value in values.items():
        old = state.preferences.get(name)
        if old is not None and old.value == value and type(old.value) is type(value):
            preferences[name] = old
        else:
            preferences[name] = Preference(value, old.created_at if old else now, now)
    return structs.replace(state, preferences=preferences)
