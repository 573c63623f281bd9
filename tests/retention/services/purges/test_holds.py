"""A hold is in force when the API answers: after that not one row it covers is lost, whatever a purge was at."""

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from django.db import connections

from conversations.models import Message
from conversations.principals import SYSTEM
from conversations.tenancy import tenant_scope
from retention.enums import ArchiveMode, RecordClass
from retention.models import RetentionPolicy
from retention.services.holds import HoldScope, place_hold
from retention.services.purges.runs import purge
from tests.retention.factories import ALICE, ago, make_session, make_tenant, say

INTERLEAVINGS = 500
ROWS = 6


def test_500_interleavings_of_hold_and_purge_lose_no_held_row(database, monkeypatch):
    # One row each, so that a hold can be placed between any two of them.
    monkeypatch.setattr("retention.services.purges.runs.BATCH", 1)
    chance = random.Random(7)
    left = Counter()

    with ThreadPoolExecutor(max_workers=1) as purger:
        for number in range(INTERLEAVINGS):
            tenant = make_forgetful(f"tenant {number}")
            say(tenant, make_session(tenant, made_at=ago(100)), [ago(95)] * ROWS)
            purging = purger.submit(
                purge, tenant_id=tenant.id, record_class=RecordClass.MESSAGES, actor=SYSTEM
            )
            _wait_for_rows(tenant, number % (ROWS + 1), purging)
            time.sleep(chance.uniform(0, 0.005))

            place_hold(tenant_id=tenant.id, scope=HoldScope(), matter="m", reason="r", actor=ALICE)

            held = _rows(tenant)
            run = purging.result()
            assert _rows(tenant) == held
            assert run.destroyed == ROWS - len(held)
            left[len(held)] += 1
        purger.submit(connections.close_all).result()

    between = INTERLEAVINGS - left[0] - left[ROWS]
    assert between > INTERLEAVINGS / 2, left  # else nothing was interleaved


def make_forgetful(name):
    """A tenant that keeps no archive: what goes is gone."""
    tenant = make_tenant(name)
    now = ago(1)
    with tenant_scope(tenant.id):
        RetentionPolicy.objects.create(
            tenant=tenant,
            version=1,
            messages="P90D",
            summaries="P2Y",
            archive="P7Y",
            archive_mode=ArchiveMode.NONE,
            legal_minimum="P0D",
            zone="UTC",
            proposed_by="alice",
            takes_effect_at=now,
        )
    return tenant


def _wait_for_rows(tenant, count, purging):
    """Until the purge has left no more than that."""
    while len(_rows(tenant)) > count and not purging.done():
        time.sleep(0.0005)


def _rows(tenant):
    with tenant_scope(tenant.id):
        return set(Message.objects.values_list("id", flat=True))
