"""Changes as bulk operations, and the judgement of each item of the answer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from conversations.backends.values import (
    Change,
    Kind,
    Outcome,
    Upsert,
    VectorDocument,
    fingerprint,
)

# One request: the server holds it in memory whole, and answers it within seconds.
MOST_BYTES = 8 * 1024 * 1024
MOST_OPERATIONS = 1_000

_encode = msgspec.json.Encoder().encode
_FIELD = re.compile(r"field \[([a-z_.]+)\]")
# Responses with status 400 that are not the document's fault.
_PASSING = frozenset({"index_closed_exception"})
_SEVERITY = (Outcome.DONE, Outcome.REJECTED, Outcome.RETRY, Outcome.UNANSWERED)


@dataclass(frozen=True, slots=True)
class Operation:
    """One change for one index: its place in the batch, and its lines of newline-delimited JSON."""

    place: int
    lines: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return sum(len(line) + 1 for line in self.lines)


def operation(place: int, change: Change, alias: str) -> Operation:
    """Write or delete, in an order of versions that no delay on the way can upset."""
    key = change.key
    action: dict[str, Any] = {
        "_index": alias,
        "_id": str(key),
        "routing": str(key.tenant_id),
        "version": change.version,
        "version_type": "external_gte",
    }
    if isinstance(change, Upsert):
        # Else a write that comes after its alias is gone would make an index of that name.
        action["require_alias"] = True
        return Operation(place, (_encode({"index": action}), _encode(source(change))))
    return Operation(place, (_encode({"delete": action}),))


def source(change: Upsert) -> dict[str, Any]:
    """The document as it is indexed."""
    key, document = change.key, change.document
    if isinstance(document, VectorDocument):
        raise TypeError("Vectors do not go to the search store.")
    body = {name: getattr(document, name) for name in document.__slots__}
    body |= {
        "id": key.id,
        "tenant_id": key.tenant_id,
        "row_version": change.version,
        "fingerprint": fingerprint(key.id, change.version, key.part),
    }
    if key.kind is Kind.CHAPTERS:
        body |= {"session_id": key.id, "part": key.part}
    return body


def batches(operations: Sequence[Operation]) -> Iterator[list[Operation]]:
    """The operations in order, cut into requests; a larger single one goes alone."""
    batch: list[Operation] = []
    size = 0
    for each in operations:
        if batch and (size + each.size > MOST_BYTES or len(batch) == MOST_OPERATIONS):
            yield batch
            batch, size = [], 0
        batch.append(each)
        size += each.size
    if batch:
        yield batch


def judge(item: Mapping[str, Any]) -> tuple[Outcome, str]:
    """What one item of a bulk answer means, and why; the reason never quotes the document."""
    ((action, result),) = item.items()
    status, error = result["status"], result.get("error") or {}
    kind = error.get("type", "")
    if status < 300 or kind == "version_conflict_engine_exception":
        return Outcome.DONE, ""
    if status == 404 and action == "delete" and not error:
        return Outcome.DONE, ""
    if status == 400 and kind not in _PASSING:
        return Outcome.REJECTED, _describe(error)
    # 429 and 5xx pass by themselves; blocks (403, 429) and a missing index (404) pass when somebody repairs them.
    return Outcome.RETRY, _describe(error) or f"status {status}"


def worse(one: tuple[Outcome, str], other: tuple[Outcome, str]) -> tuple[Outcome, str]:
    """The judgement to act on when a change went to two indices."""
    return max(one, other, key=lambda judgement: _SEVERITY.index(judgement[0]))


def _describe(error: Mapping[str, Any]) -> str:
    cause = (error.get("caused_by") or {}).get("type", "")
    field = _FIELD.search(error.get("reason") or "")
    return " ".join(part for part in (error.get("type", ""), cause, field and f"field {field[1]}") if part)
