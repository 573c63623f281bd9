"""The commands that end something for a person or a tenant."""

import json
import zipfile
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from conversations.models import ApiKey, Customer, DataKey, Memory, Message, Session, Tenant
from conversations.services.accounts.api_keys import create_key
from conversations.tenancy import tenant_scope
from retention.models import ErasureCase, TenantRemoval
from retention.receipts import verify_receipt
from retention.services import tenant_removal
from retention.services.holds import HoldScope, place_hold
from tests.retention.factories import ALICE, ago, make_session, make_tenant, say

pytestmark = pytest.mark.usefixtures("database", "data_dir", "postgresql_alone")


def run(*arguments, **options):
    out = StringIO()
    call_command(*arguments, stdout=out, **options)
    return out.getvalue()


@pytest.fixture(autouse=True)
def keys_are_believed_no_longer(monkeypatch):
    monkeypatch.setattr("conversations.services.accounts.api_keys.LIFETIME", 0.0)


def test_erase_waits_and_writes_the_receipt(tmp_path):
    tenant = make_tenant()
    say(tenant, make_session(tenant, customer="ann"), [ago(1)])
    receipt = tmp_path / "receipt.json"

    case = json.loads(
        run(
            "erase",
            "--tenant",
            "acme",
            "--customer",
            "ann",
            "--reason",
            "r",
            "--receipt",
            str(receipt),
            "--json",
        )
    )

    assert case["state"] == "verified"
    assert verify_receipt(receipt.read_bytes()).receipt.case == case["id"]


def test_erase_leaves_the_rest_to_the_worker():
    tenant = make_tenant()
    say(tenant, make_session(tenant, customer="ann"), [ago(1)])

    shown = run("erase", "--tenant", "acme", "--customer", "ann", "--reason", "r")

    assert "executing, 1 keys destroyed" in shown


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--tenant", "acme", "--customer", "nobody", "--reason", "r"], "no customer"),
        (["--tenant", "other", "--customer", "ann", "--reason", "r"], "no tenant"),
        (["--tenant", "acme", "--customer", "ann", "--reason", " "], "reason"),
        (["--tenant", "acme", "--customer", "ann", "--reason", "r", "--basis", " "], "basis"),
    ],
)
def test_erase_refuses_and_changes_nothing(arguments, why):
    tenant = make_tenant()
    say(tenant, make_session(tenant, customer="ann"), [ago(1)])

    with pytest.raises(CommandError, match=why):
        run("erase", *arguments)

    with tenant_scope(tenant.id):
        assert Message.objects.live().count() == 1
        assert not ErasureCase.objects.exists()


def test_erase_of_somebody_already_erased_names_the_case():
    tenant = make_tenant()
    make_session(tenant, customer="ann")
    case = json.loads(run("erase", "--tenant", "acme", "--customer", "ann", "--reason", "r", "--json"))

    with pytest.raises(CommandError, match=case["id"]):
        run("erase", "--tenant", "acme", "--customer", "ann", "--reason", "r")


def erase(*more):
    return run("erase", "--tenant", "acme", "--customer", "ann", "--reason", "r", *more)


def test_erase_looks_at_where_the_receipt_goes_before_it_erases(tmp_path):
    tenant = make_tenant()
    say(tenant, make_session(tenant, customer="ann"), [ago(1)])

    with pytest.raises(CommandError, match="no folder that can be written to"):
        erase("--receipt", str(tmp_path / "none" / "receipt.json"))

    with tenant_scope(tenant.id):
        assert Message.objects.live().count() == 1
        assert not ErasureCase.objects.exists()


def test_erase_gives_the_receipt_of_who_was_erased_before(tmp_path):
    tenant = make_tenant()
    say(tenant, make_session(tenant, customer="ann"), [ago(1)])
    case = json.loads(erase("--json"))
    file = tmp_path / "receipt.json"

    again = json.loads(erase("--receipt", str(file), "--json"))

    assert (again["id"], again["state"]) == (case["id"], "verified")
    assert verify_receipt(file.read_bytes()).receipt.case == case["id"]


@pytest.mark.parametrize("given", ["-1", "nan", "inf", "soon"])
def test_erase_waits_for_a_number_of_seconds(given):
    with pytest.raises(CommandError, match="no number of seconds"):
        erase("--wait", f"--timeout={given}")


def test_export_customer_writes_one_archive(tmp_path):
    tenant = make_tenant()
    say(tenant, make_session(tenant, customer="ann"), [ago(1)], "call 9123 4567")
    file = tmp_path / "ann.zip"

    run("export_customer", str(file), "--tenant", "acme", "--customer", "ann")

    with zipfile.ZipFile(file) as archive:
        assert {"messages.jsonl", "index.html", "manifest.json"} <= set(archive.namelist())
        assert b"9123 4567" not in archive.read("messages.jsonl")
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(CommandError, match="there already"):
        run("export_customer", str(file), "--tenant", "acme", "--customer", "ann")


def removal(name, *more):
    return run("remove_tenant", name, "--reason", "contract ended", "--basis", "contract 12", *more)


def test_remove_tenant_previews_by_default():
    tenant = make_tenant()
    say(tenant, make_session(tenant, customer="ann"), [ago(1)])

    shown = json.loads(removal("acme", "--json"))

    assert (shown["executed"], shown["counts"]["customers"], shown["counts"]["messages"]) == (False, 1, 1)
    with tenant_scope(tenant.id):
        assert Message.objects.live().count() == 1
        assert not TenantRemoval.objects.exists()


def test_remove_tenant_takes_two_people(settings):
    settings.CLI_SECOND_PERSON = True
    tenant = make_tenant()
    say(tenant, make_session(tenant, customer="ann"), [ago(1)])

    removal("acme", "--execute", "--as", "alice")
    with pytest.raises(CommandError, match="Another person"):
        removal("acme", "--execute", "--as", "alice")

    with tenant_scope(tenant.id):
        assert Message.objects.live().count() == 1


def test_remove_tenant_erases_everything_and_nothing_of_others(settings):
    settings.CLI_SECOND_PERSON = True
    tenant, other = make_tenant(), make_tenant("other")
    key = create_key(tenant=tenant, scopes=["read"])
    say(tenant, make_session(tenant, customer="ann"), [ago(1), ago(2)])
    say(tenant, make_session(tenant, customer=None), [ago(1)])
    kept = say(other, make_session(other, customer="ann"), [ago(1)])
    removal("acme", "--execute", "--as", "alice")

    done = json.loads(removal("acme", "--execute", "--as", "bob", "--json"))

    assert done["case"]["state"] == "verified"
    with tenant_scope(tenant.id):
        case = ErasureCase.objects.get(id=done["case"]["id"])
        assert not any(model.objects.exists() for model in (Customer, Session, Message, Memory))
        assert not DataKey.objects.filter(wrapped__isnull=False).exists()
        assert ApiKey.objects.get(id=key.id).revoked_at is not None
    receipt = verify_receipt(bytes(case.receipt)).receipt
    assert (receipt.scope, receipt.stores["postgresql.messages"].found_before) == ("tenant", 3)
    assert not any(proof.found_after for proof in receipt.stores.values())
    with tenant_scope(other.id):
        assert list(Message.objects.live().values_list("id", flat=True)) == kept
        assert DataKey.objects.filter(wrapped__isnull=False).count() == 3


def test_remove_tenant_tells_each_step_of_its_progress_once(settings):
    settings.CLI_SECOND_PERSON = True
    tenant = make_tenant()
    for name in ("ann", "bob", None):
        say(tenant, make_session(tenant, customer=name), [ago(1)])
    removal("acme", "--execute", "--as", "alice")

    lines = removal("acme", "--execute", "--as", "bob").splitlines()

    told = [line for line in lines if line.startswith("erasures ")]
    assert told == [
        f"erasures {step}: {done} of about 3" for step in ("opened", "carried out") for done in (1, 2, 3)
    ]


def test_a_tenant_that_is_gone_still_gives_its_receipt_but_not_its_name(settings, tmp_path):
    settings.CLI_SECOND_PERSON = True
    tenant = make_tenant()
    say(tenant, make_session(tenant, customer="ann"), [ago(1)])
    removal("acme", "--execute", "--as", "alice")
    done = json.loads(removal("acme", "--execute", "--as", "bob", "--json"))
    file = tmp_path / "receipt.json"

    again = json.loads(removal("acme", "--execute", "--as", "bob", "--json", "--receipt", str(file)))

    assert again["case"]["id"] == done["case"]["id"]
    assert verify_receipt(file.read_bytes()).receipt.case == done["case"]["id"]
    with pytest.raises(CommandError, match="there already"):
        removal("acme", "--receipt", str(file))
    with pytest.raises(CommandError, match="was removed"):
        run("create_tenant", "acme")


def test_a_tenants_name_is_one_line():
    with pytest.raises(CommandError, match="one line"):
        run("create_tenant", "acme\nexample")

    assert not Tenant.objects.using("ops").exists()


def test_remove_tenant_leaves_what_a_hold_covers(settings):
    settings.CLI_SECOND_PERSON = True
    tenant = make_tenant()
    held = say(tenant, make_session(tenant, customer="ann"), [ago(1)])
    say(tenant, make_session(tenant, customer="bob"), [ago(1)])
    place_hold(tenant_id=tenant.id, scope=HoldScope(customer_id="ann"), matter="m", reason="r", actor=ALICE)
    removal("acme", "--execute", "--as", "alice")

    done = json.loads(removal("acme", "--execute", "--as", "bob", "--json"))

    assert (done["case"]["state"], len(done["case"]["deferrals"])) == ("deferred", 1)
    with tenant_scope(tenant.id):
        assert list(Message.objects.values_list("id", flat=True)) == held
    assert Tenant.objects.using("ops").get(id=tenant.id).removed_at is None
    tenant_removal.follow_removals()
