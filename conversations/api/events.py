"""`/sessions/{id}/events`: server-sent events, written by a sync generator on a thread of the web server.

A stream ends when its session or its key does, and when the database goes away: the client comes back with
`Last-Event-ID` and misses nothing.
"""

import time
from collections.abc import Iterator
from threading import BoundedSemaphore
from typing import Literal
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError, connections
from django.http import HttpRequest, StreamingHttpResponse
from msgspec import Struct

from conversations import strict_json
from conversations.api.authentication import authenticate
from conversations.api.operations import operation
from conversations.api.shapes import MessageOut, SessionOut
from conversations.api.views import TenantView
from conversations.backends.listening import SessionListener
from conversations.backends.values import WindowKey
from conversations.enums import Scope
from conversations.exceptions import RemembrancerError, Unavailable
from conversations.services.events import Event, open_cursor, read_events

log = structlog.get_logger(__name__)

MEDIA_TYPE = "text/event-stream"
LOOK = 1.0  # seconds between two looks at the record when nothing wakes us
KEEP_ALIVE = 5.0  # seconds between two comments; the key is checked as often
COME_BACK = 5  # seconds until a process that has no stream left may have one again

_streams = BoundedSemaphore(settings.MAX_STREAMS)


class EventOut(Struct, kw_only=True):
    """What follows `data:`."""

    object: Literal["event"]
    id: str
    type: Literal["message.created", "message.hidden", "session.closed"]
    session_id: UUID
    message: MessageOut | None = None
    session: SessionOut | None = None


class SessionEvents(TenantView):
    @operation(Scope.READ, answers={200: EventOut}, media_types=(MEDIA_TYPE,), resumable=True)
    def get(self, session_id: UUID) -> StreamingHttpResponse:
        """What happens in the session from now on, or after `Last-Event-ID`, as server-sent events."""
        stream = Stream(self.http, self.principal.tenant_id, session_id)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingHttpResponse(stream, content_type=MEDIA_TYPE, headers=headers)


class Stream:
    """The lines of one listener. Holds one of the process's streams until it is closed."""

    def __init__(self, request: HttpRequest, tenant_id: UUID, session_id: UUID) -> None:
        if not _streams.acquire(blocking=False):
            raise Unavailable(COME_BACK, "This process is already serving its maximum number of streams.")
        self._request, self._tenant_id = request, tenant_id
        self._is_open = True
        # Subscribed before the cursor is read, and both before the client gets a byte: nothing in between is missed.
        self._listener = SessionListener(settings.REDIS_URL, WindowKey(tenant_id, session_id))
        try:
            last_event = request.META.get("HTTP_LAST_EVENT_ID") or None
            self._cursor = open_cursor(tenant_id=tenant_id, session_id=session_id, last_event=last_event)
        except BaseException:
            self.close()
            raise
        self._lines = self._write()

    def __iter__(self) -> "Stream":
        return self

    def __next__(self) -> bytes:
        return next(self._lines)

    def close(self) -> None:
        """Called by the server when the client has gone, begun or not."""
        if self._is_open:
            self._is_open = False
            self._listener.close()
            _streams.release()

    def _write(self) -> Iterator[bytes]:
        yield b": listening\n\n"
        said_at = checked_at = time.monotonic()
        try:
            while True:
                events, self._cursor = read_events(self._tenant_id, self._cursor)
                now = time.monotonic()
                if now - checked_at >= KEEP_ALIVE:
                    authenticate(self._request)
                    checked_at = now
                if events:
                    yield b"".join(map(_lines_of, events))
                elif now - said_at >= KEEP_ALIVE:
                    yield b": still here\n\n"
                else:
                    self._listener.wait(LOOK)
                    continue
                said_at = now
        except (RemembrancerError, DatabaseError) as end:
            log.info("events.ended", reason=type(end).__name__)
            connections.close_all()


def _lines_of(event: Event) -> bytes:
    data = strict_json.encode(event.shown())
    return f"id: {event.cursor.encode()}\nevent: {event.kind}\ndata: ".encode() + data + b"\n\n"
