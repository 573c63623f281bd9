"""Reads what there is to learn from about a customer: messages, with attachments opened and scrubbed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from uuid import UUID

from django.conf import settings

from conversations.enums import Role
from conversations.exceptions import KeyDestroyed
from conversations.models import Message
from conversations.services.messages.contents import Scrubber, unseal_messages
from conversations.services.messages.reading import visible_messages
from portraits.extracts import Utterance
from portraits.prompts import without_shown
from portraits.rules import AnnotatedMessage

MOST_SAID = 100  # latest messages of a customer that a summary is made from


@dataclass(frozen=True)
class Record:
    """The latest messages of a customer, oldest first; `said` is in their own words, scrubbed."""

    heard: Sequence[AnnotatedMessage]
    said: Sequence[Utterance]

    @property
    def message_ids(self) -> frozenset[UUID]:
        return frozenset(one.message_id for one in self.heard)


def read_record(tenant_id: UUID, customer_id: UUID) -> Record:
    """What may be learnt from now. Runs inside a tenant scope."""
    rows = visible_messages(tenant_id).filter(customer_id=customer_id).order_by("-id")
    latest = list(rows[: settings.PORTRAIT_MESSAGES])[::-1]
    attachments = _attachments(tenant_id, [row for row in latest if row.role == Role.USER])
    heard = [_heard(row, attachments.get(row.id, ())) for row in latest]
    said = [one for row in latest if row.role == Role.USER and (one := _said(row))]
    return Record(heard, said[-MOST_SAID:])


def _heard(row: Message, attachments: Sequence[dict[str, Any]]) -> AnnotatedMessage:
    return AnnotatedMessage(
        message_id=row.id,
        session_id=row.session_id,
        at=row.created_at,
        intent=row.intent,
        intent_confidence=row.intent_confidence,
        agents=row.agent_responses,
        attachments=attachments,
    )


def _said(row: Message) -> Utterance | None:
    """A customer's own words, without blocks of a context that were sent back."""
    text = without_shown("\n".join(filter(None, (row.scrubbed, row.scrubbed_attachments))))
    return Utterance(row.id, text) if text.strip() else None


def _attachments(tenant_id: UUID, rows: Sequence[Message]) -> dict[UUID, list[dict[str, Any]]]:
    """What customers attached, scrubbed: it is sealed in the record, and traits are not."""
    scrubber = Scrubber(tenant_id)
    return {
        message_id: [_scrubbed(one, scrubber) for one in attachments]
        for message_id, attachments in _opened(tenant_id, rows)
        if attachments
    }


def _opened(tenant_id: UUID, rows: Sequence[Message]) -> Iterator[tuple[UUID, list[dict[str, Any]] | None]]:
    for _, group in groupby(rows, key=lambda row: row.session_id):
        session = list(group)
        try:
            contents = unseal_messages(tenant_id, [(row.id, bytes(row.sealed)) for row in session])
        except KeyDestroyed:
            continue  # erased while it was read; its messages are about to go
        yield from ((row.id, attachments) for row, (_, attachments) in zip(session, contents, strict=True))


def _scrubbed(value: Any, scrubber: Scrubber) -> Any:
    if isinstance(value, str):
        return scrubber(value).text
    if isinstance(value, dict):
        return {key: _scrubbed(item, scrubber) for key, item in value.items()}
    if isinstance(value, list):
        return [_scrubbed(item, scrubber) for item in value]
    return value
