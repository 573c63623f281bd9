"""Reveals the original of a message to compliance staff: with a reason, and always audited."""

from typing import Any
from uuid import UUID

from conversations.exceptions import Expired, NotFound
from conversations.inputs import require_text
from conversations.models import Message
from conversations.principals import Actor
from conversations.services import audit
from conversations.services.late_arrivals import explain_absence
from conversations.services.messages import reading
from conversations.tenancy import tenant_scope
from retention.models import ArchiveRecord
from retention.services.holds import held_messages


def reveal_message(*, tenant_id: UUID, message_id: UUID, reason: str, actor: Actor) -> dict[str, Any]:
    """The message with its original content: one that agents see, or one that a hold keeps beyond use.

    Expired, Erased or NotFound for any other. The event is written whether or not the seal opens.
    """
    require_text(reason=reason)
    with tenant_scope(tenant_id):
        row = reading.visible_messages(tenant_id).filter(id=message_id).first()
        if row is None and held_messages(tenant_id, [message_id]):
            row = Message.objects.for_tenant(tenant_id).filter(id=message_id).first()
        if row is None:
            raise _absence(tenant_id, message_id)
        shown = reading.present(tenant_id, [row])[0]
        audit.record(
            tenant_id=tenant_id,
            actor=actor,
            action="message.revealed",
            object_type="message",
            object_id=message_id,
            details={"reason": reason.strip(), "beyond_use": row.hidden_at is not None},
        )
    return shown


def _absence(tenant_id: UUID, message_id: UUID) -> NotFound | Expired:
    explain_absence(tenant_id=tenant_id, object_id=message_id)
    if Message.objects.for_tenant(tenant_id).filter(id=message_id).exists():
        return Expired()
    if ArchiveRecord.objects.for_tenant(tenant_id).filter(id=message_id).exists():
        return Expired("This message is in the archive: open it there.")
    return NotFound()
