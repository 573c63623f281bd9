"""Portraits in their tables: read with one statement, changed under the lock of their row, each change one version."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.conf import settings
from django.contrib.postgres.expressions import ArraySubquery
from django.db import connection
from django.db.models import OuterRef
from django.db.models.functions import JSONObject
from msgspec import structs

from conversations import crypto, ids, keyring
from conversations.enums import KeyOwner
from conversations.exceptions import KeyDestroyed
from conversations.models import Customer
from conversations.ports import lifecycle
from portraits.enums import Provenance
from portraits.models import Portrait, PortraitVersion, Trait
from portraits.portrayal import Portrayal
from portraits.services.evidence import seen_of
from portraits.state import KnownTrait, Preference, Purchase, Sentiment, State, Summary

PATIENCE = "15s"  # for the row's lock: a change holds it for some milliseconds, and fifty may wait in line

_TRAIT_FIELDS = (
    "name",
    "value",
    "confidence",
    "kind",
    "source_message_ids",
    "valid_from",
    "valid_to",
    "by_model",
)


Change = Callable[[State], State]


def read_portrait(tenant_id: UUID, customer: Customer) -> Portrayal:
    """What is known now, without what lost its evidence."""
    found = read_portrait_row(tenant_id, customer.id)
    return Portrayal(customer, State()) if found is None else found[0]


def read_portrait_row(
    tenant_id: UUID, customer_id: UUID, **beside: ArraySubquery
) -> tuple[Portrayal, Any] | None:
    """As `read_portrait`, with its row and what else was to be read in the same statement; None without a row."""
    seen = ArraySubquery(seen_of(tenant_id, "evidence").values("id"))
    row = _rows(tenant_id, customer_id).select_related("customer").annotate(seen=seen, **beside).first()
    if row is None:
        return None
    return _portrayal(row.customer, row, _state(row).resting_on(set(row.seen))), row


def read_whole(tenant_id: UUID, customer: Customer) -> Portrayal | None:
    """All that is held, what lost its evidence just now included; None without a portrait."""
    row = _rows(tenant_id, customer.id).first()
    return None if row is None else _portrayal(customer, row, _state(row))


def change_portrait(
    *, tenant_id: UUID, customer: Customer, change: Change, check: Callable[[int], None] | None = None
) -> Portrayal:
    """Apply a change to the portrait as it stands; nothing that differs is one new version. Runs in a tenant scope.

    `check` sees the version under the lock and may raise. Writers of one portrait take turns, so none undoes another.
    """
    row = _lock(tenant_id, customer)
    if check is not None:
        check(row.version)
    before = _state(row)
    after = change(before)
    if after != before:
        _store(row, before, after)
    return _portrayal(customer, row, after)


def open_summary(tenant_id: UUID, table: str, row_id: UUID, sealed: bytes | memoryview | None) -> str | None:
    """The text of a summary; None where there is none, or its key is gone."""
    if sealed is None:
        return None
    try:
        return keyring.unseal(tenant_id, bytes(sealed), _aad(tenant_id, table, row_id)).decode()
    except KeyDestroyed:
        return None


def snapshot_of(state: State) -> Any:
    """The state as a version keeps it: its summary's text is sealed beside it."""
    bare = state.summary and structs.replace(state.summary, text="")
    return msgspec.to_builtins(structs.replace(state, summary=bare))


def state_of(snapshot: Any, summary: str | None) -> State:
    """The state that a version keeps."""
    state = msgspec.convert(snapshot, State)
    if state.summary is None:
        return state
    shown = structs.replace(state.summary, text=summary) if summary is not None else None
    return structs.replace(state, summary=shown)


def _rows(tenant_id: UUID, customer_id: UUID) -> Any:
    traits = Trait.objects.for_tenant(tenant_id).filter(customer_id=OuterRef("customer_id")).order_by("name")
    return (
        Portrait.objects.for_tenant(tenant_id)
        .filter(customer_id=customer_id)
        .annotate(traits=ArraySubquery(traits.values(json=JSONObject(**{f: f for f in _TRAIT_FIELDS}))))
    )


def wait_longer() -> None:
    """Wait longer for the locks of a customer and their portrait, until the end of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")


def _lock(tenant_id: UUID, customer: Customer) -> Any:
    wait_longer()
    now = ids.now()
    new = Portrait(
        id=ids.new_id(now), created_at=now, updated_at=now, tenant_id=tenant_id, customer_id=customer.id
    )
    Portrait.objects.bulk_create([new], ignore_conflicts=True)
    Portrait.objects.for_tenant(tenant_id).select_for_update().get(customer_id=customer.id)
    # A new statement, hence a new snapshot: the row and its traits as the writer before us left them.
    return _rows(tenant_id, customer.id).get()


def _state(row: Any) -> State:
    summary = open_summary(row.tenant_id, Portrait._meta.db_table, row.id, row.sealed_summary)
    return State(
        preferences=msgspec.convert(row.preferences, dict[str, Preference]),
        purchase_history=row.purchase_history,
        purchases=msgspec.convert(row.purchases, tuple[Purchase, ...]),
        traits=msgspec.convert(row.traits, tuple[KnownTrait, ...]),
        sentiments=msgspec.convert(row.sentiments, tuple[Sentiment, ...]),
        asserted_trend=row.sentiment_trend,
        summary=None
        if summary is None
        else Summary(summary, Provenance(row.summary_kind), tuple(row.summary_source_ids)),
    )


def _store(row: Any, before: State, after: State) -> None:
    now = ids.now()
    row.version += 1
    row.updated_at = now
    row.preferences = msgspec.to_builtins(after.preferences)
    if after.preferences != before.preferences:
        row.preferences_created_at = row.preferences_created_at or now
        row.preferences_updated_at = now
    row.purchase_history = after.purchase_history
    row.purchases = msgspec.to_builtins(after.purchases)
    row.sentiments = msgspec.to_builtins(after.sentiments)
    row.sentiment_trend = after.asserted_trend
    row.summary_kind = after.summary.kind if after.summary else None
    row.summary_source_ids = list(after.summary.source_message_ids) if after.summary else []
    row.sealed_summary = _sealed(row.tenant_id, row.customer_id, Portrait._meta.db_table, row.id, after)
    row.evidence = sorted(after.evidence)
    row.save(update_fields=_PORTRAIT_FIELDS)
    _store_traits(row, before, after, now)
    _keep_version(row, after, now)


_PORTRAIT_FIELDS = [
    "version",
    "updated_at",
    "preferences",
    "preferences_created_at",
    "preferences_updated_at",
    "purchase_history",
    "purchases",
    "sentiments",
    "sentiment_trend",
    "summary_kind",
    "summary_source_ids",
    "sealed_summary",
    "evidence",
]


def _store_traits(row: Any, before: State, after: State, now: datetime) -> None:
    old = {trait.name: trait for trait in before.traits}
    new = {trait.name: trait for trait in after.traits}
    if gone := old.keys() - new.keys():
        Trait.objects.for_tenant(row.tenant_id).filter(customer_id=row.customer_id, name__in=gone).delete()
    changed = [trait for name, trait in new.items() if old.get(name) != trait]
    rows = [
        Trait(
            id=row_id,
            created_at=now,
            tenant_id=row.tenant_id,
            customer_id=row.customer_id,
            **structs.asdict(trait),
        )
        for row_id, trait in zip(ids.new_ids(now, len(changed)), changed, strict=True)
    ]
    Trait.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["tenant", "customer", "name"],
        update_fields=[field for field in _TRAIT_FIELDS if field != "name"],
    )


def _keep_version(row: Any, state: State, now: datetime) -> None:
    version_id = ids.new_id(now)
    PortraitVersion(
        id=version_id,
        created_at=now,
        tenant_id=row.tenant_id,
        customer_id=row.customer_id,
        version=row.version,
        snapshot=snapshot_of(state),
        sealed_summary=_sealed(
            row.tenant_id, row.customer_id, PortraitVersion._meta.db_table, version_id, state
        ),
        evidence=sorted(state.evidence),
    ).save(force_insert=True)
    if row.version > settings.PORTRAIT_HISTORY and not lifecycle().held_customers(
        row.tenant_id, [row.customer_id]
    ):
        PortraitVersion.objects.for_tenant(row.tenant_id).filter(
            customer_id=row.customer_id, version__lte=row.version - settings.PORTRAIT_HISTORY
        ).delete()


def _portrayal(customer: Customer, row: Any, state: State) -> Portrayal:
    return Portrayal(
        customer=customer,
        state=state,
        version=row.version,
        id=row.id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        preferences_created_at=row.preferences_created_at,
        preferences_updated_at=row.preferences_updated_at,
    )


def _sealed(tenant_id: UUID, customer_id: UUID, table: str, row_id: UUID, state: State) -> bytes | None:
    if state.summary is None:
        return None
    aad = _aad(tenant_id, table, row_id)
    return keyring.seal(tenant_id, KeyOwner.CUSTOMER, customer_id, state.summary.text.encode(), aad)


def _aad(tenant_id: UUID, table: str, row_id: UUID) -> bytes:
    return crypto.row_aad(tenant_id, table, "sealed_summary", row_id)
