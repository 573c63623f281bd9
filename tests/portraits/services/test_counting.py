"""Counters: exact at any moment, folded or not, whoever writes, and whoever is killed."""

import math
import multiprocessing
import os
import random
import signal
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from io import StringIO
from uuid import UUID

import msgspec
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, connections

from conversations.enums import Reason
from conversations.inputs import MessageIn, MessagePatch, SessionPatch
from conversations.models import Customer, Message, Session
from conversations.ports import Target, lifecycle
from conversations.principals import Actor, ActorKind
from conversations.services.messages.appends import append_messages
from conversations.services.messages.changes import update_message
from conversations.services.sessions import update_session
from conversations.tenancy import tenant_scope
from portraits.counters import Interactions
from portraits.inputs import SummaryIn
from portraits.models import InteractionSummary, RefreshMark, SummaryDelta
from portraits.services.folding import fold_all
from portraits.services.summaries import drop_baseline, read_summary, set_baseline
from tests.builders import make_session, make_tenant, message_ids, say

ACTOR = Actor(ActorKind.SYSTEM, "tests")


def summary(tenant, customer="ann") -> Interactions:
    with tenant_scope(tenant.id):
        return read_summary(tenant.id, Customer.objects.get(external_id=customer))


def delete(tenant, **target):
    with tenant_scope(tenant.id):
        lifecycle().open_erasure(
            tenant_id=tenant.id, target=Target(**target), actor=ACTOR, reason="tests", basis=""
        )


@contextmanager
def purging(tenant):
    with tenant_scope(tenant.id):
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('app.reason', %s, true)", [str(Reason.PURGE.value)])
        yield


def verify(*arguments) -> dict:
    out = StringIO()
    call_command("verify_summaries", *arguments, "--json", stdout=out)
    return msgspec.json.decode(out.getvalue())


@pytest.fixture(params=["open", "folded"])
def fold(request):
    """Every expectation holds with deltas still open, and after they were folded."""
    return fold_all if request.param == "folded" else lambda: None


def test_everything_said_is_counted(database, fold):
    tenant = make_tenant()
    first = make_session(tenant, customer_id="ann", language="en", channel="web", outlet_id="o1")
    second = make_session(tenant, customer_id="ann", language="en", channel="app")
    said = say(tenant, first, "a", "b", intent="buy")
    say(tenant, second, "c")
    last = say(tenant, second, "d", intent="ask")
    fold()

    assert summary(tenant) == Interactions(
        session_count=2,
        message_count=4,
        intents={"buy": 2, "ask": 1},
        languages={"en": 2},
        channels={"web": 1, "app": 1},
        outlets={"o1": 1},
        first_interaction_at=said.messages[0]["created_at"],
        last_interaction_at=last.messages[0]["created_at"],
    )


def test_a_person_nobody_spoke_with_has_zeros(database):
    tenant = make_tenant()
    make_session(tenant, customer_id="ann")

    assert summary(tenant) == Interactions(session_count=1)


def test_a_session_is_counted_for_the_customer_named_later(database, fold):
    tenant = make_tenant()
    session = make_session(tenant, language="en")
    say(tenant, session, "a", "b", intent="buy")
    fold()
    update_session(tenant_id=tenant.id, session_id=session.id, patch=SessionPatch(customer_id="ann"))
    fold()

    counted = summary(tenant)

    assert (counted.session_count, counted.message_count) == (1, 2)
    assert (counted.intents, counted.languages) == ({"buy": 2}, {"en": 1})


def test_annotations_move_counts(database, fold):
    tenant = make_tenant()
    session = make_session(tenant, customer_id="ann", language="en")
    first, _ = message_ids(say(tenant, session, "a", "b", intent="buy"))
    fold()
    update_message(tenant_id=tenant.id, message_id=first, patch=MessagePatch(intent="ask"))
    update_session(tenant_id=tenant.id, session_id=session.id, patch=SessionPatch(language="fr"))
    fold()

    counted = summary(tenant)

    assert (counted.intents, counted.languages) == ({"buy": 1, "ask": 1}, {"fr": 1})
    assert counted.message_count == 2


def test_deleting_lowers_the_counts_and_the_span(database, fold):
    tenant = make_tenant()
    session = make_session(tenant, customer_id="ann", language="en")
    texts = [say(tenant, session, text, intent="buy").messages[0] for text in "abcd"]
    fold()
    delete(tenant, message_ids=(texts[0]["id"], texts[3]["id"]))
    fold()

    counted = summary(tenant)

    assert (counted.message_count, counted.intents) == (2, {"buy": 2})
    assert counted.first_interaction_at == texts[1]["created_at"]
    assert counted.last_interaction_at == texts[2]["created_at"]

    delete(tenant, session_id=session.id)
    fold()

    assert summary(tenant) == Interactions()


def test_purging_lowers_nothing(database, fold):
    tenant = make_tenant()
    session = make_session(tenant, customer_id="ann", language="en", channel="web")
    say(tenant, session, "a", "b", "c", intent="buy")
    fold()
    before = summary(tenant)
    with purging(tenant):
        Message.objects.all().delete()
        Session.objects.update(customer=None)  # as retention clears a session that has no message left
    fold()

    assert summary(tenant) == before
    assert verify()["differing"] == 0


def test_what_was_hidden_before_is_not_purged_twice(database, fold):
    tenant = make_tenant()
    session = make_session(tenant, customer_id="ann")
    first, _ = message_ids(say(tenant, session, "a", "b"))
    delete(tenant, message_ids=(first,))
    fold()
    with purging(tenant):
        Message.objects.all().delete()
    fold()

    assert summary(tenant).message_count == 1


def test_a_purge_that_changes_a_row_without_ending_it_changes_no_count(database, fold):
    tenant = make_tenant()
    session = make_session(tenant, customer_id="ann", language="en")
    say(tenant, session, "a", intent="buy")
    with purging(tenant):
        Session.objects.update(language=None)
        Message.objects.update(intent=None)
    fold()

    assert (summary(tenant).session_count, summary(tenant).message_count) == (1, 1)
    assert (summary(tenant).languages, summary(tenant).intents) == ({}, {})
    assert verify()["differing"] == 0


def test_counting_stands_on_a_baseline(database, fold):
    tenant = make_tenant()
    session = make_session(tenant, customer_id="ann", language="en")
    say(tenant, session, "a", intent="buy")
    fold()
    own = summary(tenant)
    baseline = SummaryIn(
        session_count=10, message_count=100, intents={"buy": 7, "ask": 1}, languages={"zh": 10}
    )
    set_baseline(tenant_id=tenant.id, external_id="ann", baseline=baseline)
    say(tenant, session, "b", intent="buy")
    fold()

    counted = summary(tenant)

    assert (counted.session_count, counted.message_count) == (11, 102)
    assert (counted.intents, counted.languages) == ({"buy": 9, "ask": 1}, {"zh": 10, "en": 1})
    assert verify()["differing"] == 0

    set_baseline(tenant_id=tenant.id, external_id="ann", baseline=SummaryIn(message_count=1))
    assert summary(tenant).message_count == 3
    drop_baseline(tenant_id=tenant.id, external_id="ann")
    fold()

    left = summary(tenant)
    assert (left.session_count, left.message_count, left.intents) == (1, 2, {"buy": 2})
    assert left.first_interaction_at == own.first_interaction_at
    assert verify()["differing"] == 0


def test_a_baseline_outlives_the_record_in_the_span(database, fold):
    tenant = make_tenant()
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    baseline = SummaryIn(first_interaction_at=long_ago, last_interaction_at=long_ago)
    set_baseline(tenant_id=tenant.id, external_id="ann", baseline=baseline)
    session = make_session(tenant, customer_id="ann")
    (only,) = message_ids(say(tenant, session, "a"))
    fold()
    assert summary(tenant).first_interaction_at == long_ago

    delete(tenant, message_ids=(only,))
    fold()

    assert (summary(tenant).first_interaction_at, summary(tenant).last_interaction_at) == (long_ago, long_ago)


def test_folding_leaves_nothing_open_and_marks_whom_it_counted(database):
    tenant = make_tenant()
    say(tenant, make_session(tenant, customer_id="ann"), "a")

    assert fold_all() == 2
    assert fold_all() == 0

    assert not SummaryDelta.objects.using("ops").exists()
    assert RefreshMark.objects.using("ops").count() == 1
    row = InteractionSummary.objects.using("ops").get()
    assert (row.session_count, row.message_count) == (1, 1)
    assert Customer.objects.using("ops").get().last_interaction_at == row.last_interaction_at


def test_nothing_is_kept_of_somebody_erased(database):
    tenant = make_tenant()
    session = make_session(tenant, customer_id="ann")
    say(tenant, session, "a")
    Customer.objects.using("ops").update(external_id=None, erased_at=session.created_at)

    assert fold_all() == 2

    assert not InteractionSummary.objects.using("ops").exists()
    assert not SummaryDelta.objects.using("ops").exists()


def test_a_rolled_back_append_counts_nothing(database):
    tenant = make_tenant()
    session = make_session(tenant, customer_id="ann")

    with pytest.raises(RuntimeError), tenant_scope(tenant.id):
        append_messages(
            tenant_id=tenant.id, session_id=session.id, given=[MessageIn(role="user", content="x")]
        )
        raise RuntimeError

    assert summary(tenant).message_count == 0


def test_deltas_of_another_tenant_are_not_seen(database):
    ours, theirs = make_tenant("ours"), make_tenant("theirs")
    say(theirs, make_session(theirs, customer_id="ann"), "a")

    with tenant_scope(ours.id):
        assert not SummaryDelta.objects.exists()
        assert not InteractionSummary.objects.exists()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("message_count", 7),
        ("session_count", 0),
        ("intents", {"lies": 3}),
        ("languages", {}),
        ("last_interaction_at", None),
    ],
)
def test_tampered_counters_are_found_and_mended(database, column, value):
    tenant = make_tenant("acme")
    session = make_session(tenant, customer_id="ann", language="en")
    say(tenant, session, "a", "b", intent="buy")
    fold_all()
    say(tenant, session, "c", intent="ask")  # stays open: the repair must not count it twice
    before = summary(tenant)
    InteractionSummary.objects.using("ops").update(**{column: value})
    if column == "last_interaction_at":
        SummaryDelta.objects.using("ops").update(last_at=None)

    with pytest.raises(CommandError, match="differ"):
        call_command("verify_summaries", stdout=StringIO())
    found = verify("--tenant", "acme", "--repair")

    assert (found["checked"], found["differing"], found["repaired"]) == (1, 1, 1)
    assert found["differences"][0]["fields"] == [column]
    assert summary(tenant) == before
    assert verify()["differing"] == 0
    fold_all()
    assert summary(tenant) == before


def test_lost_summaries_are_made_anew(database):
    tenant = make_tenant()
    say(tenant, make_session(tenant, customer_id="ann", language="en"), "a", intent="buy")
    fold_all()
    before = summary(tenant)
    InteractionSummary.objects.using("ops").all().delete()

    assert verify("--repair")["repaired"] == 1

    assert summary(tenant) == before


def test_an_unknown_tenant_is_an_error(database):
    with pytest.raises(CommandError):
        verify("--tenant", "nobody")


OPERATIONS = ("append", "append", "append", "batch", "annotate", "delete", "rename", "close", "purge")


def operate(tenant_id: UUID, dice: random.Random) -> None:
    """One random operation of an agent, of the API or of retention."""
    kind = dice.choice(OPERATIONS)
    with tenant_scope(tenant_id):
        sessions = list(Session.objects.filter(hidden_at=None).values_list("id", flat=True))
        session_id = dice.choice(sessions)
    if kind in ("append", "batch"):
        given = [
            MessageIn(role="user", content="x", intent=dice.choice(["buy", "ask", None]))
            for _ in range(1 if kind == "append" else dice.randint(2, 9))
        ]
        append_messages(tenant_id=tenant_id, session_id=session_id, given=given)
        return
    with tenant_scope(tenant_id):
        rows = Message.objects.filter(session_id=session_id, hidden_at=None).order_by("id")
        chosen = list(rows.values_list("id", flat=True)[:50])
        if kind == "rename":
            Session.objects.filter(id=session_id).update(language=dice.choice(["en", "zh", None]))
        elif chosen and kind == "annotate":
            Message.objects.filter(id=dice.choice(chosen)).update(intent=dice.choice(["buy", "ask", None]))
        elif chosen and kind == "delete":
            Message.objects.filter(id=dice.choice(chosen)).update(
                hidden_at=Session.objects.first().created_at
            )
        elif chosen and kind == "purge":
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('app.reason', %s, true)", [str(Reason.PURGE.value)])
            Message.objects.filter(id=dice.choice(chosen)).delete()


def write(tenant_id: UUID, seed: int, count: float) -> None:
    """A process that writes until it is done or killed."""
    dice = random.Random(seed)
    done = 0
    while done < count:
        try:
            operate(tenant_id, dice)
        except OperationalError:  # waited too long for a lock on a busy machine: nothing of it was stored
            connections.close_all()
        else:
            done += 1
    os._exit(0)


# Ten thousand take minutes: COUNTER_OPERATIONS=10000 asks for them.
HOW_MANY = int(os.environ.get("COUNTER_OPERATIONS", "480"))


def test_counters_are_exact_under_eight_writers_some_of_them_killed(database):
    count, tenant = HOW_MANY // 8, make_tenant()
    for number in range(6):
        make_session(tenant, customer_id=f"c{number % 3}", language="en", channel="web")
    connections.close_all()  # nothing is to be shared with the writers
    fork = multiprocessing.get_context("fork")
    counts = [math.inf] * 3 + [count] * 5  # three are at it until they are killed
    writers = [fork.Process(target=write, args=(tenant.id, seed, n)) for seed, n in enumerate(counts)]

    for writer in writers:
        writer.start()
    deadline = time.monotonic() + 600 + HOW_MANY
    doomed = writers[:3]
    while any(writer.is_alive() for writer in writers) and time.monotonic() < deadline:
        fold_all()
        time.sleep(0.3)
        if doomed:
            doomed.pop().kill()
    for writer in writers:
        writer.join(timeout=1)

    assert [writer.exitcode for writer in writers] == [-signal.SIGKILL] * 3 + [0] * 5
    assert verify() == {"checked": 3, "differing": 0, "repaired": 0, "differences": []}
    for number in range(3):
        with tenant_scope(tenant.id):
            rows = Message.objects.filter(customer__external_id=f"c{number}", hidden_at=None)
            purged = InteractionSummary.objects.filter(customer__external_id=f"c{number}").first()
            expected = rows.count() + (purged.purged_messages if purged else 0)
            gone = SummaryDelta.objects.filter(customer_id=purged.customer_id, effect=0) if purged else []
            expected += sum(delta.messages for delta in gone)
        assert summary(tenant, f"c{number}").message_count == expected
