"""Audit trails for tests, and hands that tamper with them as the owner of the database could."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from django.db import connections, transaction

from conversations.models import AuditEvent, AuditLeaf, Tenant
from conversations.principals import Actor, ActorKind
from conversations.services import audit
from conversations.tenancy import tenant_scope
from retention.models import AuditCheckpoint
from retention.services.audit.sealing import seal_audit

OFFICER = Actor(ActorKind.AGENT, "olga")
TABLES = ("conversations_auditevent", "conversations_auditleaf", "retention_auditcheckpoint")


def act(tenant: Tenant, *actions: str, **fields: object) -> list[UUID]:
    """Record one event for each action, all in one transaction."""
    with tenant_scope(tenant.id):
        return [
            audit.record(
                tenant_id=tenant.id,
                actor=OFFICER,
                action=action,
                object_type="thing",
                object_id="17",
                details={"number": number, "name": "é中", **fields},
            )
            for number, action in enumerate(actions)
        ]


def make_trail(tenant: Tenant, *batches: int) -> list[UUID]:
    """Events sealed in batches of these sizes, after the one that made the tenant; all ids in sealed order."""
    made = list(AuditEvent.objects.using("ops").filter(tenant=tenant).values_list("id", flat=True))
    for size in batches:
        made += act(tenant, *(f"act.{number}" for number in range(size)))
        seal_audit()
    return made


def leaves(tenant: Tenant) -> list[AuditLeaf]:
    return list(AuditLeaf.objects.using("ops").filter(tenant=tenant).order_by("sequence"))


def checkpoints(tenant: Tenant) -> list[AuditCheckpoint]:
    return list(AuditCheckpoint.objects.using("ops").filter(tenant=tenant).order_by("tree_size"))


@contextmanager
def tampering() -> Iterator[None]:
    """Triggers off, as the owner of the tables can switch them."""
    with transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield
        for table in TABLES:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def tamper(statement: str, *values: object) -> None:
    """Change something, and prove that there was something to change."""
    with tampering(), connections["owner"].cursor() as cursor:
        cursor.execute(statement, values)
        assert cursor.rowcount, statement


def forge_event(tenant: Tenant, at: datetime, event_id: UUID) -> UUID:
    """Insert an event past the product, as the owner of the database could."""
    tamper(
        "INSERT INTO conversations_auditevent (id, created_at, tenant_id, actor, actor_kind, action, object_type,"
        " outcome, details) VALUES (%s, %s, %s, 'mallory', 'agent', 'hold.released', 'legal_hold', 'ok', '{}')",
        event_id,
        at,
        tenant.id,
    )
    return event_id
