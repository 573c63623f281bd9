"""The commands `purge`, `hold` and `release_hold`, as operators type them."""

import io
from datetime import timedelta

import msgspec
import pytest
from django.core.management import CommandError, call_command

from conversations.management.operators import operator
from conversations.models import AuditEvent, Message
from conversations.tenancy import tenant_scope
from retention.models import LegalHold, PurgeRun
from tests.retention.factories import ago, make_session, make_tenant, say

pytestmark = pytest.mark.usefixtures("database")


def run(*arguments, **options):
    out = io.StringIO()
    call_command(*arguments, stdout=out, **options)
    return out.getvalue()


def run_json(*arguments):
    return msgspec.json.decode(run(*arguments, "--json"))


def test_purge_is_a_dry_run_unless_told():
    tenant = make_tenant()
    (message, _) = say(tenant, make_session(tenant, made_at=ago(100)), [ago(95), ago(1)])

    told = run_json("purge", "--tenant", "acme", "--class", "messages")

    assert told["executed"] is False
    (shown,) = told["runs"]
    assert (shown["tenant"], shown["class"], shown["candidates"], shown["held"]) == ("acme", "messages", 1, 0)
    assert shown["samples"] == [str(message)]
    with tenant_scope(tenant.id):
        assert Message.objects.count() == 2
        assert not PurgeRun.objects.exists()


def test_purge_executes_for_every_tenant_and_class():
    tenants = [make_tenant("acme"), make_tenant("other")]
    for tenant in tenants:
        say(tenant, make_session(tenant, made_at=ago(100)), [ago(95)])

    told = run_json("purge", "--execute")

    assert told["executed"] is True
    assert [(r["tenant"], r["class"], r["archived"]) for r in told["runs"] if r["class"] == "messages"] == [
        ("acme", "messages", 1),
        ("other", "messages", 1),
    ]
    assert {r["state"] for r in told["runs"]} == {"done"}
    assert len(told["runs"]) == 6


def test_purge_in_words_names_what_is_due():
    tenant = make_tenant()
    say(tenant, make_session(tenant, made_at=ago(100)), [ago(95)])

    assert "acme, messages: 1 due, 0 held" in run("purge")
    assert "1 archived" in run("purge", "--execute")


def test_purge_refuses_what_the_fuse_stops_and_force_passes_it(time_machine, settings):
    settings.PURGE_FUSE_FLOOR = 1
    tenant = make_tenant()
    say(tenant, make_session(tenant), [ago(0.1)] * 3)
    run("purge", "--execute")
    time_machine.move_to(ago(-365))

    with pytest.raises(CommandError, match="acme messages \\(3 due\\)"):
        run("purge", "--execute", "--class", "messages")
    with tenant_scope(tenant.id):
        assert Message.objects.count() == 3

    told = run_json("purge", "--execute", "--class", "messages", "--force")

    assert told["runs"][0]["archived"] == 3


def test_purge_of_an_unknown_tenant_names_those_there_are():
    make_tenant()

    with pytest.raises(CommandError, match="acme"):
        run("purge", "--tenant", "nobody")


def test_hold_and_release_take_the_same_two_steps_as_the_api(settings):
    settings.CLI_SECOND_PERSON = True
    settings.HOLD_GRACE = timedelta(days=30)
    tenant = make_tenant()
    make_session(tenant, customer="c1")

    placed = run_json("hold", "--tenant", "acme", "--matter", "Case 7", "--reason", "r", "--customer", "c1")
    asked = run("release_hold", placed["id"], "--reason", "over")
    with pytest.raises(CommandError, match="Another person"):
        run("release_hold", placed["id"], "--reason", "over")
    released = run_json("release_hold", placed["id"], "--reason", "over", "--as", "bob")

    assert placed["customer_id"] == "c1"
    assert "Another person" in asked
    assert released["state"] == "released"
    with tenant_scope(tenant.id):
        hold = LegalHold.objects.get()
    assert hold.placed_by == operator({}).name
    assert hold.placed_by.startswith("operator:")
    assert hold.released_by == "bob"


def test_claimed_name_is_recorded_but_is_no_second_person_by_default(settings):
    settings.CLI_SECOND_PERSON = False
    make_tenant()
    placed = run_json("hold", "--tenant", "acme", "--matter", "m", "--reason", "r", "--as", "ann")
    run("release_hold", placed["id"], "--reason", "over", "--as", "ann")

    with pytest.raises(CommandError, match="Another person"):
        run("release_hold", placed["id"], "--reason", "over", "--as", "bob")

    event = AuditEvent.objects.using("ops").get(action="hold.placed")
    assert (event.actor, event.details["claimed"]) == (operator({}).name, "ann")


def test_operator_is_the_account_and_not_what_the_environment_says(monkeypatch):
    before = operator({}).name
    monkeypatch.setenv("LOGNAME", "mallory")
    monkeypatch.setenv("USER", "mallory")

    assert operator({}).name == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["--tenant", "nobody", "--matter", "m", "--reason", "r"],
        ["--tenant", "acme", "--matter", "m", "--reason", "r", "--customer", "nobody"],
        ["--tenant", "acme", "--matter", "m", "--reason", " "],
        ["--tenant", "acme", "--matter", "m", "--reason", "r", "--start", "2026-01-01"],
    ],
)
def test_hold_that_makes_no_sense_is_refused(arguments):
    tenant = make_tenant()

    with pytest.raises(CommandError):
        run("hold", *arguments)

    with tenant_scope(tenant.id):
        assert not LegalHold.objects.exists()
