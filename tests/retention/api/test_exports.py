"""Everything that is held about a person, for the person."""

import hashlib
import io
import json
import zipfile
from datetime import timedelta

import pytest

from conversations.models import AuditEvent
from conversations.tenancy import tenant_scope
from retention.models import ErasureCase, ExportJob
from retention.services.erasures.execution import carry_out
from retention.services.exports.file_store import expire_exports
from tests.retention.api.test_erasures import WHY
from tests.retention.api.test_holds import converse

pytestmark = pytest.mark.usefixtures("postgresql_alone")


@pytest.fixture
def ann(alice, data_dir):
    """A customer with a conversation; Bob has one too."""
    alice("PUT", "/customers/ann@example.com", {"metadata": {"phone": "+6591234567"}})
    session, _ = converse(alice, 1, customer="ann@example.com")
    text = "I am ann@example.com, call 9123 4567, or my friend Bob at bob@example.com. <b>Thanks</b>"
    alice("POST", f"/sessions/{session}/messages", {"role": "user", "content": text})
    converse(alice, 3, customer="bob")
    return "ann@example.com"


def download(caller, export):
    response = caller("GET", f"/exports/{export['id']}/download")
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def lines(data):
    return [json.loads(line) for line in data.decode().splitlines()]


def test_export_holds_what_is_held_about_the_person_and_nobody_else(alice, ann):
    export = alice("POST", f"/customers/{ann}/export")

    files = download(alice, export.json())

    assert export.status_code == 201
    assert {
        "customers.jsonl",
        "sessions.jsonl",
        "messages.jsonl",
        "index.html",
        "manifest.json",
    } <= files.keys()
    (customer,) = lines(files["customers.jsonl"])
    assert customer["customer_id"] == ann
    assert lines(files["messages.jsonl"])[0]["content"] == "It came 1 days ago"
    assert b"3 days ago" not in b"".join(files.values())


def test_third_parties_are_masked_and_the_person_is_not(alice, ann):
    files = download(alice, alice("POST", f"/customers/{ann}/export").json())

    for name in ("messages.jsonl", "index.html"):
        text = files[name].decode()
        assert "bob@example.com" not in text
        assert "[EMAIL_1]" in text
        assert ann in text
        assert "9123 4567" in text


def test_numbers_that_the_person_proved_to_be_theirs_stay(alice, ann):
    body = {"identifiers": ["bob@example.com"]}

    files = download(alice, alice("POST", f"/customers/{ann}/export", body).json())

    assert b"bob@example.com" in files["messages.jsonl"]


def test_manifest_has_the_digest_of_every_file(alice, ann):
    export = alice("POST", f"/customers/{ann}/export").json()

    files = download(alice, export)

    manifest = json.loads(files.pop("manifest.json"))
    assert manifest["files"] == export["files"]
    assert {one["name"]: one["sha256"] for one in manifest["files"]} == {
        name: hashlib.sha256(data).hexdigest() for name, data in files.items()
    }


def test_page_is_inert(alice, ann):
    files = download(alice, alice("POST", f"/customers/{ann}/export").json())

    page = files["index.html"].decode()
    assert "<b>Thanks</b>" not in page
    assert "&lt;b&gt;Thanks&lt;/b&gt;" in page
    assert "default-src &#x27;none&#x27;" in page or "default-src 'none'" in page


def test_file_is_sealed_and_goes_after_a_week(alice, ann, data_dir):
    export = alice("POST", f"/customers/{ann}/export").json()
    (file,) = (data_dir / "exports").iterdir()

    assert b"PK\x03\x04" not in file.read_bytes()[:64]
    with tenant_scope(alice.tenant_id):
        job = ExportJob.objects.get()
        assert job.expires_at - job.created_at == timedelta(days=7)
        ExportJob.objects.update(expires_at=job.created_at)
    assert alice("GET", f"/exports/{export['id']}/download").status_code == 410
    assert expire_exports() == 1
    assert not file.exists()


def test_file_goes_with_the_erasure(alice, ann, data_dir):
    export = alice("POST", f"/customers/{ann}/export").json()
    (file,) = (data_dir / "exports").iterdir()

    case = alice("POST", "/erasures", {"customer_id": ann, **WHY}).json()
    assert alice("GET", f"/exports/{export['id']}/download").status_code == 410
    with tenant_scope(alice.tenant_id):
        carry_out(ErasureCase.objects.get(id=case["id"]))

    assert not file.exists()
    assert alice("GET", f"/exports/{export['id']}").status_code == 404


def test_export_is_audited(alice, ann):
    export = alice("POST", f"/customers/{ann}/export").json()
    alice("GET", f"/exports/{export['id']}/download")

    with tenant_scope(alice.tenant_id):
        made = AuditEvent.objects.get(action="customer.exported")
        assert AuditEvent.objects.filter(action="export.downloaded", object_id=export["id"]).exists()
    assert made.details["files"] == {one["name"]: one["sha256"] for one in export["files"]}
    assert ann not in str(made.details)


def test_unknown_and_erased_customers_have_no_export(alice, ann, issue):
    unknown = alice("POST", "/customers/nobody/export")
    agent = issue("read", "write", tenant=alice)
    denied = agent("POST", f"/customers/{ann}/export")
    alice("POST", "/erasures", {"customer_id": ann, **WHY})
    erased = alice("POST", f"/customers/{ann}/export")

    assert (unknown.status_code, denied.status_code, erased.status_code) == (404, 403, 410)
    with tenant_scope(alice.tenant_id):
        assert not ExportJob.objects.exists()
