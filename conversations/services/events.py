"""Events of a session after a cursor, derived from its rows: no state is kept for listeners.

Positions, versions of tombstones and the time of closing each only grow under the session's row lock, so a look finds
everything that was committed since the last one, independent of other listeners.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.db.models import Max

from conversations.enums import SessionStatus
from conversations.exceptions import Invalid
from conversations.models import Session, Tombstone
from conversations.services.messages.reading import get_session, present, session_messages
from conversations.services.sessions import present_sessions
from conversations.tenancy import tenant_scope

PAGE = 200  # messages shown with one look


@dataclass(frozen=True)
class Cursor:
    """What a listener has seen: the last position, the latest tombstone, and when it was closed."""

    session_id: UUID
    position: int
    tombstone: int
    closed_at: datetime | None

    def encode(self) -> str:
        packed = msgspec.msgpack.encode(
            (self.session_id.bytes, self.position, self.tombstone, self.closed_at)
        )
        return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str, session_id: UUID) -> "Cursor":
        """Invalid when it was not given for this session."""
        try:
            packed = base64.b64decode(f"{text}{'=' * (-len(text) % 4)}", b"-_", validate=True)
            session, position, tombstone, closed_at = _unpack(packed)
        except (binascii.Error, ValueError, msgspec.MsgspecError):
            session, position, tombstone, closed_at = b"", 0, 0, None
        if session != session_id.bytes:
            raise Invalid.field("Last-Event-ID", "Not an event id of this session.")
        return cls(session_id, position, tombstone, closed_at)


_unpack = msgspec.msgpack.Decoder(tuple[bytes, int, int, datetime | None]).decode


@dataclass(frozen=True)
class Event:
    """One event; its id is the cursor from which its successors follow."""

    cursor: Cursor
    kind: str
    subject: Mapping[str, Any]

    def shown(self) -> dict[str, Any]:
        return {
            "object": "event",
            "id": self.cursor.encode(),
            "type": self.kind,
            "session_id": self.cursor.session_id,
            **self.subject,
        }


def open_cursor(*, tenant_id: UUID, session_id: UUID, last_event: str | None) -> Cursor:
    """Where a listener begins: after the event it names, else now. NotFound or Erased if the session is not there."""
    with tenant_scope(tenant_id):
        session = get_session(tenant_id, session_id)
        if last_event is not None:
            return Cursor.decode(last_event, session_id)
        return Cursor(session_id, session.last_position, _last_tombstone(session), session.closed_at)


def read_events(tenant_id: UUID, cursor: Cursor) -> tuple[Sequence[Event], Cursor]:
    """What came since, in order and without what is gone, and from where to go on; a page of messages at most.

    NotFound or Erased when the session went.
    """
    with tenant_scope(tenant_id):
        session = get_session(tenant_id, cursor.session_id)
        if _is_unchanged(session, cursor):
            return (), cursor
        events = _created(session, cursor)
        if len(events) == PAGE:
            return events, events[-1].cursor
        # A message hidden before anybody saw it gives no event, but the cursor moves past it.
        seen = replace(cursor, position=session.last_position)
        events += _hidden(session, seen)
        seen = events[-1].cursor if events else seen
        seen = replace(seen, position=session.last_position)
        events += _closed(session, seen)
        return events, replace(seen, closed_at=session.closed_at)


def _is_unchanged(session: Session, cursor: Cursor) -> bool:
    return (
        session.last_position == cursor.position
        and session.closed_at == cursor.closed_at
        and _last_tombstone(session) == cursor.tombstone
    )


def _tombstones(session: Session) -> Any:
    return Tombstone.objects.for_tenant(session.tenant_id).filter(session_id=session.id, kind="message")


def _last_tombstone(session: Session) -> int:
    return _tombstones(session).aggregate(latest=Max("row_version"))["latest"] or 0


def _created(session: Session, cursor: Cursor) -> list[Event]:
    if session.last_position <= cursor.position:
        return []
    # Not beyond what was read of the session: anything newer comes with the next look.
    span = (cursor.position + 1, session.last_position)
    rows = session_messages(session).filter(position__range=span).order_by("position")[:PAGE]
    return [
        Event(replace(cursor, position=message["position"]), "message.created", {"message": message})
        for message in present(session.tenant_id, list(rows))
    ]


def _hidden(session: Session, cursor: Cursor) -> list[Event]:
    rows = _tombstones(session).filter(row_version__gt=cursor.tombstone).order_by("row_version")
    return [
        Event(replace(cursor, tombstone=version), "message.hidden", {"message": {"id": message_id}})
        for version, message_id in rows.values_list("row_version", "object_id")
    ]


def _closed(session: Session, cursor: Cursor) -> list[Event]:
    if session.status != SessionStatus.CLOSED or session.closed_at == cursor.closed_at:
        return []
    shown = present_sessions(session.tenant_id, [session])[0]
    return [Event(replace(cursor, closed_at=session.closed_at), "session.closed", {"session": shown})]
