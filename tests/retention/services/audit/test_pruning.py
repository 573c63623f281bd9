"""A month of the trail that went in order is no finding; one that somebody took is."""

from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core.management import call_command
from django.db import connections
from psycopg.types.json import Jsonb

from conversations import ids
from conversations.canonical import canonical, instant
from conversations.installation import signing_key
from conversations.models import AuditEvent, AuditLeaf
from conversations.principals import SYSTEM
from conversations.services.operations.partitions import ensure_partitions, list_partitions
from conversations.signing import SigningKey
from retention.policies import DEFAULT_POLICY, Period
from retention.services.audit.pruning import ACTION, TABLE, prune_audit
from retention.services.audit.sealing import seal_audit
from retention.services.audit.verifying import verify_audit
from retention.services.holds import HoldScope, place_hold
from retention.services.policies import put_policy
from tests.builders import make_tenant
from tests.retention.factories import ALICE
from tests.retention.trails import act, leaves, tamper

LONG_AGO = (ids.now() - timedelta(days=366 * 8)).replace(day=10)
NEXT_MONTH = LONG_AGO + timedelta(days=31)
LAST_YEAR = ids.now() - timedelta(days=366)


@pytest.fixture(autouse=True)
def witness_folder(settings, tmp_path):
    settings.AUDIT_WITNESS = tmp_path / "witness"


@pytest.fixture
def tenant(database):
    """A tenant whose trail is eight years old, sealed as it grew; partitions of its oldest months and of last year."""
    ensure_partitions(now=NEXT_MONTH, since=LONG_AGO)
    ensure_partitions(now=LAST_YEAR)
    with time_machine.travel(LONG_AGO, tick=True):
        tenant = make_tenant()
        act(tenant, "act.one", "act.two")
        seal_audit()
    for at, name in ((NEXT_MONTH, "act.three"), (LAST_YEAR, "act.four")):
        with time_machine.travel(at, tick=True):
            act(tenant, name)
            seal_audit()
    return tenant


def month_of(at: datetime) -> str:
    return f"{TABLE}_{at.astimezone(UTC):%Y%m}01"


def months() -> set[str]:
    return {partition.name for partition in list_partitions(TABLE)}


def findings():
    return [(f.kind, f.sequence) for f in verify_audit().findings]


def actions(tenant):
    return list(
        AuditEvent.objects.using("ops").filter(tenant=tenant).order_by("id").values_list("action", flat=True)
    )


def take_by_hand(month: str) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute(f"ALTER TABLE {TABLE} DETACH PARTITION {month}")
        cursor.execute(f"DROP TABLE {month}")


def test_months_past_the_period_go_and_their_leaves_stay(tenant):
    before = [(leaf.sequence, bytes(leaf.leaf_hash)) for leaf in leaves(tenant)]

    dropped = prune_audit(actor=SYSTEM)

    assert {month_of(LONG_AGO), month_of(NEXT_MONTH)} <= set(dropped)
    assert not months() & set(dropped)
    assert month_of(LAST_YEAR) in months()
    assert [(leaf.sequence, bytes(leaf.leaf_hash)) for leaf in leaves(tenant)] == before
    assert [action for action in actions(tenant) if action != ACTION] == ["act.four"]


def test_dropped_months_are_no_findings_before_and_after_they_are_sealed(tenant):
    prune_audit(actor=SYSTEM)

    assert findings() == []
    seal_audit()
    assert findings() == []
    assert verify_audit().events == AuditLeaf.objects.using("ops").count()


def test_statement_counts_what_went(tenant):
    prune_audit(actor=SYSTEM)

    stated = {
        row.details["before"]: (row.details["events"], row.details["missing"])
        for row in AuditEvent.objects.using("ops").filter(tenant=tenant, action=ACTION)
    }
    assert stated[instant(_end_of_month(LONG_AGO))] == (3, 0)
    assert stated[instant(_end_of_month(NEXT_MONTH))] == (1, 0)


def test_nothing_is_left_to_drop_after_a_pass(tenant):
    prune_audit(actor=SYSTEM)
    before = actions(tenant)

    assert prune_audit(actor=SYSTEM) == []
    assert actions(tenant) == before


def test_month_deleted_by_hand_is_reported(tenant):
    seal_audit()

    take_by_hand(month_of(LAST_YEAR))

    assert findings() == [("deleted", 5)]


def test_month_deleted_by_hand_before_its_time_was_over_is_reported_beside_those_that_went(tenant):
    prune_audit(actor=SYSTEM)
    seal_audit()

    take_by_hand(month_of(LAST_YEAR))

    assert findings() == [("deleted", 5)]


def test_event_taken_from_an_old_month_is_counted_as_missing(tenant):
    tamper(f"DELETE FROM {TABLE} WHERE tenant_id = %s AND action = 'act.two'", tenant.id)

    prune_audit(actor=SYSTEM)

    row = AuditEvent.objects.using("ops").get(
        tenant=tenant, action=ACTION, details__before=instant(_end_of_month(LONG_AGO))
    )
    assert (row.details["events"], row.details["missing"]) == (2, 1)


@pytest.mark.parametrize("whose", ["nobody", "another installation", "another tenant"])
def test_statement_that_the_installation_did_not_sign_excuses_nothing(tenant, whose):
    before = instant(_end_of_month(LAST_YEAR))
    about = make_tenant("other").id if whose == "another tenant" else tenant.id
    statement = canonical({"object": "audit_pruned", "tenant": str(about), "before": before})
    key = signing_key() if whose == "another tenant" else SigningKey.from_seed(b64encode(b"x" * 32).decode())
    signature = "" if whose == "nobody" else b64encode(key.sign(statement)).decode()
    (forged,) = act(tenant, ACTION)
    tamper(
        f"UPDATE {TABLE} SET details = %s WHERE id = %s",
        Jsonb({"before": before, "signature": signature}),
        forged,
    )
    seal_audit()
    take_by_hand(month_of(LAST_YEAR))

    assert ("deleted", 5) in findings()


def test_period_of_the_tenant_that_keeps_longest_counts_for_all(tenant):
    put_policy(
        tenant_id=make_tenant("other").id,
        policy=replace(DEFAULT_POLICY, archive=Period.parse("P10Y")),
        actor=ALICE,
    )

    assert prune_audit(actor=SYSTEM) == []
    assert "act.one" in actions(tenant)


def test_hold_keeps_the_months_it_reaches_into(tenant):
    hold = HoldScope(start_time=NEXT_MONTH - timedelta(hours=1), end_time=NEXT_MONTH)
    place_hold(tenant_id=tenant.id, scope=hold, matter="M", reason="r", actor=ALICE)

    dropped = prune_audit(actor=SYSTEM)

    assert month_of(LONG_AGO) in dropped
    assert month_of(NEXT_MONTH) not in dropped
    assert findings() == []


def test_month_with_an_event_that_was_never_sealed_stays(tenant):
    with time_machine.travel(LONG_AGO, tick=True):
        act(tenant, "act.late")

    assert prune_audit(actor=SYSTEM) == []
    assert "act.one" in actions(tenant)


def test_statement_goes_with_its_own_month_and_a_newer_one_speaks_of_all(tenant):
    prune_audit(actor=SYSTEM)
    seal_audit()

    with time_machine.travel(ids.now() + timedelta(days=366 * 8), tick=True):
        ensure_partitions()
        prune_audit(actor=SYSTEM)
        seal_audit()

        assert "act.four" not in actions(tenant)
        assert set(actions(tenant)) == {ACTION}
        assert findings() == []


def test_purge_command_prunes_the_trail(tenant):
    call_command("purge", "--class", "archive", "--execute")

    assert month_of(LONG_AGO) not in months()
    assert findings() == []


def test_events_in_the_default_partition_are_moved_although_nobody_may_change_them(database):
    with time_machine.travel(LAST_YEAR, tick=True):
        tenant = make_tenant()
        seal_audit()

    made = ensure_partitions()

    assert month_of(LAST_YEAR) in made
    with connections["owner"].cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {TABLE}_default")
        assert cursor.fetchone() == (0,)
        cursor.execute(
            "SELECT DISTINCT tgenabled FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal",
            [f"{TABLE}_default"],
        )
        assert cursor.fetchall() == [("O",)]
    assert actions(tenant) == ["tenant.created"]
    assert findings() == []


def _end_of_month(at: datetime) -> datetime:
    first = at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)
