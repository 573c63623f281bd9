"""Memories created, changed and deleted: facts, notes, materials and runbooks, kept until they expire."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from conversations import ids
from conversations.analysis import analyse, encode_features, lexemes
from conversations.backends.postgres_lexical import tsvector
from conversations.exceptions import Conflict, Held, Invalid, NotFound, naming
from conversations.inputs import check_metadata, given, merge_patch
from conversations.memory_inputs import MemoryIn, MemoryPatch
from conversations.mirror.waking import wake
from conversations.models import Customer, Memory, Tombstone
from conversations.ports import lifecycle
from conversations.services.customers import ensure_customer
from conversations.services.late_arrivals import external_digest
from conversations.services.memories.contents import seal_memory
from conversations.services.memories.reading import get_memory, present_memories
from conversations.services.memories.vectors import named_profile, unit_vector
from conversations.services.messages.contents import Scrubber
from conversations.services.messages.reading import visible_messages
from conversations.tenancy import tenant_scope

BATCH = 500


@dataclass(frozen=True, kw_only=True)
class MemoryChanges:
    create: Sequence[MemoryIn] = ()
    update: Sequence[tuple[UUID, MemoryPatch]] = ()
    delete: Sequence[UUID] = ()


@dataclass(frozen=True, kw_only=True)
class MemoriesChanged:
    """Created and updated memories, each in the order of the request."""

    created: Sequence[Mapping[str, Any]] = ()
    updated: Sequence[Mapping[str, Any]] = ()
    deleted: Sequence[UUID] = ()


def create_memories(
    *, tenant_id: UUID, given: Sequence[MemoryIn], created_at: datetime | None = None, listed: str = ""
) -> tuple[list[Memory], int]:
    """One memory for each that is given, in order, and how many of them are new.

    An `external_id` that is remembered already gives the stored one. Invalid for a vector that is none of the
    profile's, an unknown profile, or sources that are no messages; of a list of this name it says which. All or
    nothing.
    """
    places = [f"{listed}[{number}]" if listed else "" for number in range(len(given))]
    for place, one in zip(places, given, strict=True):
        with naming(place):
            one.normal()
    with tenant_scope(tenant_id):
        _check_sources(tenant_id, {source for one in given for source in one.source_message_ids})
        customers = _customers(tenant_id, given)
        stored = _by_external_id(tenant_id, [one.external_id for one in given if one.external_id])
        at = created_at or ids.now()
        scrubber = Scrubber(tenant_id)
        rows: list[Memory] = []
        new: list[Memory] = []
        for place, one, row_id in zip(places, given, ids.new_ids(at, len(given)), strict=True):
            row = stored.get(one.external_id or "")
            if row is None:
                with naming(place):
                    row = _new_row(tenant_id, row_id, at, one, customers.get(one.customer_id or ""), scrubber)
                new.append(row)
                if one.external_id is not None:
                    stored[one.external_id] = row
            rows.append(row)
        Memory.objects.bulk_create(new, batch_size=BATCH)
        transaction.on_commit(wake)
    return rows, len(new)


def update_memory(*, tenant_id: UUID, memory_id: UUID, patch: MemoryPatch) -> Memory:
    """A merge patch (RFC 7396). A content without a new vector of its own is embedded again."""
    patch.check()
    with tenant_scope(tenant_id):
        row = _locked(tenant_id, memory_id)
        changes = given(patch)
        if "metadata" in changes:
            row.metadata = merge_patch(row.metadata, changes["metadata"]) or {}
            check_metadata(row.metadata)
        if "source_message_ids" in changes:
            row.source_message_ids = changes["source_message_ids"] or []
            _check_sources(tenant_id, row.source_message_ids)
        for name in ("kind", "expires_at", "external_id"):
            if name in changes:
                setattr(row, name, changes[name])
        if "content" in changes:
            _write_content(row, changes["content"], Scrubber(tenant_id))
        _revise_vector(row, changes)
        try:
            with transaction.atomic():
                row.save()
        except IntegrityError:
            raise Conflict("Another memory has this external id.") from None
        transaction.on_commit(wake)
    return row


def delete_memories(*, tenant_id: UUID, memory_ids: Sequence[UUID], listed: str = "") -> None:
    """Delete memories at once and leave tombstones. NotFound for an unknown one, Held under a legal hold.

    With `listed`, the error names the entry of the list of that name.
    """
    with tenant_scope(tenant_id):
        rows = []
        for number, memory_id in sorted(enumerate(memory_ids), key=itemgetter(1)):
            with naming(f"{listed}[{number}]" if listed else ""):
                rows.append(_locked(tenant_id, memory_id))
        now = ids.now()
        tombstones = [
            Tombstone(
                id=ids.new_id(now),
                created_at=now,
                tenant_id=tenant_id,
                kind="memory",
                object_id=row.id,
                digest=external_digest(tenant_id, "memory", row.external_id) if row.external_id else None,
                reason="deleted",
            )
            for row in rows
        ]
        Memory.objects.for_tenant(tenant_id).filter(id__in=memory_ids).delete()
        Tombstone.objects.bulk_create(tombstones, batch_size=BATCH)
        transaction.on_commit(wake)


def change_memories(*, tenant_id: UUID, changes: MemoryChanges) -> MemoriesChanged:
    """Create, update and delete memories, in this order and in one transaction, under the rules of the single calls."""
    with tenant_scope(tenant_id):
        created: list[Memory] = []
        if changes.create:
            created, _ = create_memories(tenant_id=tenant_id, given=changes.create, listed="create")
        updated = []
        for number, (memory_id, patch) in enumerate(changes.update):
            with naming(f"update[{number}]"):
                updated.append(update_memory(tenant_id=tenant_id, memory_id=memory_id, patch=patch))
        shown = present_memories(tenant_id, [*created, *updated])
        if changes.delete:
            delete_memories(tenant_id=tenant_id, memory_ids=changes.delete, listed="delete")
    return MemoriesChanged(
        created=shown[: len(created)], updated=shown[len(created) :], deleted=changes.delete
    )


def _new_row(
    tenant_id: UUID,
    row_id: UUID,
    at: datetime,
    given: MemoryIn,
    customer: Customer | None,
    scrubber: Scrubber,
) -> Memory:
    row = Memory(
        id=row_id,
        created_at=at,
        tenant_id=tenant_id,
        customer=customer,
        kind=given.kind,
        external_id=given.external_id,
        metadata=given.metadata or {},
        source_message_ids=given.source_message_ids,
        expires_at=given.expires_at,
    )
    _write_content(row, given.content, scrubber)
    _write_vector(row, given.embedding, given.profile)
    return row


def _write_content(row: Memory, content: str, scrubber: Scrubber) -> None:
    scrubbed = scrubber(content)
    row.sealed = seal_memory(row.tenant_id, row.id, row.customer_id, content)
    row.scrubbed = scrubbed.text
    row.identifiers = sorted({scrubber.digest(span.kind, span.value_normalised) for span in scrubbed.spans})
    row.features = encode_features(analyse(scrubbed.text))
    row.document = tsvector(list(lexemes(scrubbed.text)))


def _write_vector(row: Memory, embedding: Sequence[float] | None, profile: str | None) -> None:
    """A vector given by the caller names its profile: it cannot be embedded again for another one."""
    if embedding is None:
        row.embedding = None
        row.profile = named_profile(profile).name if profile is not None else None
    else:
        chosen = named_profile(profile)
        row.embedding = unit_vector(embedding, chosen).astype("<f4").tobytes()
        row.profile = chosen.name


def _revise_vector(row: Memory, changes: Mapping[str, Any]) -> None:
    """The patched vector; new content or a new profile invalidates an earlier one that the caller gave."""
    if not changes.keys() & {"content", "embedding", "profile"}:
        return
    profile = changes.get("profile", row.profile)
    _write_vector(row, changes.get("embedding"), profile)


def _locked(tenant_id: UUID, memory_id: UUID) -> Memory:
    get_memory(tenant_id, memory_id)
    row = (
        Memory.objects.for_tenant(tenant_id)
        .live()
        .filter(id=memory_id)
        .select_for_update(of=("self",))
        .first()
    )
    if row is None:
        raise NotFound
    if lifecycle().held_memories(tenant_id, [memory_id]):
        raise Held("A legal hold covers this memory: it cannot be changed.")
    return row


def _customers(tenant_id: UUID, given: Iterable[MemoryIn]) -> dict[str, Customer]:
    """The customers that are spoken of, made when new; in one order, because each is locked."""
    names = sorted({one.customer_id for one in given if one.customer_id is not None})
    return {name: ensure_customer(tenant_id, name) for name in names}


def _by_external_id(tenant_id: UUID, external_ids: Sequence[str]) -> dict[str, Memory]:
    """The memories with these external ids; expired ones release theirs."""
    if not external_ids:
        return {}
    rows = Memory.objects.for_tenant(tenant_id).live().filter(external_id__in=external_ids)
    now = ids.now()
    rows.filter(expires_at__lte=now).delete()
    return {row.external_id or "": row for row in rows.all()}


def _check_sources(tenant_id: UUID, sources: Iterable[UUID]) -> None:
    wanted = set(sources)
    if wanted and visible_messages(tenant_id).filter(id__in=wanted).count() != len(wanted):
        raise Invalid.field("source_message_ids", "There is no such message.", code="unknown_evidence")
