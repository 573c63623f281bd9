"""Evidence: chosen conversations as one signed ZIP, made by a worker and downloadable for a week.

`conversations.jsonl` can be imported, each `.html` opens in a browser, `audit.jsonl` holds what was done to the
conversations, each event with the proof that it is in the sealed trail. `signature.json` names the digests of all of
them and is signed like a receipt; `manifest.json` is that of every export.
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import structlog
from django.db import DatabaseError, transaction

from conversations import ids, strict_json
from conversations.canonical import canonical, instant
from conversations.exceptions import Conflict, Erased, Expired, Invalid, NotFound, RemembrancerError
from conversations.export_files import write_lines
from conversations.inputs import require_text
from conversations.installation import signing_key
from conversations.locking import only_one
from conversations.manifests import NAME, Manifest, ManifestFile, measure
from conversations.mirror.waking import Waker
from conversations.models import AuditEvent, Session
from conversations.principals import Actor
from conversations.services import audit
from conversations.tenancy import tenant_scope
from conversations.transcripts.html import render_html
from retention.enums import ExportKind, ExportState
from retention.models import ExportJob
from retention.services.audit.reading import prove_event
from retention.services.exports import file_store
from retention.services.exports.customers import Written
from retention.services.transcripts import EvidenceReader
from retention.two_persons import person

log = structlog.get_logger(__name__)

MOST_SESSIONS = 200
MOST_EVENTS = 1_000  # of each conversation

wake_evidence = Waker("retention.export_evidence").wake


def request_evidence(
    *, tenant_id: UUID, session_ids: Sequence[UUID], originals: bool, reason: str, actor: Actor
) -> ExportJob:
    """Ask for an export; a worker makes it. Invalid without a reason or with too many, NotFound for unknown ones."""
    require_text(reason=reason)
    if not session_ids or len(session_ids) > MOST_SESSIONS:
        raise Invalid.field("session", f"Choose 1 to {MOST_SESSIONS} conversations.")
    with tenant_scope(tenant_id):
        sessions = list(Session.objects.for_tenant(tenant_id).live().filter(id__in=session_ids))
        if len(sessions) < len(set(session_ids)):
            raise NotFound("One of these conversations is not there any more.")
        customers = {session.customer_id for session in sessions}
        now = ids.now()
        job = ExportJob(
            id=ids.new_id(now),
            created_at=now,
            tenant_id=tenant_id,
            kind=ExportKind.EVIDENCE,
            # About one person, it is sealed under their key; about several, it is deleted when the first is erased.
            customer_id=customers.pop() if len(customers) == 1 else None,
            session_id=sessions[0].id if len(sessions) == 1 else None,
            requested_by=person(actor),
            reason=reason.strip(),
            manifest={"sessions": [str(i) for i in session_ids], "originals": originals, "done": 0},
            expires_at=now + file_store.LIFETIME,
        )
        job.save(force_insert=True)
        for session in sessions:
            audit.record(
                tenant_id=tenant_id,
                actor=actor,
                action="evidence.requested",
                object_type="session",
                object_id=session.id,
                details={"export": str(job.id), "originals": originals, "reason": reason.strip()},
            )
        transaction.on_commit(wake_evidence)
    return job


def make_pending_evidence() -> int:
    """Make every export that waits, of all tenants; how many were made. A failed one says so and stops no other."""
    waiting = ExportJob.objects.using("ops").filter(kind=ExportKind.EVIDENCE, state=ExportState.PENDING)
    made = 0
    for tenant_id, job_id in list(waiting.order_by("id").values_list("tenant_id", "id")):
        with only_one("evidence", job_id) as alone:
            if alone:
                made += _made(tenant_id, job_id)
    return made


def progress(job: ExportJob) -> tuple[int, int]:
    """(conversations done, conversations in all)."""
    sessions = len(job.manifest.get("sessions", ()))
    return (sessions if job.state == ExportState.DONE else job.manifest.get("done", 0)), sessions


def open_evidence(*, tenant_id: UUID, job_id: UUID, actor: Actor) -> tuple[ExportJob, bytes]:
    """The bytes of a finished export; Expired when its week is over. The download leaves an event."""
    with tenant_scope(tenant_id):
        job = get_export(tenant_id, job_id)
        data = file_store.open_export(job)
        audit.record(
            tenant_id=tenant_id,
            actor=actor,
            action="export.downloaded",
            object_type="export",
            object_id=job.id,
        )
    return job, data


def get_export(tenant_id: UUID, job_id: UUID) -> ExportJob:
    job = ExportJob.objects.for_tenant(tenant_id).filter(id=job_id).first()
    if job is None:
        raise NotFound
    return job


def _made(tenant_id: UUID, job_id: UUID) -> int:
    with tenant_scope(tenant_id):
        job = ExportJob.objects.for_tenant(tenant_id).filter(id=job_id, state=ExportState.PENDING).first()
    if job is None:
        return 0
    try:
        _make(job)
    except (DatabaseError, RemembrancerError, OSError) as error:
        log.error("evidence.failed", export=str(job_id), error=type(error).__name__)
        _finish(job, ExportState.FAILED, error=type(error).__name__)
        return 0
    return 1


def _make(job: ExportJob) -> None:
    with file_store.workshop() as folder:
        session_ids = [UUID(text) for text in job.manifest["sessions"]]
        pages = [
            _write_page(job, folder, number, session_id) for number, session_id in enumerate(session_ids)
        ]
        lines = write_lines(folder / "conversations.jsonl", _records(job, session_ids))
        events = write_lines(folder / "audit.jsonl", _events(job, session_ids))
        files = [lines, *pages, events]
        files.append(_sign(folder, files))
        manifest = Manifest(files)
        (folder / NAME).write_bytes(strict_json.encode(manifest) + b"\n")
        with tenant_scope(job.tenant_id):
            if not ExportJob.objects.select_for_update().filter(id=job.id).exists():
                raise Erased("Somebody in it was erased meanwhile.")
            file_store.store_export(job, Written(folder, manifest).as_zip())
            job.manifest = {**job.manifest, **msgspec.to_builtins(manifest), "done": len(session_ids)}
            _finish(job, ExportState.DONE)


def _write_page(job: ExportJob, folder: Path, number: int, session_id: UUID) -> ManifestFile:
    with tenant_scope(job.tenant_id):
        page = folder / f"conversation-{session_id}.html"
        page.write_text(render_html(_reader(job).read_whole(session_id)), encoding="utf-8")
        job.manifest = {**job.manifest, "done": number}
        ExportJob.objects.filter(id=job.id).update(manifest=job.manifest)
    return measure(page)


def _records(job: ExportJob, session_ids: Sequence[UUID]) -> Iterator[Mapping[str, Any]]:
    """Each conversation and its messages, in the form that is imported again."""
    for session_id in session_ids:
        with tenant_scope(job.tenant_id):
            reader = _reader(job)
            session = reader.session(session_id)
            yield reader.facts(session)
            yield from reader.answers(session)


def _events(job: ExportJob, session_ids: Sequence[UUID]) -> Iterator[Mapping[str, Any]]:
    """What was done to the conversations, each event with its proof where it is sealed."""
    for session_id in session_ids:
        with tenant_scope(job.tenant_id):
            events = AuditEvent.objects.for_tenant(job.tenant_id).filter(object_id=str(session_id))
            for event in events.order_by("id")[:MOST_EVENTS]:
                yield _event(event)


def _event(event: AuditEvent) -> Mapping[str, Any]:
    shown = {
        "object": "audit_event",
        "id": event.id,
        "at": instant(event.created_at),
        "actor": event.actor,
        "actor_kind": event.actor_kind,
        "action": event.action,
        "object_type": event.object_type,
        "object_id": event.object_id,
        "outcome": event.outcome,
        "details": event.details,
    }
    try:
        proof = prove_event(event.tenant_id, event.id)
    except (Conflict, Expired) as error:
        return {**shown, "proof": None, "why_not": error.detail}
    return {
        **shown,
        "proof": {
            "leaf_index": proof.index,
            "tree_size": proof.tree_size,
            "leaf": b64encode(proof.data).decode(),
            "audit_path": [sibling.hex() for sibling in proof.path],
            "checkpoint": proof.note,
        },
    }


def _sign(folder: Path, files: Sequence[ManifestFile]) -> ManifestFile:
    """The digests of all files, canonical, with an Ed25519 signature over the same without `signature`."""
    key = signing_key()
    signed = {
        "object": "evidence_signature",
        "files": {file.name: file.sha256 for file in files},
        "public_key": str(key.public_key),
    }
    signature = b64encode(key.sign(canonical(signed))).decode()
    path = folder / "signature.json"
    path.write_bytes(canonical({**signed, "signature": signature}) + b"\n")
    return measure(path)


def _reader(job: ExportJob) -> EvidenceReader:
    return EvidenceReader(job.tenant_id, originals=bool(job.manifest["originals"]))


def _finish(job: ExportJob, state: ExportState, *, error: str = "") -> None:
    """Record the result, unless the export was deleted with somebody's erasure."""
    job.state, job.finished_at, job.error = state, ids.now(), error
    fields = ("state", "finished_at", "error", "file", "manifest")
    with tenant_scope(job.tenant_id):
        ExportJob.objects.filter(id=job.id).update(**{field: getattr(job, field) for field in fields})
