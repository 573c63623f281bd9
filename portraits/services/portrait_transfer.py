"""Exports and imports portraits and preferences (`conversations.ports.Transfer`)."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import structs

from conversations import ids
from conversations.exceptions import Erased, Invalid
from conversations.importing import ImportedPortrait, ImportedPreferences
from conversations.importing.lines import PortraitLine, TraitLine
from conversations.models import Customer
from conversations.services.customers import ensure_customers, is_forgotten
from portraits import presenters
from portraits.enums import Provenance
from portraits.inputs import check_size
from portraits.models import Portrait
from portraits.services.evidence import seen_messages
from portraits.services.preferences import merge_preferences
from portraits.services.storage import change_portrait, read_portrait
from portraits.state import (
    FROM_CONVERSATIONS,
    KnownTrait,
    Preference,
    Purchase,
    Sentiment,
    State,
    Summary,
    newest_sources,
)

PAGE = 500


class PortraitTransfer:
    """Portraits as the API shows them, plus their `state`: the times and evidence of every entry."""

    name = "portraits"
    accepts: tuple[type, ...] = (ImportedPortrait, ImportedPreferences)

    def export_records(self, tenant_id: UUID) -> Iterator[Mapping[str, Any]]:
        """Every visible portrait, in the order of customers."""
        customers = Customer.objects.for_tenant(tenant_id).filter(external_id__isnull=False)
        known = Portrait.objects.for_tenant(tenant_id).filter(version__gt=0).values("customer_id")
        for customer in customers.filter(id__in=known).order_by("id").iterator(PAGE):
            if is_forgotten(customer):
                continue
            portrayal = read_portrait(tenant_id, customer)
            shown = presenters.portrayal(portrayal, ids.now())
            yield {**shown, "state": msgspec.to_builtins(portrayal.state)}

    def message_ids(self, record: ImportedPortrait | ImportedPreferences) -> Iterable[str]:
        if isinstance(record, ImportedPreferences):
            return ()
        return {str(one) for one in _state_of(record.given).evidence} | set(_named(record.given))

    def import_record(
        self, tenant_id: UUID, record: ImportedPortrait | ImportedPreferences, message_ids: Mapping[str, UUID]
    ) -> UUID:
        if isinstance(record, ImportedPreferences):
            return _import_preferences(tenant_id, record)
        given = record.given
        customer = _customer(tenant_id, given.customer_id, given.created_at)
        if missing := sorted(set(_named(given)) - message_ids.keys()):
            raise Invalid.field("traits", f"No message {missing[0]} was imported.", code="unknown_evidence")
        state = _state_of(given) if given.state is not None else _stated(given, message_ids)
        check_size("preferences", {name: one.value for name, one in state.preferences.items()})
        check_size("purchase_history", state.purchase_history)
        state = _renamed(state, message_ids) if given.state is not None else state
        state = state.resting_on(seen_messages(tenant_id, state.evidence))
        portrayal = change_portrait(
            tenant_id=tenant_id, customer=customer, change=lambda known: _merged(known, state)
        )
        if portrayal.version == 1:
            at = {"created_at": given.created_at, "updated_at": given.updated_at}
            if preferences := state.preferences.values():
                at["preferences_created_at"] = min(one.created_at for one in preferences)
                at["preferences_updated_at"] = max(one.updated_at for one in preferences)
            changed = {name: value for name, value in at.items() if value is not None}
            Portrait.objects.for_tenant(tenant_id).filter(customer=customer).update(**changed)
        return customer.id


def _customer(tenant_id: UUID, external_id: str, made_at: datetime | None) -> Customer:
    customers, erased = ensure_customers(tenant_id, {external_id: made_at})
    if erased:
        raise Erased("This customer was erased; what is older cannot come back.")
    return customers[external_id]


def _import_preferences(tenant_id: UUID, record: ImportedPreferences) -> UUID:
    check_size("preferences", record.preferences)
    customer = _customer(tenant_id, record.customer, record.created_at)
    made = record.created_at or ids.now()
    changed = record.updated_at or made
    given = {name: Preference(value, made, changed) for name, value in record.preferences.items()}
    change_portrait(
        tenant_id=tenant_id,
        customer=customer,
        change=lambda state: structs.replace(state, preferences={**state.preferences, **given}),
    )
    Portrait.objects.for_tenant(tenant_id).filter(customer=customer, version=1).update(
        preferences_created_at=made, preferences_updated_at=changed
    )
    return customer.id


def _named(given: PortraitLine) -> Iterator[str]:
    """Messages named outside of `state`, which all have to be imported; those of `state` need not be."""
    if given.state is None:
        for trait in given.traits:
            yield from trait.source_message_ids


def _state_of(given: PortraitLine) -> State:
    if given.state is None:
        return State()
    try:
        return msgspec.convert(given.state, State)
    except msgspec.ValidationError as error:
        raise Invalid.field("state", f"Not a state as exports have it: {error}.") from None


def _stated(given: PortraitLine, message_ids: Mapping[str, UUID]) -> State:
    """The state of a line without `state`, as other systems write it."""
    now = given.updated_at or given.created_at or ids.now()
    bought = given.purchase_history
    history = {"purchases": bought} if isinstance(bought, list) and bought else dict(bought or {})
    history.pop(FROM_CONVERSATIONS, None)
    score, trend = given.sentiment_score, given.sentiment_trend
    state = State(
        purchase_history=history,
        traits=tuple(_trait(trait, message_ids, now) for trait in sorted(given.traits, key=lambda t: t.name)),
        sentiments=() if score is None else (Sentiment(float(score), now),),
        asserted_trend=trend,
        summary=None if given.summary is None else Summary(given.summary, Provenance.IMPORTED),
    )
    return merge_preferences(state, given.preferences, now)


def _trait(given: TraitLine, message_ids: Mapping[str, UUID], now: datetime) -> KnownTrait:
    return KnownTrait(
        name=given.name,
        value=given.value,
        confidence=1.0 if given.confidence is None else float(given.confidence),
        kind=Provenance(given.kind),
        source_message_ids=newest_sources(message_ids[name] for name in given.source_message_ids),
        valid_from=given.valid_from or now,
        valid_to=given.valid_to,
    )


def _renamed(state: State, message_ids: Mapping[str, UUID]) -> State:
    """With the ids of the imported messages; entries whose evidence was not imported are left out."""

    def imported(sources: Iterable[UUID]) -> tuple[UUID, ...]:
        return newest_sources(message_ids[str(one)] for one in sources if str(one) in message_ids)

    state = state.resting_on([one for one in state.evidence if str(one) in message_ids])
    summary = state.summary
    return structs.replace(
        state,
        traits=tuple(
            structs.replace(trait, source_message_ids=imported(trait.source_message_ids))
            for trait in state.traits
        ),
        sentiments=tuple(
            one
            if one.message_id is None
            else structs.replace(one, message_id=message_ids[str(one.message_id)])
            for one in state.sentiments
        ),
        purchases=tuple(
            Purchase(one.value, one.at, message_ids[str(one.message_id)]) for one in state.purchases
        ),
        summary=summary
        and structs.replace(summary, source_message_ids=tuple(imported(summary.source_message_ids))),
    )


def _merged(known: State, given: State) -> State:
    """Existing entries win; the rest is added."""
    settled = {trait.name for trait in known.traits if trait.kind != Provenance.INFERRED}
    state = known.with_traits(trait for trait in given.traits if trait.name not in settled)
    bought = {one.message_id: one for one in (*known.purchases, *given.purchases)}
    summary = known.summary
    if summary is None or (summary.kind == Provenance.INFERRED and given.summary is not None):
        summary = given.summary
    return structs.replace(
        state.with_sentiments(given.sentiments),
        preferences={**given.preferences, **known.preferences},
        purchase_history={**given.purchase_history, **known.purchase_history},
        purchases=tuple(sorted(bought.values(), key=lambda one: one.at)),
        asserted_trend=given.asserted_trend if known.asserted_trend is None else known.asserted_trend,
        summary=summary,
    )
