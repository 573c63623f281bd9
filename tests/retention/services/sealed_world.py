"""A tenant with something in every sealed column, and a way to read all of it through the services."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connections
from msgspec import structs

from conversations import crypto, ids, keyring
from conversations.enums import KeyOwner
from conversations.memory_inputs import MemoryIn
from conversations.models import Tenant
from conversations.principals import SYSTEM
from conversations.sealed_columns import SealedColumn, sealed_columns
from conversations.services import idempotency
from conversations.services.customers import get_customer
from conversations.services.idempotency import Shown, StoredAnswer
from conversations.services.memories.changes import create_memories
from conversations.tenancy import tenant_scope
from portraits.enums import Provenance
from portraits.services.storage import change_portrait
from portraits.state import Summary
from retention.enums import RecordClass
from retention.services.purges.runs import purge
from tests.retention.factories import ago, make_session, make_tenant, say


@dataclass(frozen=True)
class World:
    tenant: Tenant
    message_ids: tuple[UUID, ...]


def make_world(name: str = "acme", messages: int = 3) -> World:
    tenant = make_tenant(name)
    say(tenant, make_session(tenant, made_at=ago(200)), [ago(100), ago(101)], "Long ago")
    purge(tenant_id=tenant.id, record_class=RecordClass.MESSAGES, actor=SYSTEM)
    known, anonymous = make_session(tenant, made_at=ago(9)), make_session(tenant, customer=None)
    said = say(tenant, known, [ago(1)] * messages) + say(tenant, anonymous, [ago(1)], "Nobody you know")
    create_memories(tenant_id=tenant.id, given=[MemoryIn(content="likes tea", customer_id="c1")])
    create_memories(tenant_id=tenant.id, given=[MemoryIn(content="we close at six")])
    with tenant_scope(tenant.id):
        customer = get_customer(tenant.id, "c1")
        for text in ("Polite.", "Polite, in a hurry."):
            change_portrait(
                tenant_id=tenant.id,
                customer=customer,
                change=lambda state, text=text: structs.replace(
                    state, summary=Summary(text=text, kind=Provenance.ASSERTED)
                ),
            )
        idempotency.remember_answer(
            tenant_id=tenant.id,
            key="k",
            fingerprint=b"f",
            answer=StoredAnswer(201, b"{}"),
            shown=Shown(KeyOwner.CUSTOMER, customer.id),
        )
        _pack_deferred(tenant.id, ids.new_id())
    return World(tenant, tuple(said))


def _pack_deferred(tenant_id: UUID, customer_id: UUID) -> None:
    """A package of what an erasure of somebody else had to defer, as `retention.services.erasures.deferring` makes it."""
    from retention.models import DeferredRecords, ErasureCase

    case = ErasureCase.objects.create(
        tenant_id=tenant_id,
        scope="customer",
        customer_id=customer_id,
        subject="s",
        reason="r",
        basis="b",
        opened_by="o",
        due_at=ago(-30),
        next_at=ago(-30),
        state="verified",
    )
    row = DeferredRecords(
        tenant_id=tenant_id,
        case=case,
        customer_id=customer_id,
        holding="x",
        records=1,
        since=ago(1),
        began=ago(1),
    )
    aad = crypto.row_aad(tenant_id, DeferredRecords._meta.db_table, "sealed", row.id)
    row.sealed = keyring.seal(tenant_id, KeyOwner.CASE, case.id, b"[]", aad)
    row.save(force_insert=True)


def values(column: SealedColumn, tenant: Tenant) -> dict[UUID, bytes]:
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            f"SELECT id, {column.column} FROM {column.table} WHERE tenant_id = %s AND {column.column} IS NOT NULL",
            [tenant.id],
        )
        return {row_id: bytes(sealed) for row_id, sealed in cursor.fetchall()}


def opened(tenant: Tenant) -> dict[str, dict[UUID, bytes]]:
    """What every sealed value says, by column and row."""
    keyring.forget()
    found: dict[str, Any] = {}
    with tenant_scope(tenant.id):
        for column in sealed_columns():
            found[str(column)] = {
                row_id: keyring.unseal(
                    tenant.id, sealed, crypto.row_aad(tenant.id, column.table, column.column, row_id)
                )
                for row_id, sealed in values(column, tenant).items()
            }
    return found
