"""Conversations selected in the list: held together, exported together; too many or none are refused."""

from collections.abc import Callable

import msgspec
from django.test import Client
from django.utils.crypto import get_random_string

from conversations import ids
from conversations.models import Tenant
from conversations.tenancy import tenant_scope
from retention.models import ExportJob, LegalHold
from tests.admin.browser import Officer
from tests.admin.evidence import export_evidence
from tests.retention.factories import ago, make_session, say


def test_selected_conversations_become_one_signed_archive(
    tenant: Tenant, at_work: Callable[..., Officer]
) -> None:
    for customer in ("c-1", "c-2", "c-3"):
        say(tenant, make_session(tenant, customer=customer), [ago(2), ago(1)])
    officer = at_work("dora")

    officer.open("Conversations")
    for number in (0, 1):
        officer.page.get_by_label("Select About a parcel").nth(number).check()
    assert "2 selected" in officer.text
    officer.press("Export evidence")
    assert "2 conversations" in officer.text
    archive = export_evidence(officer)

    names = archive.namelist()
    assert len([name for name in names if name.endswith(".html")]) == 2
    assert "conversations.jsonl" in names
    events = [msgspec.json.decode(line) for line in archive.read("audit.jsonl").splitlines()]
    assert any(event["proof"] for event in events)


def test_all_of_a_page_are_held_with_one_word(tenant: Tenant, at_work: Callable[..., Officer]) -> None:
    for _ in range(3):
        make_session(tenant)
    officer = at_work("dora")

    officer.open("Conversations")
    officer.page.get_by_label("Select all on this page").check()
    officer.press("Place hold")
    assert "It covers 3 conversations." in officer.text
    officer.fill("Matter", "Recall 7")
    officer.fill("Reason", "The regulator asks")
    officer.press("Place hold")

    assert "3 holds are in force." in officer.text
    with tenant_scope(tenant.id):
        assert LegalHold.objects.count() == 3


def test_nothing_selected_is_told_and_holds_nothing(tenant: Tenant, signed_in: Callable[..., Client]) -> None:
    client = signed_in("dora")

    for path in ("/admin/holds/place/?selected=yes", "/admin/exports/evidence/?selected=yes"):
        answer = client.get(path, follow=True)
        assert answer.redirect_chain == [("/admin/conversations/", 302)]
        assert "Nothing is selected" in answer.content.decode()
    refused = client.post("/admin/exports/evidence/", {"reason": get_random_string(5)})

    assert refused.status_code == 400
    assert "Select something first." in refused.content.decode()


def test_ten_thousand_selected_rows_are_refused_in_words(
    tenant: Tenant, signed_in: Callable[..., Client]
) -> None:
    client = signed_in("dora")
    many = {"reason": "r", "matter": "m", "session": [str(ids.new_id()) for _ in range(10_000)]}

    held = client.post("/admin/holds/place/", many)
    exported = client.post("/admin/exports/evidence/", many)

    for answer in (held, exported):
        assert answer.status_code == 400
        assert "10000 are selected; at most 200 can be taken at once." in answer.content.decode()
    with tenant_scope(tenant.id):
        assert not LegalHold.objects.exists()
        assert not ExportJob.objects.exists()


def test_one_unknown_conversation_holds_none_of_them(
    tenant: Tenant, signed_in: Callable[..., Client]
) -> None:
    known = make_session(tenant)
    client = signed_in("dora")

    answer = client.post(
        "/admin/holds/place/",
        {"reason": "r", "matter": "m", "session": [str(known.id), str(ids.new_id())]},
    )

    assert answer.status_code == 404
    with tenant_scope(tenant.id):
        assert not LegalHold.objects.exists()


def test_viewer_is_offered_no_selection(tenant: Tenant, signed_in: Callable[..., Client]) -> None:
    make_session(tenant)

    page = signed_in("vera", "viewer").get("/admin/conversations/").content.decode()

    assert "Select About a parcel" not in page
    assert "Place hold" not in page
