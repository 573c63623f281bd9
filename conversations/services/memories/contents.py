"""The content of memories: sealed under the customer's key, or the tenant's for memories of the whole tenant."""

from collections.abc import Sequence
from uuid import UUID

from conversations import crypto, keyring
from conversations.enums import KeyOwner
from conversations.models import Memory

TABLE = "conversations_memory"


def memory_owner(tenant_id: UUID, customer_id: UUID | None) -> tuple[KeyOwner, UUID]:
    return (KeyOwner.CUSTOMER, customer_id) if customer_id else (KeyOwner.TENANT, tenant_id)


def memory_aad(tenant_id: UUID, memory_id: UUID) -> bytes:
    return crypto.row_aad(tenant_id, TABLE, "sealed", memory_id)


def seal_memory(tenant_id: UUID, memory_id: UUID, customer_id: UUID | None, content: str) -> bytes:
    owner = memory_owner(tenant_id, customer_id)
    return keyring.seal(tenant_id, *owner, content.encode(), memory_aad(tenant_id, memory_id))


def open_memories(rows: Sequence[Memory]) -> list[str]:
    """The contents of memories of one tenant, in order."""
    if not rows:
        return []
    pairs = [(bytes(row.sealed), memory_aad(row.tenant_id, row.id)) for row in rows]
    return [content.decode() for content in keyring.unseal_many(rows[0].tenant_id, pairs)]
