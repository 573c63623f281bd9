"""PostgreSQL's own search tables: what makes lexical search a full mode without any other store."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from django.db import transaction

from conversations.analysis import analyse, encode_features, whole_lexemes
from conversations.analysis.languages import LIGHT_STOP_WORDS
from conversations.analysis.tokens import fold, stems, words
from conversations.backends.postgres_lexical import tsvector
from conversations.ids import moment_of, new_ids, now
from conversations.indexing.batches import Batch, Chapter, Due, read_batch
from conversations.indexing.turns import Turn, Window
from conversations.ranking import date_text
from conversations.statements import execute

_UPSERT = """
    INSERT INTO conversations_messageindex AS old (message_id, tenant_id, session_id, customer_id, role, name, language,
        position, created_at, occurred_at, row_version, features, context)
    SELECT * FROM unnest(%b::uuid[], %b::uuid[], %b::uuid[], %b::uuid[], %b::text[], %b::text[], %b::text[], %b::int[],
        %b::timestamptz[], %b::timestamptz[], %b::bigint[], %b::bytea[], %b::tsvector[])
    ON CONFLICT (message_id) DO UPDATE SET customer_id = excluded.customer_id, language = excluded.language,
        occurred_at = excluded.occurred_at, row_version = excluded.row_version, features = excluded.features,
        context = excluded.context
    WHERE old.row_version <= excluded.row_version
"""
_UPSERT_CHAPTER = """
    INSERT INTO conversations_chapterindex AS old (id, created_at, tenant_id, session_id, customer_id, chapter,
        started_at, row_version, document)
    SELECT * FROM unnest(%b::uuid[], %b::timestamptz[], %b::uuid[], %b::uuid[], %b::uuid[], %b::int[],
        %b::timestamptz[], %b::bigint[], %b::tsvector[])
    ON CONFLICT (tenant_id, session_id, chapter) DO UPDATE SET customer_id = excluded.customer_id,
        row_version = excluded.row_version, document = excluded.document
    WHERE old.row_version <= excluded.row_version
"""
_DELETE = "DELETE FROM conversations_messageindex WHERE message_id = ANY (%b)"
_DELETE_CHAPTERS = """
    DELETE FROM conversations_chapterindex c
    USING unnest(%b::uuid[], %b::uuid[], %b::int[]) AS u (tenant, session, part)
    WHERE c.tenant_id = u.tenant AND c.session_id = u.session AND c.chapter = u.part
"""
_DELETE_CLOSED = """
    DELETE FROM conversations_chapterindex c USING unnest(%b::uuid[], %b::uuid[]) AS u (tenant, session)
    WHERE c.tenant_id = u.tenant AND c.session_id = u.session
"""


def write(due: Sequence[Due]) -> None:
    """Bring the search tables level with these messages and chapters, in one transaction."""
    _store(read_batch(due))


def _store(batch: Batch) -> None:
    gone = [one.id for one, window in batch.windows.items() if window is None]
    kept = [_message_row(window) for window in batch.windows.values() if window is not None]
    chapters = [chapter for chapter in batch.chapters if chapter.turns]
    emptied = [
        (chapter.key.tenant_id, chapter.key.id, chapter.key.part)
        for chapter in batch.chapters
        if not chapter.turns
    ]
    closed = [(one.tenant_id, one.id) for one in batch.closed]
    with transaction.atomic(using="ops"):
        if gone:
            execute(_DELETE, [gone], "ops")
        for statement, rows in (
            (_UPSERT, kept),
            (_UPSERT_CHAPTER, _chapter_rows(chapters)),
            (_DELETE_CHAPTERS, emptied),
            (_DELETE_CLOSED, closed),
        ):
            if rows:
                execute(statement, [list(column) for column in zip(*rows, strict=True)], "ops")


def _message_row(window: Window) -> tuple[object, ...]:
    turn = window.turn
    return (
        turn.id,
        turn.tenant_id,
        turn.session_id,
        turn.customer_id,
        turn.role,
        turn.name,
        turn.language,
        turn.position,
        turn.created_at,
        turn.occurred_at,
        turn.row_version,
        encode_features(analyse(turn.text, turn.language)),
        tsvector([stem for text in window.texts for stem in stems(_words(text))]),
    )


def _chapter_rows(chapters: Sequence[Chapter]) -> list[tuple[object, ...]]:
    at = now()
    return [
        (
            row_id,
            at,
            chapter.key.tenant_id,
            chapter.key.id,
            chapter.turns[0].customer_id,
            chapter.key.part,
            moment_of(chapter.key.id),
            chapter.version,
            tsvector([stem for turn in chapter.turns for stem in _line_stems(turn)]),
        )
        for row_id, chapter in zip(new_ids(at, len(chapters)), chapters, strict=True)
    ]


def _line_stems(turn: Turn) -> Iterable[str]:
    """The stems of `turn.line`, whose parts no word crosses."""
    yield from _whole(turn.name or turn.role)
    yield from stems(_words(turn.text), LIGHT_STOP_WORDS)
    yield from _whole(date_text(turn.occurred_at or turn.created_at))


@lru_cache(maxsize=4_096)
def _words(text: str) -> tuple[str, ...]:
    """A turn is read for its own context, its successors' and its chapter."""
    return tuple(words(fold(text)))


@lru_cache(maxsize=4_096)
def _whole(text: str) -> tuple[str, ...]:
    return tuple(whole_lexemes(text))
