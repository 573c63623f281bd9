"""Platform staff belong to no tenant: they choose one, explicitly, and it stands in that tenant's trail."""

from django.core.management import call_command
from django.test import Client

from conversations.models import AuditEvent, Staff, Tenant
from conversations.tenancy import tenant_scope
from tests.retention.factories import make_session


def platform_person() -> Client:
    call_command("bootstrap", verbosity=0)
    person = Staff.objects.using("ops").get(tenant=None)
    client = Client()
    client.force_login(Staff.objects.raw("SELECT * FROM staff_by_id(%s)", [person.pk])[0])
    return client


def test_no_page_opens_before_a_tenant_is_chosen(tenant: Tenant) -> None:
    make_session(tenant)
    client = platform_person()

    for path in ("/admin/", "/admin/conversations/", "/admin/audit/", "/admin/people/"):
        answer = client.get(path)
        assert answer["Location"].startswith("/admin/tenant/?next="), path
    assert "About a parcel" not in client.get("/admin/tenant/").content.decode()


def test_choosing_a_tenant_leads_back_and_leaves_a_trace(tenant: Tenant, other: Tenant) -> None:
    make_session(tenant)
    client = platform_person()

    entered = client.post("/admin/tenant/", {"tenant": str(tenant.id), "next": "/admin/conversations/"})
    mine = client.get("/admin/conversations/").content.decode()
    client.post("/admin/tenant/", {"tenant": str(other.id)})
    theirs = client.get("/admin/conversations/").content.decode()

    assert entered["Location"] == "/admin/conversations/"
    assert "About a parcel" in mine
    assert "About a parcel" not in theirs
    for entered_tenant in (tenant, other):
        with tenant_scope(entered_tenant.id):
            assert AuditEvent.objects.filter(action="tenant.entered", actor="admin").count() == 1


def test_next_page_elsewhere_and_unknown_tenants_are_refused(tenant: Tenant) -> None:
    client = platform_person()

    elsewhere = client.post("/admin/tenant/", {"tenant": str(tenant.id), "next": "//evil.example/admin/"})
    unknown = client.post("/admin/tenant/", {"tenant": "00000000-0000-7000-8000-000000000000"})

    assert elsewhere["Location"] == "/admin/"
    assert unknown.status_code == 400
