"""Portraits, preferences and counters as the API shows them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import structs

from conversations.models import Customer
from portraits.counters import Interactions
from portraits.portrayal import Portrayal
from portraits.state import FROM_CONVERSATIONS, KnownTrait, Preference, State


def portrayal(one: Portrayal, now: datetime) -> dict[str, Any]:
    """A portrait; traits that have ended or were denied are left out."""
    state = one.state
    return {
        "object": "portrait",
        "id": one.id,
        "customer_id": one.customer.external_id,
        "version": one.version,
        "preferences": {name: kept.value for name, kept in state.preferences.items()},
        "purchase_history": _purchase_history(state),
        "traits": [trait(kept) for kept in state.traits if _is_said(kept, now)],
        "sentiment_score": state.sentiment_score,
        "sentiment_trend": state.sentiment_trend,
        "summary": state.summary.text if state.summary else None,
        "created_at": one.created_at,
        "updated_at": one.updated_at,
    }


def trait(one: KnownTrait) -> dict[str, Any]:
    return {
        "name": one.name,
        "value": one.value,
        "confidence": one.confidence,
        "kind": one.kind,
        "source_message_ids": one.source_message_ids,
        "valid_from": one.valid_from,
        "valid_to": one.valid_to,
    }


def preference(name: str, one: Preference) -> dict[str, Any]:
    return {
        "object": "preference",
        "key": name,
        "value": one.value,
        "created_at": one.created_at,
        "updated_at": one.updated_at,
    }


def summary(customer: Customer, counted: Interactions) -> dict[str, Any]:
    return {
        "object": "summary",
        "id": customer.id,
        "customer_id": customer.external_id,
        **interactions(counted),
        "created_at": customer.created_at,
    }


def _is_said(one: KnownTrait, now: datetime) -> bool:
    return one.value is not None and (one.valid_to is None or one.valid_to > now)


def interactions(counted: Interactions) -> dict[str, Any]:
    return structs.asdict(counted)


def _purchase_history(state: State) -> Mapping[str, Any]:
    if not state.purchases:
        return state.purchase_history
    learnt = [
        {"value": one.value, "at": one.at, "source_message_ids": [one.message_id]} for one in state.purchases
    ]
    return {FROM_CONVERSATIONS: learnt, **state.purchase_history}
