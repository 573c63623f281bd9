"""Turns due rows into changes for a store: each row is read as it is now."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np

from conversations.backends.embedders import Embedder
from conversations.backends.values import (
    Change,
    Document,
    Kind,
    MemoryDocument,
    MessageDocument,
    MirrorKey,
    Removal,
    SessionDocument,
    Upsert,
    VectorDocument,
)
from conversations.enums import Entity
from conversations.indexing.batches import Due, of_entity, read_batch
from conversations.indexing.turns import Turn, Window, read_windows
from conversations.labels import label
from conversations.models import Memory, Session
from conversations.outcomes import searchable


@dataclass(frozen=True)
class Planned:
    """The changes to send, and the due rows that each of them brings up to date."""

    changes: list[Change] = field(default_factory=list)
    satisfies: dict[MirrorKey, list[Due]] = field(default_factory=dict)

    def add(self, change: Change, *due: Due) -> None:
        self.changes.append(change)
        self.satisfies.setdefault(change.key, []).extend(due)


HeldChapters = Callable[[UUID, Sequence[UUID]], Iterable[MirrorKey]]
"""The chapters that a store still has of a tenant's sessions."""


def search_changes(due: Sequence[Due], held: HeldChapters | None = None, *, chapters: bool = True) -> Planned:
    """Documents for the search store: messages, their chapters if wanted, sessions, memories.

    `held` tells what there is to remove of sessions that nothing in the record tells of any more.
    """
    planned = Planned()
    batch = read_batch(due, chapters=chapters)
    for one, window in batch.windows.items():
        key = MirrorKey(Kind.MESSAGES, one.tenant_id, one.id)
        planned.add(_message_upsert(key, window) if window else Removal(key, one.version), one)
    for chapter in batch.chapters:
        planned.add(
            chapter.upsert() if chapter.turns else Removal(chapter.key, chapter.version), *chapter.due
        )
    _plan_closed(planned, batch.closed, held)
    _plan_rows(planned, of_entity(due, Entity.SESSION), Kind.SESSIONS, Session, session_document)
    _plan_rows(planned, of_entity(due, Entity.MEMORY), Kind.MEMORIES, Memory, _memory_document)
    return planned


def vector_changes(due: Sequence[Due], embedder: Embedder, *, profile: str, is_default: bool) -> Planned:
    """Vectors for one profile's collection. Messages live in the default profile's."""
    planned = Planned()
    if is_default:
        _plan_message_vectors(planned, of_entity(due, Entity.MESSAGE), embedder)
    _plan_memory_vectors(planned, of_entity(due, Entity.MEMORY), embedder, profile, is_default)
    return planned


def _plan_message_vectors(planned: Planned, due: Mapping[UUID, Due], embedder: Embedder) -> None:
    windows = read_windows(due)
    vectors = window_vectors(windows.values(), embedder)
    for one in due.values():
        key = MirrorKey(Kind.MESSAGES, one.tenant_id, one.id)
        if (vector := vectors.get(one.id)) is not None:
            turn = windows[one.id].turn
            planned.add(Upsert(key, turn.row_version, _vector(turn, vector)), one)
        else:
            version = windows[one.id].turn.row_version if one.id in windows else 0
            planned.add(Removal(key, max(one.version, version)), one)


def window_vectors(windows: Iterable[Window], embedder: Embedder) -> dict[UUID, Any]:
    """The vector of each message's window; none without text, or without a word that the model knows."""
    said = [window for window in windows if any(text.strip() for text in window.texts)]
    if not said:
        return {}
    vectors = embedder.embed_windows([window.texts for window in said])
    return {window.turn.id: vector for window, vector in zip(said, vectors, strict=True) if vector.any()}


def _message_upsert(key: MirrorKey, window: Window) -> Upsert:
    turn = window.turn
    document = MessageDocument(
        session_id=turn.session_id,
        customer_id=turn.customer_id,
        role=turn.role,
        language=turn.language,
        position=turn.position,
        created_at=turn.created_at,
        text=turn.text,
        context="\n".join(window.texts),
    )
    return Upsert(key, turn.row_version, document)


def _plan_closed(planned: Planned, closed: Sequence[Due], held: HeldChapters | None) -> None:
    if held is None:
        return
    by_tenant: defaultdict[UUID, dict[UUID, Due]] = defaultdict(dict)
    for one in closed:
        by_tenant[one.tenant_id][one.id] = one
    for tenant_id, sessions in by_tenant.items():
        for key in held(tenant_id, list(sessions)):
            planned.add(Removal(key, sessions[key.id].version), sessions[key.id])


def _plan_rows(
    planned: Planned,
    due: Mapping[UUID, Due],
    kind: Kind,
    model: type[Session] | type[Memory],
    document: Callable[[Any], Document],
) -> None:
    rows = model.objects.using("ops").filter(hidden_at__isnull=True).in_bulk(list(due))
    for one in due.values():
        row = rows.get(one.id)
        key = MirrorKey(kind, one.tenant_id, one.id)
        planned.add(Upsert(key, row.row_version, document(row)) if row else Removal(key, one.version), one)


def session_document(row: Session) -> SessionDocument:
    """What is counted of a session, and what it is found by; its outcome was scrubbed when it was stored."""
    outcome: dict[str, Any] = row.outcome or {}
    intents = (label(name) for name in (row.intents.get("primary"), *row.intent_counts))
    return SessionDocument(
        customer_id=row.customer_id,
        channel=row.channel,
        language=row.language,
        outlet_id=row.outlet_id,
        status=row.status,
        created_at=row.created_at,
        closed_at=row.closed_at,
        message_count=row.message_count,
        intents=tuple(dict.fromkeys(intent for intent in intents if intent is not None)),
        issue_type=outcome.get("issue_type"),
        entities=tuple(outcome.get("entities") or ()),
        tools=tuple(outcome.get("tools_used") or ()),
        success=outcome.get("success"),
        resolution_seconds=outcome.get("resolution_seconds"),
        knowledge=searchable(outcome) or None,
    )


def _memory_document(row: Memory) -> MemoryDocument:
    return MemoryDocument(
        customer_id=row.customer_id,
        kind=row.kind,
        created_at=row.created_at,
        expires_at=row.expires_at,
        text=row.scrubbed,
    )


def _plan_memory_vectors(
    planned: Planned, due: Mapping[UUID, Due], embedder: Embedder, profile: str, is_default: bool
) -> None:
    rows = {
        row.id: row for row in Memory.objects.using("ops").filter(id__in=list(due), hidden_at__isnull=True)
    }
    here = [row for row in rows.values() if row.profile == profile or (is_default and row.profile is None)]
    vectors = memory_vectors(here, embedder)
    for one in due.values():
        key = MirrorKey(Kind.MEMORIES, one.tenant_id, one.id)
        vector = vectors.get(one.id)
        if vector is None or not vector.any():
            version = max(one.version, rows[one.id].row_version if one.id in rows else 0)
            planned.add(Removal(key, version), one)
        else:
            planned.add(Upsert(key, rows[one.id].row_version, _memory_vector(rows[one.id], vector)), one)


def memory_vectors(rows: Sequence[Memory], embedder: Embedder) -> dict[UUID, Any]:
    """Each memory's own vector, or the one its scrubbed text gives; unit length."""
    own = {row.id: np.frombuffer(bytes(row.embedding), "<f4") for row in rows if row.embedding is not None}
    to_embed = [row for row in rows if row.embedding is None and row.scrubbed.strip()]
    computed: Any = embedder.embed([row.scrubbed for row in to_embed]) if to_embed else []
    return own | {row.id: vector for row, vector in zip(to_embed, computed, strict=True)}


def _vector(turn: Turn, vector: Any) -> VectorDocument:
    return VectorDocument(
        session_id=turn.session_id,
        customer_id=turn.customer_id,
        role=turn.role,
        language=turn.language,
        created_at=turn.created_at,
        expires_at=None,
        vector=vector,
    )


def _memory_vector(row: Memory, vector: Any) -> VectorDocument:
    return VectorDocument(
        session_id=None,
        customer_id=row.customer_id,
        role=None,
        language=None,
        created_at=row.created_at,
        expires_at=row.expires_at,
        vector=vector,
        memory_kind=row.kind,
    )
