"""Lexical search in PostgreSQL: an equal alternative to Elasticsearch, over tables that the drain writes.

It reads as `ops` and names the tenant itself: under row-level security `@@` may not use its index, because
the operator is not leakproof.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal
from uuid import UUID

from django.db import connections

from conversations.analysis.languages import LIGHT_STOP_WORDS
from conversations.analysis.tokens import fold, lexemes, stems, words
from conversations.backends.values import Candidates, Kind, LexicalHit, SearchFilter, SessionScore
from conversations.exceptions import TenantMissing

DATABASE = "ops"
MOST_LEXEMES = 256
MOST_SESSIONS = 1_000
# PostgreSQL refuses a vector of 1 MiB and a lexeme of 2 KiB.
MOST_BYTES = 900_000
LONGEST_LEXEME = 2_000

_MESSAGES = """
    SELECT message_id, ts_rank({column}, %s::tsquery) AS rank FROM conversations_messageindex
    WHERE {column} @@ %s::tsquery AND {conditions} ORDER BY rank DESC, message_id DESC LIMIT %s
"""
# Those with every word and those with any: so a rare word finds what is old beside a common one.
_NEWEST = """
    SELECT message_id, max(ts_rank(context, %s::tsquery)) AS rank FROM (
        (SELECT message_id, context FROM conversations_messageindex
         WHERE context @@ %s::tsquery AND {conditions} ORDER BY message_id DESC LIMIT %s)
        UNION ALL
        (SELECT message_id, context FROM conversations_messageindex
         WHERE context @@ %s::tsquery AND {conditions} ORDER BY message_id DESC LIMIT %s)
    ) newest GROUP BY message_id ORDER BY rank DESC, message_id DESC LIMIT %s
"""
_NEWEST_SESSIONS = """
    SELECT session_id, max(ts_rank(document, %s::tsquery)) AS rank FROM (
        SELECT session_id, document FROM conversations_chapterindex
        WHERE document @@ %s::tsquery AND {conditions} ORDER BY id DESC LIMIT %s) newest
    GROUP BY session_id ORDER BY rank DESC LIMIT %s
"""
_MEMORIES = """
    SELECT id, ts_rank(document, %s::tsquery) AS rank FROM conversations_memory
    WHERE document @@ %s::tsquery AND hidden_at IS NULL AND {conditions} ORDER BY rank DESC, id DESC LIMIT %s
"""
# Sessions by what closed them, which outlives their messages.
_OUTCOMES = """
    SELECT id, ts_rank(document, %s::tsquery) AS rank FROM conversations_session
    WHERE document @@ %s::tsquery AND hidden_at IS NULL AND {conditions} ORDER BY rank DESC, id DESC LIMIT %s
"""
_SESSIONS = """
    SELECT session_id, max(ts_rank(document, %s::tsquery)) AS rank FROM conversations_chapterindex
    WHERE document @@ %s::tsquery AND {conditions} GROUP BY session_id ORDER BY rank DESC LIMIT %s
"""


class PostgresLexical:
    """`LexicalSearch` on PostgreSQL."""

    name = "postgresql"

    def candidates(self, words: str, question: str, where: SearchFilter, limit: int = 200) -> Candidates:
        """Messages whose context matches `words`, session scores for the whole `question`; one round trip."""
        return self.everything(words, question, (where, limit), (None, 0))[0]

    def everything(
        self,
        words: str,
        question: str,
        messages: tuple[SearchFilter | None, int],
        memories: tuple[SearchFilter | None, int],
    ) -> tuple[Candidates, tuple[LexicalHit, ...]]:
        """As `candidates`, and the memories that match; a filter of None leaves that kind out. One round trip."""
        asked: list[tuple[str, list[Any]]] = []
        where, limit = messages
        if where is not None:
            asked += [_part(0, *_messages(words, where, limit)), _part(1, *_sessions(question, where))]
        where, limit = memories
        if where is not None:
            asked.append(_part(2, *_memories(words, where, limit)))
        if not asked:
            return Candidates((), ()), ()
        statement = " UNION ALL ".join(statement for statement, _ in asked)
        rows = _rows(statement, [value for _, values in asked for value in values])
        found = Candidates(
            tuple(LexicalHit(identifier, score) for part, identifier, score in rows if part == 0),
            tuple(SessionScore(identifier, score) for part, identifier, score in rows if part == 1),
        )
        return found, tuple(LexicalHit(identifier, score) for part, identifier, score in rows if part == 2)

    def matches(
        self, kind: Kind, words: str, where: SearchFilter, limit: int = 200
    ) -> tuple[LexicalHit, ...]:
        """Best first: ids of messages (by context), memories, or sessions (by their outcome) matching `words`."""
        if kind is Kind.MESSAGES:
            statement, values = _messages(words, where, limit)
        elif kind is Kind.MEMORIES:
            statement, values = _memories(words, where, limit)
        elif kind is Kind.SESSIONS:
            statement, values = _outcomes(words, where, limit)
        else:
            raise ValueError(f"PostgreSQL keeps no search table of {kind}.")
        return tuple(LexicalHit(*row) for row in _rows(statement, values))


def _part(number: int, statement: str, values: list[Any]) -> tuple[str, list[Any]]:
    return f"SELECT {number}, found.* FROM ({statement}) found", values


def tsquery(terms: Iterable[str], operator: Literal["|", "&"] = "|") -> str:
    """Any of the terms, or all of them, as the text of a `tsquery`."""
    distinct = list(dict.fromkeys(term for term in terms if _is_indexable(term)))
    return f" {operator} ".join(_quoted(term) for term in distinct[:MOST_LEXEMES])


def tsvector(terms: Sequence[str]) -> str:
    """The terms with their positions, as the text of a `tsvector`, cut before PostgreSQL would refuse it."""
    # PostgreSQL joins what it is told of a term in several places, and drops the positions that it has no room for.
    return " ".join(
        [
            f"{term if term.isalnum() else _quoted(term)}:{position}"
            for position, term in enumerate(_fitting(terms), start=1)
            if _is_indexable(term)
        ]
    )


def _fitting(terms: Sequence[str]) -> Sequence[str]:
    """As many of the first terms as surely have room in one vector; of too many, each only where it comes first."""
    # What an entry takes at most: four bytes a character, a counter, its position, and padding.
    if 4 * sum(map(len, terms)) + 8 * len(terms) < MOST_BYTES:
        return terms
    seen: set[str] = set()
    room = MOST_BYTES
    fitting = []
    for term in terms:
        new = "" if term in seen else term
        room -= len(new.encode()) + 6
        if room < 0:
            break
        seen.add(term)
        fitting.append(new)
    return fitting


def _messages(text: str, where: SearchFilter, limit: int) -> tuple[str, list[Any]]:
    conditions = _of_tenant(where) + _owner(where) + _created(where, "message_id")
    conditions += _equal("role", where.role) + _equal("language", where.language)
    terms = lexemes(text)
    if where.newest is None:
        return _statement(_MESSAGES.replace("{column}", "context"), tsquery(terms), conditions, limit)
    clause, values = _clause(conditions)
    every, some = tsquery(terms, "&"), tsquery(terms)
    asked = [*(some, every, *values, where.newest), *(some, *values, where.newest), limit]
    return _NEWEST.replace("{conditions}", clause), asked


def _memories(text: str, where: SearchFilter, limit: int) -> tuple[str, list[Any]]:
    conditions = _of_tenant(where) + _owner(where) + _created(where, "id") + _equal("kind", where.kind)
    if where.now is not None:
        conditions.append(("(expires_at IS NULL OR expires_at > %s)", where.now))
    return _statement(_MEMORIES, tsquery(lexemes(text)), conditions, limit)


def _outcomes(text: str, where: SearchFilter, limit: int) -> tuple[str, list[Any]]:
    conditions = _of_tenant(where) + _owner(where) + _created(where, "id")
    return _statement(_OUTCOMES, tsquery(lexemes(text)), conditions, limit)


def _sessions(question: str, where: SearchFilter) -> tuple[str, list[Any]]:
    query = tsquery(stems(words(fold(question)), LIGHT_STOP_WORDS))
    conditions = _of_tenant(where) + _owner(where)
    if where.newest is None:
        return _statement(_SESSIONS, query, conditions, MOST_SESSIONS)
    clause, values = _clause(conditions)
    asked = [query, query, *values, where.newest, MOST_SESSIONS]
    return _NEWEST_SESSIONS.replace("{conditions}", clause), asked


Condition = tuple[str, Any]


def _statement(template: str, query: str, conditions: list[Condition], limit: int) -> tuple[str, list[Any]]:
    clause, values = _clause(conditions)
    return template.replace("{conditions}", clause), [query, query, *values, limit]


def _clause(conditions: list[Condition]) -> tuple[str, list[Any]]:
    clause = " AND ".join(condition for condition, _ in conditions)
    return clause, [value for condition, value in conditions if "%s" in condition]


def _of_tenant(where: SearchFilter) -> list[Condition]:
    """The one place where a search gets its tenant; refuses to make one without."""
    if not isinstance(where.tenant_id, UUID):
        raise TenantMissing("A search was built without a tenant.")
    return [("tenant_id = %s", where.tenant_id)]


def _owner(where: SearchFilter) -> list[Condition]:
    conditions = _equal("session_id", where.session_id)
    if where.customer_id is None:
        return [*conditions, ("customer_id IS NULL", None)] if where.shared else conditions
    mine = "(customer_id = %s OR customer_id IS NULL)" if where.shared else "customer_id = %s"
    return [*conditions, (mine, where.customer_id)]


def _created(where: SearchFilter, key: str) -> list[Condition]:
    bounds = (
        ("created_at >= %s", where.start),
        ("created_at < %s", where.end),
        (f"{key} >= %s", where.min_id),
    )
    return [(condition, value) for condition, value in bounds if value is not None]


def _equal(column: str, value: Any) -> list[Condition]:
    return [] if value is None else [(f"{column} = %s", value)]


def _rows(statement: str, values: list[Any]) -> list[tuple[Any, ...]]:
    with connections[DATABASE].cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def _is_indexable(term: str) -> bool:
    return bool(term) and len(term) <= LONGEST_LEXEME // 4 and "\0" not in term


def _quoted(term: str) -> str:
    if term.isalnum():
        return term
    return "'" + term.replace("\\", "\\\\").replace("'", "''") + "'"
