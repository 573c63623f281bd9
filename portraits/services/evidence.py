"""Which of the messages that serve as evidence may still be seen."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db.models import BooleanField, F, Func, OuterRef

from conversations.exceptions import Invalid
from conversations.models import Message
from conversations.querysets import MessageQuerySet
from conversations.services.messages.reading import visible_messages


def seen_messages(tenant_id: UUID, message_ids: Collection[UUID]) -> set[UUID]:
    """Those of the messages that agents may see now."""
    if not message_ids:
        return set()
    rows = visible_messages(tenant_id).filter(id__in=list(message_ids))
    return set(rows.values_list("id", flat=True))


def seen_of(tenant_id: UUID, column: str) -> MessageQuerySet[Message]:
    """The same for the array in a column of the outer query."""
    contained: Any = Func(
        F("id"),
        OuterRef(column),
        template="(%(expressions)s))",
        arg_joiner=" = ANY (",
        output_field=BooleanField(),
    )
    return visible_messages(tenant_id).filter(contained)


def check_evidence(
    tenant_id: UUID, customer_id: UUID | None, message_ids: Collection[UUID], field: str
) -> None:
    """Invalid unless all of them are messages of this customer that may be seen; any customer's for None."""
    rows = visible_messages(tenant_id).filter(id__in=list(message_ids))
    if customer_id is not None:
        rows = rows.filter(customer_id=customer_id)
    if message_ids and rows.count() != len(set(message_ids)):
        raise Invalid.field(field, "There is no such message of this customer.", code="unknown_evidence")
