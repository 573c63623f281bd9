"""Everything that is held about a customer, for the customer: JSON Lines, a page to read, a manifest.

Every holding exports its part; this module knows none of them. Personal data of third parties is masked.
"""

import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from conversations import ids, strict_json
from conversations.exceptions import Conflict
from conversations.export_files import write_lines
from conversations.manifests import NAME, Manifest, ManifestFile, measure
from conversations.models import Customer
from conversations.ports import Target, registry
from conversations.principals import Actor
from conversations.services import audit
from conversations.services.customers import get_customer
from conversations.services.holdings import CustomerHolding
from conversations.tenancy import tenant_scope
from retention.enums import ExportKind, ExportState, RecordClass
from retention.export_page import render_page
from retention.models import ExportJob
from retention.services.exports import file_store
from retention.services.exports.masking import Mask, identifiers_given, identifiers_in
from retention.two_persons import person

PAGE = "index.html"

Records = list[dict[str, Any]]


@dataclass(frozen=True)
class Written:
    """An export on disk: a folder with its files, the manifest last."""

    folder: Path
    manifest: Manifest

    def as_zip(self) -> bytes:
        """All files in one archive."""
        buffer = BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(self.folder.iterdir()):
                archive.write(path, path.name)
        return buffer.getvalue()


def export_customer(
    *, tenant_id: UUID, external_id: str, actor: Actor, identifiers: Sequence[str] = (), reason: str = ""
) -> ExportJob:
    """Export a customer into a sealed file that can be downloaded for a week.

    `identifiers` are numbers and addresses that the person proved to be theirs, beside those that their record
    knows. NotFound or Erased when there is no such customer. Runs in its own transaction, or in the open tenant scope.
    """
    with tenant_scope(tenant_id):
        customer = get_customer(tenant_id, external_id)
        now = ids.now()
        job = ExportJob(
            id=ids.new_id(now),
            created_at=now,
            tenant_id=tenant_id,
            kind=ExportKind.CUSTOMER,
            customer_id=customer.id,
            requested_by=person(actor),
            reason=reason,
            expires_at=now + file_store.LIFETIME,
        )
        with written_export(customer, identifiers=identifiers) as written:
            file_store.store_export(job, written.as_zip())
            job.manifest = msgspec.to_builtins(written.manifest)
        job.state, job.finished_at = ExportState.DONE, ids.now()
        job.save(force_insert=True)
        _record(job.tenant_id, customer.id, actor, written.manifest, export=str(job.id))
    return job


def write_customer(
    *, tenant_id: UUID, external_id: str, path: Path, actor: Actor, identifiers: Sequence[str] = ()
) -> Manifest:
    """Write a customer's export to a new file: a zip archive with JSON Lines, a page and a manifest.

    Conflict when the path exists; whatever fails on the way leaves nothing behind.
    """
    if path.exists():
        raise Conflict(f"{path} is there already.")
    with tenant_scope(tenant_id):
        customer = get_customer(tenant_id, external_id)
        with written_export(customer, identifiers=identifiers) as written:
            data = written.as_zip()
        _record(tenant_id, customer.id, actor, written.manifest)
        beside = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
        try:
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    return written.manifest


@contextmanager
def written_export(customer: Customer, *, identifiers: Sequence[str] = ()) -> Iterator[Written]:
    """The export in a folder of its own, which is gone afterwards. Runs inside a tenant scope."""
    records = _collect(customer)
    known = identifiers_in([one for name in _personal(records) for one in records[name]])
    mask = Mask(known | identifiers_given([customer.external_id or "", *identifiers]))
    masked: dict[str, Records] = {name: [mask(one) for one in found] for name, found in records.items()}
    with file_store.workshop() as folder:
        files = [write_lines(folder / f"{name}.jsonl", found) for name, found in masked.items()]
        page = folder / PAGE
        page.write_text(render_page(customer.external_id or "", masked, ids.now()), encoding="utf-8")
        manifest = Manifest([*files, measure(page)])
        (folder / NAME).write_bytes(strict_json.encode(manifest) + b"\n")
        yield Written(folder, manifest)


def manifest_of(job: ExportJob) -> list[ManifestFile]:
    return [ManifestFile(**file) for file in job.manifest.get("files", [])]


def _collect(customer: Customer) -> Mapping[str, Records]:
    """The records of each holding, without offsets of personal data, because masking moves them."""
    target = Target(customer_id=customer.id)
    found = {}
    for name, holding in registry.holdings.items():
        records: Records = [
            strict_json.decode(strict_json.encode(one), dict[str, Any], max_depth=64)
            for one in holding.export(customer.tenant_id, target)
        ]
        for record in records:
            record.pop("pii", None)
            record.pop("processing", None)
        if records:
            found[name] = records
    return found


def _personal(records: Mapping[str, Records]) -> list[str]:
    """The person's own identifiers: from what is known about them, not from what was said."""
    return [
        name
        for name in records
        if name == CustomerHolding.name
        or (registry.holdings[name].record_class == RecordClass.SUMMARIES and name != "memories")
    ]


def _record(tenant_id: UUID, customer_id: UUID, actor: Actor, manifest: Manifest, **details: str) -> None:
    audit.record(
        tenant_id=tenant_id,
        actor=actor,
        action="customer.exported",
        object_type="customer",
        object_id=customer_id,
        details={**details, "files": {file.name: file.sha256 for file in manifest.files}},
    )
