"""A week of a compliance officer, in a real browser, by the words on the pages."""

import re
from collections.abc import Callable

from conversations.mirror.drain import drain
from conversations.models import Message, Tenant
from conversations.principals import SYSTEM
from conversations.tenancy import tenant_scope
from retention.enums import CaseState, ExportState, RecordClass
from retention.models import ArchiveRecord, ErasureCase, ExportJob
from retention.services.audit.sealing import seal_audit
from retention.services.erasures.execution import follow_cases
from retention.services.purges.runs import purge
from tests.admin import evidence
from tests.admin.browser import Officer
from tests.retention.factories import ago, make_session, say

COMPLAINT = "The burner leaks gas and my name is on card 4111 1111 1111 1111"
OLD = "An old question about opening hours"
EXPIRED = 120  # days, beyond the 90 of the default policy


def test_the_week(tenant: Tenant, at_work: Callable[..., Officer]) -> None:
    complaint = make_session(tenant, customer="c-1", made_at=ago(EXPIRED))
    say(tenant, complaint, [ago(EXPIRED)], text=OLD)
    say(tenant, complaint, [ago(2)], text=COMPLAINT)
    other = make_session(tenant, customer="c-2", made_at=ago(EXPIRED))
    say(tenant, other, [ago(EXPIRED), ago(1)], text="Somebody else asks")
    drain()  # as the worker does
    officer = at_work("dora")

    find_read_and_reveal(officer)
    place_a_hold(officer)
    purge_around_it(officer, tenant)
    erase_another_customer(officer, tenant)
    export_evidence(officer, tenant)
    check_the_audit(officer, tenant)


def find_read_and_reveal(officer: Officer) -> None:
    officer.open("Conversations")
    officer.page.get_by_role("searchbox").fill("burner leaks")
    officer.press("Search")
    officer.page.get_by_role("link", name="About a parcel").first.click()

    assert "4111" not in officer.text
    assert re.search(r"\[CARD_\w+\]", officer.text)
    assert re.search(
        r"ends on \d{4}-\d\d-\d\d, because the default policy keeps messages for 90 days", officer.text
    )
    assert OLD not in officer.text  # past its period, whether or not a purge has run

    officer.fill("Reason", "Complaint 42")
    officer.press("Reveal")

    assert "4111 1111 1111 1111" in officer.text


def place_a_hold(officer: Officer) -> None:
    officer.press("Place hold")
    officer.fill("Matter", "Gas leak 2026-3")
    officer.fill("Reason", "The regulator asks")
    officer.press("Place hold")

    assert "The hold is in force." in officer.text
    assert OLD in officer.text  # kept by the hold, beyond use


def purge_around_it(officer: Officer, tenant: Tenant) -> None:
    officer.open("Purge runs")
    officer.press("Preview")

    row = officer.page.get_by_role("row", name=re.compile("^messages"))
    assert row.get_by_role("cell").nth(0).inner_text() == "1"
    assert row.get_by_role("cell").nth(1).inner_text() == "1"

    row.get_by_role("button", name="Run").click()
    officer.page.wait_for_url("**/purge-runs/*-*/")
    purge(tenant_id=tenant.id, record_class=RecordClass.MESSAGES, actor=SYSTEM)  # as the worker does
    officer.page.get_by_text("done", exact=True).wait_for()

    assert re.search(r"Archived\s+1\b", officer.text)
    with tenant_scope(tenant.id):
        assert ArchiveRecord.objects.count() == 1
        assert Message.objects.filter(scrubbed__startswith=OLD).exists()


def erase_another_customer(officer: Officer, tenant: Tenant) -> None:
    officer.open("Customers")
    officer.fill("Customer", "c-2")
    officer.press("Search")
    officer.page.get_by_role("link", name="Customer c-2").click()
    officer.press("Erase")
    officer.fill("Reason", "Asked by letter")
    officer.fill("Basis", "GDPR Art. 17 (1) (b)")
    officer.press("Erase")

    assert "Erased: nobody can read it any more." in officer.text
    follow_cases(seconds=30)
    officer.page.get_by_role("button", name="Download receipt").wait_for()
    with tenant_scope(tenant.id):
        assert ErasureCase.objects.get().state == CaseState.VERIFIED

    with officer.page.expect_download() as download:
        officer.page.get_by_role("button", name="Download receipt").click()
    receipt = download.value.path()
    officer.open("Verify receipt")
    officer.page.get_by_label("Receipt").set_input_files(receipt)
    officer.press("Verify")

    assert "This receipt is authentic." in officer.text

    forged = receipt.read_bytes().replace(b'"found_after":0', b'"found_after":1', 1)
    officer.page.get_by_label("Receipt").set_input_files(
        {"name": "receipt.json", "mimeType": "application/json", "buffer": forged}
    )
    officer.press("Verify")

    assert "The signature is not valid" in officer.text


def export_evidence(officer: Officer, tenant: Tenant) -> None:
    officer.open("Conversations")
    officer.page.get_by_role("link", name="About a parcel").first.click()
    officer.press("Export evidence")

    archive = evidence.export_evidence(officer)

    assert any(name.endswith(".html") for name in archive.namelist())
    assert COMPLAINT in archive.read("conversations.jsonl").decode()
    with tenant_scope(tenant.id):
        assert ExportJob.objects.get().state == ExportState.DONE


def check_the_audit(officer: Officer, tenant: Tenant) -> None:
    seal_audit()
    officer.open("Audit")
    actions = [
        "conversations.searched",
        "transcript.revealed",
        "hold.placed",
        "purge.done",
        "erasure.opened",
        "evidence.requested",
    ]
    for action in actions:
        officer.goto(f"/admin/audit/?action={action}")
        assert officer.page.get_by_role("row").count() > 1, action

    officer.open("Audit")
    officer.press("Verify")

    assert "The trail is intact." in officer.text
