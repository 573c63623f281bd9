"""Sessions: created or found, changed, closed, deleted."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from conversations import ids, keyring, presenters
from conversations.analysis.tokens import lexemes
from conversations.backends.postgres_lexical import tsvector
from conversations.enums import KeyOwner, SessionStatus
from conversations.exceptions import Conflict, Held, NotFound
from conversations.inputs import (
    Outcome,
    SessionIn,
    SessionPatch,
    fold_customer,
    given,
    merge_patch,
    refuse_large,
)
from conversations.mirror.waking import wake
from conversations.models import Customer, DataKey, Message, Session
from conversations.outcomes import TEXTS, searchable
from conversations.ports import Target, lifecycle
from conversations.principals import Actor
from conversations.services.customers import ensure_customer
from conversations.services.late_arrivals import refuse_late
from conversations.services.messages import windows
from conversations.services.messages.contents import Scrubber, key_owner
from conversations.services.messages.reading import external_ids, get_session
from conversations.tenancy import tenant_scope


def create_session(*, tenant_id: UUID, body: SessionIn) -> tuple[Session, bool]:
    """A new session, or the live one of the same external id; the flag says whether it is new.

    Runs in its own transaction, or in the open tenant scope.
    """
    with tenant_scope(tenant_id):
        if body.external_id is not None and (existing := _by_external_id(tenant_id, body.external_id)):
            return existing, False
        refuse_late(
            tenant_id=tenant_id, kind="session", external_id=body.external_id, made_at=body.created_at
        )
        customer = None
        if body.customer_id is not None:
            customer = ensure_customer(tenant_id, body.customer_id, made_at=body.created_at)
        session = new_session(tenant_id, body, customer, at=body.created_at or ids.now())
        try:
            with transaction.atomic():
                session.save(force_insert=True)
        except IntegrityError:
            winner = _by_external_id(tenant_id, body.external_id or "")
            if winner is None:
                raise
            return winner, False
        # Created now, so that the first append finds the key cached.
        keyring.sealing_key(tenant_id, *key_owner(session.customer_id, session.id))
        transaction.on_commit(wake)
    return session, True


def new_session(tenant_id: UUID, body: SessionIn, customer: Customer | None, *, at: datetime) -> Session:
    """The row of a session, not stored yet. Runs inside a tenant scope."""
    return Session(
        id=ids.new_id(at),
        created_at=at,
        earliest_at=at,
        tenant_id=tenant_id,
        customer=customer,
        external_id=body.external_id,
        channel=body.channel,
        language=body.language,
        outlet_id=body.outlet_id,
        title=_scrubbed(tenant_id, body.title),
        intents=body.intents or {},
        context=body.context or {},
        metadata=body.metadata or {},
    )


def update_session(*, tenant_id: UUID, session_id: UUID, patch: SessionPatch) -> Session:
    """A merge patch (RFC 7396). The customer may be named once, while there is none; Held under a legal hold."""
    with tenant_scope(tenant_id):
        session = _locked(tenant_id, session_id)
        if lifecycle().held_sessions(tenant_id, [session_id]):
            raise Held("A legal hold covers this session: it cannot be changed.")
        changes = given(patch)
        external_id = fold_customer(changes.pop("customer_id", None), changes.pop("user_id", None))
        merged: dict[str, Any] = {
            name: merge_patch(getattr(session, name), changes[name]) or {}
            for name in ("intents", "context", "metadata")
            if name in changes
        }
        refuse_large(merged)
        changes |= merged
        if "title" in changes:
            changes["title"] = _scrubbed(tenant_id, changes["title"])
        for name, value in changes.items():
            setattr(session, name, value)
        session.save(update_fields=[*changes, "updated_at"])
        if external_id is not None:
            name_customer(session, external_id)
        transaction.on_commit(wake)
    return session


def name_customer(session: Session, external_id: str) -> None:
    """Assign the session to a customer, with its messages and its own key, which is destroyed with the customer's."""
    if session.customer is not None:
        if session.customer.external_id == external_id:
            return
        raise Conflict("The session already has a customer.")
    customer = ensure_customer(session.tenant_id, external_id)
    session.customer = customer
    session.epoch += 1  # cached windows still name nobody
    session.save(update_fields=["customer", "epoch", "updated_at"])
    Message.objects.for_tenant(session.tenant_id).filter(session_id=session.id).update(customer=customer)
    DataKey.objects.for_tenant(session.tenant_id).filter(owner=KeyOwner.SESSION, owner_id=session.id).update(
        customer_id=customer.id
    )
    transaction.on_commit(lambda: windows.forget(session.tenant_id, session.id))


def close_session(*, tenant_id: UUID, session_id: UUID, outcome: Outcome | None) -> Session:
    """Close it, or merge more into the outcome of one that is closed. A later append opens it again."""
    with tenant_scope(tenant_id):
        session = _locked(tenant_id, session_id)
        if outcome is not None:
            merged = merge_patch(session.outcome or {}, scrubbed_outcome(tenant_id, given(outcome)))
            session.outcome, session.document = merged, outcome_document(merged)
        if session.status != SessionStatus.CLOSED:
            session.status, session.closed_at = SessionStatus.CLOSED, ids.now()
        session.save(update_fields=["outcome", "document", "status", "closed_at", "updated_at"])
        transaction.on_commit(lambda: windows.announce(tenant_id, session_id))
        transaction.on_commit(wake)
    return session


def delete_session(*, tenant_id: UUID, session_id: UUID, actor: Actor) -> Mapping[str, Any]:
    """Hide the session everywhere at once and open the erasure case that ends it; Held when a hold covers it."""
    with tenant_scope(tenant_id):
        get_session(tenant_id, session_id)
        return lifecycle().open_erasure(
            tenant_id=tenant_id,
            target=Target(session_id=session_id),
            actor=actor,
            reason="Deleted through the API.",
            basis="",
        )


def present_sessions(tenant_id: UUID, sessions: Sequence[Session]) -> list[dict[str, Any]]:
    """Sessions as the API shows them, in three queries however many there are."""
    if not sessions:
        return []
    held = lifecycle().held_sessions(tenant_id, [session.id for session in sessions])
    customers = external_ids(tenant_id, {session.customer_id for session in sessions})
    return [
        presenters.session(session, customer=customers.get(session.customer_id), held=session.id in held)
        for session in sessions
    ]


def _by_external_id(tenant_id: UUID, external_id: str) -> Session | None:
    return Session.objects.for_tenant(tenant_id).live().filter(external_id=external_id).first()


def _locked(tenant_id: UUID, session_id: UUID) -> Session:
    get_session(tenant_id, session_id)
    session = (
        Session.objects.for_tenant(tenant_id)
        .live()
        .filter(id=session_id)
        .select_for_update(of=("self",))
        .first()
    )
    if session is None:
        raise NotFound
    return session


def scrubbed_outcome(tenant_id: UUID, outcome: Mapping[str, Any]) -> dict[str, Any]:
    """The outcome as it is stored: scrubbed, because it is shown to agents of other customers."""
    scrubber = Scrubber(tenant_id)
    return {
        name: _scrubbed_texts(scrubber, value) if name in TEXTS else value for name, value in outcome.items()
    }


def outcome_document(outcome: Mapping[str, Any]) -> str | None:
    """The search document of an outcome, as the text of a `tsvector`; None when there is nothing to find."""
    return tsvector(lexemes(searchable(outcome))) or None


def _scrubbed_texts(scrubber: Scrubber, value: Any) -> Any:
    if isinstance(value, list):
        return [_scrubbed_texts(scrubber, item) for item in value]
    return scrubber(value).text if isinstance(value, str) else value


def _scrubbed(tenant_id: UUID, text: str | None) -> str | None:
    return None if text is None else Scrubber(tenant_id)(text).text
