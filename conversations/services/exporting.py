"""Exports a whole tenant as files that an import reads: what agents may see now, with its times."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import numpy as np

from conversations import ids, presenters
from conversations.export_files import write_export
from conversations.manifests import Manifest
from conversations.models import Memory, Session
from conversations.ports import registry
from conversations.principals import Actor
from conversations.services import audit
from conversations.services.customers import is_forgotten, list_customers
from conversations.services.memories.reading import present_memories
from conversations.services.messages.reading import present, visible_messages
from conversations.services.sessions import present_sessions
from conversations.tenancy import tenant_scope

T = TypeVar("T")
Records = Iterator[Mapping[str, Any]]

PAGE = 500


def export_tenant(*, tenant_id: UUID, folder: Path, actor: Actor) -> Manifest:
    """Write the tenant's export into a new folder; Conflict when it is there, and not empty.

    One transaction sees all of it as of one moment. What has expired or is hidden is in no export.
    """
    files = {
        "customers.jsonl": _customers(tenant_id),
        "sessions.jsonl": _sessions(tenant_id),
        "messages.jsonl": _messages(tenant_id),
        "memories.jsonl": _memories(tenant_id),
        **{f"{name}.jsonl": _transferred(name, tenant_id) for name in registry.transfers},
    }
    with tenant_scope(tenant_id, snapshot=True):
        manifest = write_export(folder, files)
    with tenant_scope(tenant_id):
        audit.record(
            tenant_id=tenant_id,
            actor=actor,
            action="tenant.exported",
            object_type="tenant",
            object_id=tenant_id,
            details={"files": {file.name: file.sha256 for file in manifest.files}},
        )
    return manifest


def _customers(tenant_id: UUID) -> Records:
    for customer in list_customers(tenant_id).order_by("id").iterator(PAGE):
        if not is_forgotten(customer):
            yield presenters.customer(customer)


def _sessions(tenant_id: UUID) -> Records:
    rows = Session.objects.for_tenant(tenant_id).live().filter(cleared_at__isnull=True).order_by("id")
    for page in _pages(rows.iterator(PAGE)):
        yield from present_sessions(tenant_id, page)


def _messages(tenant_id: UUID) -> Records:
    """By session, in the order of their positions."""
    rows = visible_messages(tenant_id).order_by("session_id", "position")
    for page in _pages(rows.iterator(PAGE)):
        for message in present(tenant_id, page, processing=False):
            yield {name: value for name, value in message.items() if name != "processing"}


def _memories(tenant_id: UUID) -> Records:
    rows = Memory.objects.for_tenant(tenant_id).current(ids.now()).order_by("id")
    for page in _pages(rows.iterator(PAGE)):
        seen = _seen(tenant_id, {source for row in page for source in row.source_message_ids})
        for row, shown in zip(page, present_memories(tenant_id, page), strict=True):
            own = {} if row.embedding is None else {"embedding": _vector(row.embedding)}
            yield {**shown, **own, "source_message_ids": [s for s in row.source_message_ids if s in seen]}


def _transferred(name: str, tenant_id: UUID) -> Records:
    yield from registry.transfers[name].export_records(tenant_id)


def _seen(tenant_id: UUID, message_ids: set[UUID]) -> set[UUID]:
    rows = visible_messages(tenant_id).filter(id__in=message_ids)
    return set(rows.values_list("id", flat=True))


def _vector(embedding: bytes | memoryview) -> list[float]:
    vector: list[float] = np.frombuffer(bytes(embedding), "<f4").tolist()
    return vector


def _pages(rows: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(rows)
    while page := list(islice(iterator, PAGE)):
        yield page
