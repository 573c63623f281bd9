"""Sessions of an import, with their customers: found or created, a batch with a few statements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import msgspec

from conversations import ids
from conversations.enums import SessionStatus
from conversations.importing import ImportedMessage, ImportedSession, SessionEnd
from conversations.importing.identity import is_uuid, session_identity
from conversations.inputs import SessionIn
from conversations.models import Customer, Session, Tombstone
from conversations.services.customers import ensure_customers
from conversations.services.imports.ledger import Ledger
from conversations.services.late_arrivals import external_digest
from conversations.services.sessions import new_session, outcome_document, scrubbed_outcome
from conversations.statements import insert_rows


@dataclass(frozen=True)
class BatchSession:
    """A session of a batch, from a line of its own or from its messages alone."""

    key: bytes
    names: tuple[str, ...]  # its id in the source, its external id
    given: SessionIn
    end: SessionEnd | None = None


@dataclass
class Sessions:
    """The sessions of a batch by identity: their ids here, or `refused` because they were erased."""

    found: dict[bytes, UUID] = field(default_factory=dict)
    refused: set[bytes] = field(default_factory=set)
    made: int = 0

    def of(self, name: str) -> UUID | None:
        return self.found.get(session_identity(name))


def find_or_make_sessions(
    tenant_id: UUID,
    ledger: Ledger,
    known: Mapping[bytes, UUID],
    lines: Sequence[ImportedSession],
    messages: Sequence[ImportedMessage],
) -> Sessions:
    """Every session that the lines and the messages refer to. Runs inside a tenant scope."""
    result = Sessions(found={key: known[key] for key in known})
    new = [one for one in _wanted(lines, messages).values() if one.key not in known]
    if not new:
        return result
    existing = _existing(tenant_id, new)
    erasures = _erasures(tenant_id, new)
    make: list[BatchSession] = []
    for one in new:
        session_id = next((existing[name] for name in one.names if name in existing), None)
        if session_id is not None:
            _remember(result, ledger, one, session_id)
        elif _is_late(tenant_id, one, erasures):
            result.refused |= {one.key, *map(session_identity, one.names)}
        else:
            make.append(one)
    _make(tenant_id, ledger, make, result)
    return result


def _wanted(
    lines: Sequence[ImportedSession], messages: Sequence[ImportedMessage]
) -> dict[bytes, BatchSession]:
    """Each session once. What messages say of their session is used only where it has no line."""
    wanted: dict[bytes, BatchSession] = {}
    by_name: dict[str, bytes] = {}
    for line in lines:
        names = tuple(dict.fromkeys(n for n in (line.source_id, line.given.external_id) if n is not None))
        wanted.setdefault(line.key, BatchSession(line.key, names, line.given, line.end))
        by_name |= dict.fromkeys(names, line.key)
    implied: dict[str, SessionIn] = {}
    for message in messages:
        if message.session in by_name:
            continue
        given = implied.setdefault(message.session, SessionIn(external_id=message.session))
        given.customer_id = given.customer_id or message.customer
        at = message.given.created_at
        if at is not None and (given.created_at is None or at < given.created_at):
            given.created_at = at
    for name, given in implied.items():
        wanted[session_identity(name)] = BatchSession(session_identity(name), (name,), given)
    return wanted


def _existing(tenant_id: UUID, new: Sequence[BatchSession]) -> dict[str, UUID]:
    """Existing sessions by external id, and by id: an export may be imported where it was made."""
    names = {name for one in new for name in one.names}
    rows = Session.objects.for_tenant(tenant_id).live()
    by_external_id = rows.filter(external_id__in=names).values_list("external_id", "id")
    existing = {str(external_id): session_id for external_id, session_id in by_external_id}
    if own := [UUID(name) for name in names if is_uuid(name)]:
        existing |= {
            str(session_id): session_id for session_id in rows.filter(id__in=own).values_list("id", flat=True)
        }
    return existing


def _erasures(tenant_id: UUID, new: Sequence[BatchSession]) -> dict[object, datetime]:
    """When sessions of these ids and external ids were last erased."""
    digests = [external_digest(tenant_id, "session", name) for one in new for name in one.names]
    own = [UUID(name) for one in new for name in one.names if is_uuid(name)]
    rows = Tombstone.objects.for_tenant(tenant_id).filter(kind="session")
    erasures: dict[object, datetime] = {}
    by_digest = rows.filter(digest__in=digests).order_by("created_at")
    for digest, at in by_digest.values_list("digest", "created_at"):
        erasures[bytes(digest or b"")] = at
    return erasures | dict(rows.filter(object_id__in=own).values_list("object_id", "created_at"))


def _is_late(tenant_id: UUID, one: BatchSession, erasures: Mapping[object, datetime]) -> bool:
    if any(is_uuid(name) and UUID(name) in erasures for name in one.names):
        return True
    external_id, made_at = one.given.external_id, one.given.created_at
    if external_id is None or made_at is None:
        return False
    erased_at = erasures.get(external_digest(tenant_id, "session", external_id))
    return erased_at is not None and erased_at > made_at


def _make(tenant_id: UUID, ledger: Ledger, wanted: Sequence[BatchSession], result: Sessions) -> None:
    customer_times: dict[str, datetime | None] = {}
    for one in wanted:
        if one.given.customer_id is not None:
            customer_times.setdefault(one.given.customer_id, one.given.created_at)
    customers, erased = ensure_customers(tenant_id, customer_times)
    rows = []
    for one in wanted:
        if one.given.customer_id in erased:
            result.refused |= {one.key, *map(session_identity, one.names)}
            continue
        row = _row(tenant_id, one, customers.get(one.given.customer_id or ""))
        rows.append(row)
        _remember(result, ledger, one, row.id)
    insert_rows(rows)
    result.made += len(rows)


def _row(tenant_id: UUID, one: BatchSession, customer: Customer | None) -> Session:
    row = new_session(tenant_id, one.given, customer, at=one.given.created_at or ids.now())
    end = one.end
    if end is not None and end.outcome:
        row.outcome = scrubbed_outcome(tenant_id, msgspec.to_builtins(end.outcome))
        row.document = outcome_document(row.outcome)
    if end is not None and end.status == SessionStatus.CLOSED:
        row.status, row.closed_at = SessionStatus.CLOSED, end.closed_at or ids.now()
    return row


def _remember(result: Sessions, ledger: Ledger, one: BatchSession, session_id: UUID) -> None:
    for key in {one.key, *map(session_identity, one.names)}:
        result.found[key] = session_id
        ledger.note(key, session_id)
