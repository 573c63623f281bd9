"""Reading portraits, and changing them by assertion."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import UNSET, structs

from conversations import ids
from conversations.exceptions import Invalid
from conversations.inputs import merge_patch
from conversations.services.customers import ensure_customer, find_customer, known_customer
from conversations.tenancy import tenant_scope
from portraits.enums import Provenance
from portraits.inputs import PortraitPatch, TraitIn, check_size
from portraits.portrayal import Portrayal
from portraits.services.evidence import check_evidence
from portraits.services.marks import mark
from portraits.services.preferences import merge_preferences
from portraits.services.storage import change_portrait, read_portrait, wait_longer
from portraits.state import KnownTrait, Sentiment, State, Summary, newest_sources

Precondition = Callable[[int | None], None]  # sees the version, None for an unknown customer; may raise


def get_portrait(tenant_id: UUID, external_id: str) -> Portrayal:
    """What is known of a customer; NotFound, Erased or Expired when there is none."""
    with tenant_scope(tenant_id):
        return read_portrait(tenant_id, known_customer(tenant_id, external_id))


def patch_portrait(
    *,
    tenant_id: UUID,
    external_id: str,
    patch: PortraitPatch,
    precondition: Precondition | None = None,
) -> Portrayal:
    """Merge what is asserted into the portrait; creates the customer when new.

    Invalid for unknown evidence, PreconditionFailed by the caller's precondition; then nothing has changed.
    """
    patch.check()
    with tenant_scope(tenant_id):
        wait_longer()
        if precondition is not None and find_customer(tenant_id, external_id) is None:
            precondition(None)
        customer = ensure_customer(tenant_id, external_id)
        now = ids.now()
        traits = [_asserted(trait, now) for trait in patch.traits or []]
        evidence = {source for trait in traits for source in trait.source_message_ids}
        check_evidence(tenant_id, customer.id, evidence, "traits")
        portrayal = change_portrait(
            tenant_id=tenant_id,
            customer=customer,
            change=lambda state: _patched(state, patch, traits, now),
            check=precondition,
        )
        if patch.traits is None or any(trait.value is None for trait in traits) or patch.summary is None:
            mark(tenant_id, customer.id)  # what was taken back may be said by the conversations
        return portrayal


def _patched(state: State, patch: PortraitPatch, traits: Sequence[KnownTrait], now: datetime) -> State:
    if patch.preferences is not UNSET:
        state = merge_preferences(state, patch.preferences, now)
    if patch.purchase_history is not UNSET:
        history = merge_patch(state.purchase_history, patch.purchase_history) or {}
        check_size("purchase_history", history)
        state = structs.replace(state, purchase_history=history)
    if patch.sentiment_score is not UNSET:
        state = _with_score(state, patch.sentiment_score, now)
    if patch.sentiment_trend is not UNSET:
        state = structs.replace(state, asserted_trend=patch.sentiment_trend)
    if patch.summary is not UNSET:
        summary = Summary(patch.summary, Provenance.ASSERTED) if patch.summary is not None else None
        state = structs.replace(state, summary=summary)
    if patch.traits is None:
        return state.without_traits({t.name for t in state.traits if t.kind != Provenance.INFERRED})
    return _with_asserted(state, traits)


def _with_score(state: State, score: float | None, now: datetime) -> State:
    if score is None:
        return structs.replace(state, sentiments=())
    return state.with_sentiments([Sentiment(float(score), now)])


def _with_asserted(state: State, traits: Sequence[KnownTrait]) -> State:
    """What is asserted stands; a null takes back an assertion, and forbids what was inferred."""
    inferred = {trait.name for trait in state.traits if trait.kind == Provenance.INFERRED}
    taken_back = {trait.name for trait in traits if trait.value is None} - inferred
    state = state.without_traits(taken_back)
    return state.with_traits(trait for trait in traits if trait.name not in taken_back)


def _asserted(trait: TraitIn, now: datetime) -> KnownTrait:
    return KnownTrait(
        name=trait.name,
        value=trait.value,
        confidence=float(trait.confidence),
        kind=Provenance.ASSERTED,
        source_message_ids=newest_sources(_uuid(source) for source in trait.source_message_ids),
        valid_from=trait.valid_from or now,
        valid_to=trait.valid_to,
    )


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Invalid.field(
            "traits", "There is no such message of this customer.", code="unknown_evidence"
        ) from None
