"""A few of the records that a purge would end, masked, so that people see what they decide on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils.text import Truncator

from conversations.models import Customer, Message, Session
from conversations.services.masking import Masker
from conversations.transcripts.visible import visible
from retention.enums import RecordClass
from retention.models import ArchiveRecord
from retention.services.purges.runs import Preview

SAMPLES = 5  # shown of each class
MOST_COUNTED = 10_000  # records that a preview looks at, of each class
TEXT = 120


@dataclass(frozen=True, slots=True)
class Sample:
    """One record: what it says or whom it is about, where it belongs, and the page that shows it."""

    record_class: str
    at: datetime
    text: str
    belongs_to: str
    url: str


def read_samples(tenant_id: UUID, previews: Iterable[Preview]) -> list[Sample]:
    return samples_of(tenant_id, {one.record_class: one.due.samples for one in previews})


def samples_of(tenant_id: UUID, chosen: Mapping[str, Sequence[Any]]) -> list[Sample]:
    """Those that are still there, oldest first. Runs inside a tenant scope."""
    masker, found = Masker(tenant_id), list[Sample]()
    rows = [
        (record_class, row)
        for record_class, model in ((RecordClass.MESSAGES, Message), (RecordClass.ARCHIVE, ArchiveRecord))
        for row in _rows(tenant_id, model, chosen.get(record_class, ()))
        if row.hidden_at is None  # erased since
    ]
    sessions = Session.objects.for_tenant(tenant_id).in_bulk({row.session_id for _, row in rows})
    for record_class, row in rows:
        session = sessions.get(row.session_id)
        found.append(
            Sample(
                record_class,
                row.created_at,
                Truncator(visible(row.scrubbed)).chars(TEXT),
                visible(session.title or "") if session else "",
                f"{reverse('admin:transcript', args=[row.session_id])}?from={row.position}",
            )
        )
    for customer in _rows(tenant_id, Customer, chosen.get(RecordClass.SUMMARIES, ())):
        name = masker.text(customer.external_id)
        found.append(
            Sample(
                RecordClass.SUMMARIES,
                customer.created_at,
                f"What is known of {name or 'somebody erased'}",
                "",
                reverse("admin:customer", args=[customer.id]),
            )
        )
    return found


def _rows(tenant_id: UUID, model: Any, chosen: Sequence[Any]) -> list[Any]:
    wanted = list(chosen)[:SAMPLES]
    return list(model.objects.for_tenant(tenant_id).filter(id__in=wanted).order_by("id")) if wanted else []
