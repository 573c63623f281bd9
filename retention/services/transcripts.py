"""A conversation as evidence: what is left of it, live or archived, and when and why each record ends."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar
from uuid import UUID

from django.db.models import Q

from conversations import ids, presenters
from conversations.exceptions import KeyDestroyed, NotFound, SealBroken
from conversations.models import Message, Session
from conversations.services.masking import Masker
from conversations.services.messages import reading
from conversations.transcripts.parts import Transcript, TranscriptMessage, message_of, transcript_of
from retention.endings import Ending, NamedHold, ending
from retention.enums import RecordClass
from retention.law import Hold, Record
from retention.models import ArchiveRecord, LegalHold
from retention.policies import Policy
from retention.services.archive import readable_records
from retention.services.archiving import open_record
from retention.services.policies import policy_in_force

State = Literal["live", "beyond use", "archived"]
PAGE = 100
GONE = "(The key of this text was destroyed.)"

Row = TypeVar("Row", Message, ArchiveRecord)


@dataclass(frozen=True)
class Line:
    """One record of a conversation."""

    id: UUID
    state: State
    message: TranscriptMessage
    ending: Ending


@dataclass(frozen=True)
class Reading:
    """A part of a conversation, by position. `session` holds its masked or its clear facts."""

    transcript: Transcript
    lines: Sequence[Line]
    more_after: int | None  # the position at which the next part begins


class EvidenceReader:
    """Reads conversations of one tenant, with policy and holds read once. Used inside a tenant scope."""

    def __init__(self, tenant_id: UUID, *, originals: bool) -> None:
        self._tenant_id, self._originals = tenant_id, originals
        self._now = ids.now()
        self._masker = Masker(tenant_id)
        self.policy: Policy = policy_in_force(tenant_id, self._now)
        self.holds = named_holds(tenant_id)

    def session(self, session_id: UUID) -> Session:
        """The session, hidden or not; NotFound if there is none."""
        sessions = Session.objects.for_tenant(self._tenant_id).select_related("customer")
        session = sessions.filter(id=session_id).first()
        if session is None:
            raise NotFound
        return session

    def read(self, session: Session, *, start: int = 1) -> Reading:
        """A page of records from that position on: live ones, what a hold keeps, and the archive."""
        found, more = self._rows(session, start)
        rows = [row for row in found if self._may_be_read(row)]
        said = map(message_of, self._answers(rows))
        lines = [
            Line(row.id, self._state(row), message, self.ending(row))
            for row, message in zip(rows, said, strict=True)
        ]
        shown = transcript_of(self.facts(session), [])
        transcript = Transcript(shown.session, tuple(line.message for line in lines))
        return Reading(transcript, lines, more)

    def read_whole(self, session_id: UUID) -> Transcript:
        """All of it that is left, as one document."""
        session = self.session(session_id)
        part = self.read(session)
        messages = list(part.transcript.messages)
        while part.more_after is not None:
            part = self.read(session, start=part.more_after)
            messages += part.transcript.messages
        return Transcript(part.transcript.session, tuple(messages))

    def answers(self, session: Session) -> Iterator[dict[str, Any]]:
        """Every record that is left, oldest first, in the shape of the API."""
        start: int | None = 1
        while start is not None:
            rows, start = self._rows(session, start)
            yield from self._answers([row for row in rows if self._may_be_read(row)])

    # -- rows ------------------------------------------------------------------------------------------------------

    def _rows(self, session: Session, start: int) -> tuple[list[Message | ArchiveRecord], int | None]:
        """A page of records by position, and the position of the next."""
        both: list[Message | ArchiveRecord] = [
            *self._messages(session, start),
            *self._archived(session, start),
        ]
        rows = sorted(both, key=lambda row: row.position)
        return rows[:PAGE], rows[PAGE].position if len(rows) > PAGE else None

    def _messages(self, session: Session, start: int) -> list[Message]:
        newest = session.last_message_at
        if newest is None:
            return []
        rows = Message.objects.for_tenant(self._tenant_id).filter(
            session_id=session.id,
            position__gte=start,
            id__gte=ids.floor_id(session.earliest_at),
            id__lte=UUID(int=ids.floor_id(newest).int | ((1 << 80) - 1)),
        )
        return list(rows.order_by("position")[: PAGE + 1])

    def _archived(self, session: Session, start: int) -> list[ArchiveRecord]:
        rows = readable_records(self._tenant_id).filter(session_id=session.id, position__gte=start)
        return list(rows.order_by("id")[: PAGE + 1])

    def _may_be_read(self, row: Message | ArchiveRecord) -> bool:
        """Live, archived, or kept by a hold; records that wait for a purge or an erasure are not shown."""
        return isinstance(row, ArchiveRecord) or self._state(row) == "live" or self.ending(row).held

    def _state(self, row: Message | ArchiveRecord) -> State:
        if isinstance(row, ArchiveRecord):
            return "archived"
        expired = self._now >= self.policy.expires_at(RecordClass.MESSAGES, row.created_at)
        return "beyond use" if expired or row.hidden_at is not None else "live"

    def ending(self, row: Message | ArchiveRecord) -> Ending:
        """When the record leaves where it is, and why."""
        record_class = RecordClass.ARCHIVE if isinstance(row, ArchiveRecord) else RecordClass.MESSAGES
        record = Record(record_class, row.created_at, customer_id=row.customer_id, session_id=row.session_id)
        return ending(record, self.policy, self.holds, self._now)

    # -- what is read of them --------------------------------------------------------------------------------------

    def facts(self, session: Session) -> dict[str, Any]:
        """The session as the API shows it, masked unless originals are wanted."""
        customer = session.customer.external_id if session.customer else None
        facts = presenters.session(session, customer=customer, held=False)
        if self._originals:
            return facts
        for name in ("external_id", "customer_id", "outlet_id", "intents", "outcome", "context", "metadata"):
            facts[name] = self._masker.value(facts[name])
        return facts

    def _answers(self, rows: Sequence[Message | ArchiveRecord]) -> list[dict[str, Any]]:
        """Records as the API shows messages, in order."""
        if not self._originals:
            return [self._masked(row) for row in rows]
        messages = [row for row in rows if isinstance(row, Message)]
        archived = [row for row in rows if isinstance(row, ArchiveRecord)]
        answers = [
            *_opened(messages, lambda some: reading.present(self._tenant_id, some, processing=False)),
            *_opened(archived, lambda some: [open_record(one, customer=None) for one in some]),
        ]
        by_id = {answer["id"]: answer for answer in answers if answer is not None}
        return [by_id.get(row.id) or _said(row, GONE) for row in rows]

    def _masked(self, row: Message | ArchiveRecord) -> dict[str, Any]:
        if isinstance(row, ArchiveRecord):
            return _said(row, row.scrubbed)
        attached = row.scrubbed_attachments
        answer = presenters.message(
            row,
            content=row.scrubbed,
            attachments=[{"kind": "file", "text": attached}] if attached else None,
            customer=None,
        )
        for name in ("name", "intent", "agent_responses", "metadata", "external_id", "turn_id"):
            answer[name] = self._masker.value(answer[name])
        return {**answer, "pii": []}


def named_holds(tenant_id: UUID) -> list[NamedHold]:
    """Every hold of the tenant that may still cover something, as the law reads it. Runs inside a tenant scope."""
    rows = LegalHold.objects.for_tenant(tenant_id).order_by("id")
    rows = rows.filter(Q(grace_until__isnull=True) | Q(grace_until__gt=ids.now()))
    return [
        NamedHold(
            row.matter,
            Hold(row.customer_id, row.session_id, row.start_time, row.end_time, row.grace_until),
        )
        for row in rows
    ]


def _opened(
    rows: Sequence[Row], open_them: Callable[[Sequence[Row]], list[dict[str, Any]]]
) -> list[dict[str, Any] | None]:
    """Each row opened; None for one whose key is gone or whose seal is broken."""
    try:
        return list(open_them(rows))
    except (KeyDestroyed, SealBroken):
        return [_opened_alone(row, open_them) for row in rows]


def _opened_alone(
    row: Row, open_them: Callable[[Sequence[Row]], list[dict[str, Any]]]
) -> dict[str, Any] | None:
    try:
        return open_them([row])[0]
    except (KeyDestroyed, SealBroken):
        return None


def _said(row: Message | ArchiveRecord, text: str) -> dict[str, Any]:
    """A message of which there is no more than a text."""
    unknown = dict.fromkeys(("name", "language", "model", "intent", "intent_confidence", "agent_responses"))
    return {
        **unknown,
        "id": row.id,
        "object": "message",
        "session_id": row.session_id,
        "position": row.position,
        "role": row.role,
        "content": text,
        "attachments": None,
        "metadata": {},
        "created_at": row.created_at,
    }
