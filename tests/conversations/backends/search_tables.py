"""PostgreSQL's search tables filled directly, without the mirror that usually writes them."""

from collections.abc import Sequence
from typing import Any

from django.db import connections

from conversations.analysis.languages import LIGHT_STOP_WORDS
from conversations.analysis.tokens import fold, lexemes, stems, words
from conversations.backends.postgres_lexical import tsvector
from conversations.backends.values import Change, ChapterDocument, MemoryDocument, MessageDocument, Upsert
from conversations.ids import new_id


def write_search_tables(changes: Sequence[Change]) -> None:
    """Insert what the documents say."""
    connection = connections["owner"]
    with connection.cursor() as cursor:
        # As the login itself, who may leave constraints and triggers aside.
        cursor.execute("RESET ROLE; SET session_replication_role = replica")
        for change in changes:
            table, row = _row(change)
            columns, places = ", ".join(row), ", ".join(["%s"] * len(row))
            cursor.execute(f"INSERT INTO {table} ({columns}) VALUES ({places})", list(row.values()))
    connection.close()


def _row(change: Change) -> tuple[str, dict[str, Any]]:
    assert isinstance(change, Upsert)
    document = change.document
    if isinstance(document, MessageDocument):
        return "conversations_messageindex", _message(change, document)
    if isinstance(document, ChapterDocument):
        return "conversations_chapterindex", _chapter(change, document)
    assert isinstance(document, MemoryDocument)
    return "conversations_memory", _memory(change, document)


def _message(change: Upsert, document: MessageDocument) -> dict[str, Any]:
    return {
        "message_id": change.key.id,
        "tenant_id": change.key.tenant_id,
        "session_id": document.session_id,
        "customer_id": document.customer_id,
        "role": document.role,
        "language": document.language,
        "position": document.position,
        "created_at": document.created_at,
        "row_version": change.version,
        "features": b"",
        "context": tsvector(lexemes(document.context)),
    }


def _chapter(change: Upsert, document: ChapterDocument) -> dict[str, Any]:
    return {
        "id": new_id(document.created_at),
        "created_at": document.created_at,
        "tenant_id": change.key.tenant_id,
        "session_id": change.key.id,
        "customer_id": document.customer_id,
        "chapter": change.key.part,
        "started_at": document.created_at,
        "row_version": change.version,
        "document": tsvector(stems(words(fold(document.text)), LIGHT_STOP_WORDS)),
    }


def _memory(change: Upsert, document: MemoryDocument) -> dict[str, Any]:
    return {
        "id": change.key.id,
        "created_at": document.created_at,
        "tenant_id": change.key.tenant_id,
        "customer_id": document.customer_id,
        "kind": document.kind,
        "sealed": b"",
        "scrubbed": document.text,
        "identifiers": [],
        "metadata": "{}",
        "source_message_ids": [],
        "expires_at": document.expires_at,
        "updated_at": document.created_at,
        "features": b"",
        "document": tsvector(lexemes(document.text)),
    }
