from conversations.models.audit import AuditEvent, AuditLeaf
from conversations.models.conversations import ChapterIndex, Customer, Message, MessageIndex, Session
from conversations.models.gate import Gate
from conversations.models.imports import ImportedRecord
from conversations.models.memories import ContextReceipt, IdempotencyRecord, Memory, Tombstone
from conversations.models.mirror import MirrorEvent, MirrorSink
from conversations.models.tenants import ApiKey, DataKey, Staff, Tenant

__all__ = [
    "ApiKey",
    "AuditEvent",
    "AuditLeaf",
    "ChapterIndex",
    "ContextReceipt",
    "Customer",
    "DataKey",
    "Gate",
    "IdempotencyRecord",
    "ImportedRecord",
    "Memory",
    "Message",
    "MessageIndex",
    "MirrorEvent",
    "MirrorSink",
    "Session",
    "Staff",
    "Tenant",
    "Tombstone",
]
