"""Traits that agents were shown: context receipts name them by keyed hashes, so that no receipt holds content."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from conversations import keyring
from conversations.models import ContextReceipt
from portraits.learning import WasShown
from portraits.rules import Observation

KIND = "trait"
HALF = 8  # bytes
MOST_RECEIPTS = 1_000  # the latest of the sessions looked at


def trait_id(tenant_id: UUID, customer_id: UUID, name: str, value: Any) -> UUID:
    """The same for the same thing said of the same customer, also after it was taken back.

    Its first half stands for the name alone; where there is no name, for the value.
    """
    whose = str(customer_id)
    subject = _hash(tenant_id, [whose, name] if name else [whose, name, value])
    return UUID(bytes=subject + _hash(tenant_id, [whose, name, value]))


def shown_before(tenant_id: UUID, customer_id: UUID, session_ids: Collection[UUID]) -> WasShown:
    """Whether an agent may only repeat what it had been shown in the same session.

    It may not when it was shown something else under that name since: then this is news again.
    """
    receipts = ContextReceipt.objects.for_tenant(tenant_id).filter(session_id__in=list(session_ids))
    rows = receipts.order_by("-id").values_list("session_id", "created_at", "items")[:MOST_RECEIPTS]
    shown: defaultdict[UUID, list[_Showing]] = defaultdict(list)
    for session_id, at, items in reversed(rows):
        shown[session_id].append(_Showing(at, {UUID(i["id"]).bytes for i in items if i["kind"] == KIND}))

    def was_shown(seen: Observation) -> bool:
        before = [one for one in shown.get(seen.heard.session_id, ()) if one.at < seen.heard.at]
        if not before:
            return False
        said = trait_id(tenant_id, customer_id, seen.name, seen.value).bytes
        last = {one for one in before[-1].said if one[:HALF] == said[:HALF]}
        return said in last or (not last and any(said in one.said for one in before))

    return was_shown


@dataclass(frozen=True)
class _Showing:
    """One context: when, and what was said in it."""

    at: datetime
    said: set[bytes]


def _hash(tenant_id: UUID, said: list[Any]) -> bytes:
    return keyring.keyed_hash(tenant_id, KIND, msgspec.json.encode(said, order="sorted").decode(), HALF)
