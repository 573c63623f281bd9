"""Keys, documents and changes with everything filled in that a test does not care about."""

import datetime as dt
from typing import Any
from uuid import UUID

import numpy as np

from conversations.backends.values import (
    ArchiveDocument,
    ChapterDocument,
    Kind,
    MemoryDocument,
    MessageDocument,
    MirrorKey,
    Removal,
    SessionDocument,
    Upsert,
    Vector,
    VectorDocument,
)
from conversations.ids import moment_of, new_id

NOON = dt.datetime(2026, 3, 4, 12, tzinfo=dt.UTC)
DIMENSION = 8


def key(tenant: UUID, kind: Kind = Kind.MESSAGES, at: dt.datetime = NOON) -> MirrorKey:
    return MirrorKey(kind, tenant, new_id(at), 0 if kind is Kind.CHAPTERS else None)


def message(of: MirrorKey, text: str = "a word", version: int = 1, **fields: Any) -> Upsert:
    given = {
        "session_id": new_id(NOON),
        "customer_id": None,
        "role": "user",
        "language": "en",
        "position": 1,
        "created_at": moment_of(of.id),
        "text": text,
        "context": text,
    }
    return Upsert(of, version, MessageDocument(**given | fields))


def chapter(of: MirrorKey, text: str, version: int = 1, customer_id: UUID | None = None) -> Upsert:
    document = ChapterDocument(customer_id=customer_id, created_at=moment_of(of.id), text=text)
    return Upsert(of, version, document)


def memory(of: MirrorKey, text: str, version: int = 1, **fields: Any) -> Upsert:
    given = {
        "customer_id": None,
        "kind": "fact",
        "created_at": moment_of(of.id),
        "expires_at": None,
        "text": text,
    }
    return Upsert(of, version, MemoryDocument(**given | fields))


def session(of: MirrorKey, version: int = 1, **fields: Any) -> Upsert:
    given = {
        "customer_id": None,
        "channel": "web",
        "language": "en",
        "outlet_id": None,
        "status": "open",
        "created_at": moment_of(of.id),
    }
    return Upsert(of, version, SessionDocument(**given | fields))


def archived(of: MirrorKey, text: str, version: int = 1) -> Upsert:
    return Upsert(
        of,
        version,
        ArchiveDocument(
            session_id=new_id(NOON),
            customer_id=None,
            role="user",
            created_at=moment_of(of.id),
            expires_at=None,
            text=text,
        ),
    )


def vector(*components: float) -> Vector:
    """The components, filled up with zeros."""
    return np.array(components + (0.0,) * (DIMENSION - len(components)), dtype=np.float32)


def embedded(of: MirrorKey, *components: float, version: int = 1, **fields: Any) -> Upsert:
    given = {
        "session_id": None,
        "customer_id": None,
        "role": "user",
        "language": "en",
        "created_at": moment_of(of.id),
        "expires_at": None,
        "vector": vector(*(components or (1.0,))),
    }
    return Upsert(of, version, VectorDocument(**given | fields))


def removal(of: MirrorKey, version: int) -> Removal:
    return Removal(of, version)
