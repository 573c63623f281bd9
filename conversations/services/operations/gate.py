"""Closes API and back office while a restored database must not be served."""

import time
from datetime import timedelta

from django.db import transaction

from conversations import ids
from conversations.enums import GateState
from conversations.models import ApiKey, Gate
from conversations.services.accounts import api_keys

# How long processes cache a key that they have looked up.
BELIEVED = timedelta(seconds=api_keys.LIFETIME + 1)


def read_gate() -> Gate:
    return Gate.objects.using("ops").get()


def close_gate() -> None:
    """Refuse all requests; when this returns, none that was let in before is still served."""
    before = read_gate()
    if before.state == GateState.OPEN:
        Gate.objects.using("owner").update(state=GateState.LOADING, since=ids.now())
        before = read_gate()
    if before.since is not None and ApiKey.objects.using("ops").exists():
        time.sleep(max(0.0, (before.since + BELIEVED - ids.now()).total_seconds()))


def move_gate(state: GateState) -> None:
    """Record how far a restore has come; OPEN lets everybody in again."""
    with transaction.atomic(using="owner"):
        Gate.objects.using("owner").update(state=state, since=None if state == GateState.OPEN else ids.now())
