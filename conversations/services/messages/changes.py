"""Single messages: annotated, deleted."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction

from conversations.exceptions import Expired, Held, NotFound, naming
from conversations.inputs import MessagePatch, given, merge_patch, refuse_large
from conversations.mirror.waking import wake
from conversations.models import Message, Session
from conversations.ports import Target, lifecycle
from conversations.principals import Actor
from conversations.services.late_arrivals import explain_absence
from conversations.services.messages import windows
from conversations.services.messages.reading import read_messages, visible_messages
from conversations.tenancy import tenant_scope


def update_message(*, tenant_id: UUID, message_id: UUID, patch: MessagePatch) -> dict[str, Any]:
    """Annotate a message (merge patch); its content, role and position never change. Held under a legal hold."""
    with tenant_scope(tenant_id):
        message = visible_messages(tenant_id).filter(id=message_id).select_for_update().first()
        if message is None:
            raise absence(tenant_id, message_id)
        if lifecycle().held_messages(tenant_id, [message_id]):
            raise Held("A legal hold covers this message: it cannot be changed.")
        message.save(update_fields=annotate(message, patch))
        raise_epoch(tenant_id, [message.session_id])
        transaction.on_commit(wake)
        return read_messages(tenant_id, [message_id])[0]


def annotate(message: Message, patch: MessagePatch) -> list[str]:
    """Merge the patch into the row, unsaved; names of the fields it gives."""
    changes = given(patch)
    merged: dict[str, Any] = {
        name: merge_patch(getattr(message, name), changes[name])
        for name in ("metadata", "agent_responses")
        if name in changes
    }
    refuse_large(merged)
    if "metadata" in merged:
        merged["metadata"] = merged["metadata"] or {}
    for name, value in (changes | merged).items():
        setattr(message, name, value)
    return list(changes)


def delete_messages(
    *, tenant_id: UUID, message_ids: Sequence[UUID], actor: Actor, listed: str = ""
) -> Mapping[str, Any]:
    """Hide messages everywhere at once and open the erasure case that ends them; Held when a hold covers one.

    Which of a list of this name is not there, is said.
    """
    with tenant_scope(tenant_id):
        found = set(visible_messages(tenant_id).filter(id__in=message_ids).values_list("id", flat=True))
        for number, message_id in enumerate(message_ids):
            if message_id not in found:
                with naming(f"{listed}[{number}]" if listed else ""):
                    raise absence(tenant_id, message_id)
        return lifecycle().open_erasure(
            tenant_id=tenant_id,
            target=Target(message_ids=tuple(message_ids)),
            actor=actor,
            reason="Deleted through the API.",
            basis="",
        )


def raise_epoch(tenant_id: UUID, session_ids: Sequence[UUID]) -> None:
    """Make every cached window of these sessions stale, in this transaction and after it."""
    rows = Session.objects.for_tenant(tenant_id).filter(id__in=session_ids).order_by("id")
    for session in rows.select_for_update():
        session.epoch += 1
        session.save(update_fields=["epoch"])

    def forget_windows() -> None:
        for session_id in session_ids:
            windows.forget(tenant_id, session_id)

    transaction.on_commit(forget_windows)


def absence(tenant_id: UUID, message_id: UUID) -> NotFound | Expired:
    """Why agents do not see this message; raises Erased where the system still knows of it."""
    explain_absence(tenant_id=tenant_id, object_id=message_id)
    if Message.objects.for_tenant(tenant_id).live().filter(id=message_id).exists():
        return Expired()
    return NotFound()
