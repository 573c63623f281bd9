"""Keeps portraits up to date with the messages: what lost its evidence is retracted, what was said is learnt.

Messages are read as they are now and compared; nothing is replayed, so doing it twice changes nothing.
"""

from collections.abc import Collection
from uuid import UUID

import structlog
from django.conf import settings
from django.db import OperationalError

from conversations.ids import moment_of
from conversations.models import Customer
from conversations.tenancy import tenant_scope
from portraits.backends.language_model import LanguageModel, ModelUnavailable, Reading, language_model
from portraits.enums import Provenance, Work
from portraits.extracts import Utterance, extract
from portraits.learning import learn, with_learned, with_model_traits, with_summary
from portraits.models import Portrait
from portraits.rules import parse_rules
from portraits.services.evidence import seen_messages
from portraits.services.marks import finish, mark, put_off, take_marks
from portraits.services.record import Record, read_record
from portraits.services.retraction import retract_versions
from portraits.services.shown import shown_before
from portraits.services.storage import change_portrait
from portraits.state import KnownTrait, State, Summary, newest_sources

log = structlog.get_logger(__name__)

SETTLE = 5.0  # seconds of quiet before a language model is asked
MOST_SENT = 12_000  # characters that a language model gets to read


def learn_due() -> int:
    """Refresh the portrait whose mark has waited longest; returns how many. Retries a locked customer in a second."""
    taken = take_marks(Work.LEARN, 1)
    for one in taken:
        try:
            refresh_portrait(one.tenant_id, one.customer_id)
        except OperationalError as error:
            log.info("portraits.refresh_put_off", customer_id=str(one.customer_id), attempts=one.attempts)
            put_off(one, error)
        else:
            finish(one)
    return len(taken)


def describe_due() -> int:
    """Let the language model describe customers; returns how many. What fails now is retried later."""
    model = language_model()
    if model is None:
        return 0
    taken = take_marks(Work.DESCRIBE, 1)
    for one in taken:
        try:
            describe_portrait(one.tenant_id, one.customer_id, model)
        except ModelUnavailable as error:
            log.info("portraits.model_unavailable", reason=str(error), attempts=one.attempts)
            put_off(one, error)
        else:
            finish(one)
    return len(taken)


def refresh_portrait(tenant_id: UUID, customer_id: UUID) -> None:
    """Retract what lost its evidence and learn what the messages say, in one transaction."""
    with tenant_scope(tenant_id):
        customer = _living(tenant_id, customer_id)
        if customer is None:
            return
        record = read_record(tenant_id, customer_id)
        sessions = {one.session_id for one in record.heard}
        was_shown = shown_before(tenant_id, customer_id, sessions)
        learned = learn(record.heard, parse_rules(settings.PORTRAIT_RULES), was_shown)
        has_model = language_model() is not None
        if (
            not record.heard
            and not Portrait.objects.for_tenant(tenant_id).filter(customer_id=customer_id).exists()
        ):
            return

        unread = False

        def change(state: State) -> State:
            nonlocal unread
            state = state.resting_on(seen_messages(tenant_id, state.evidence))
            state = with_learned(state, learned, record.message_ids)
            unread = _is_behind(state, record)  # checked before an extract replaces the model's summary
            if has_model and state.summary is not None:
                return state  # the model's, until it has read what is new
            return with_summary(state, _extracted(record))

        change_portrait(tenant_id=tenant_id, customer=customer, change=change)
        retract_versions(tenant_id, customer_id)
        if has_model and unread:
            mark(tenant_id, customer_id, Work.DESCRIBE, after=SETTLE)


def describe_portrait(tenant_id: UUID, customer_id: UUID, model: LanguageModel) -> None:
    """A summary and traits by the model, from the customer's own scrubbed words; no transaction is open meanwhile.

    ModelUnavailable when it gave no usable answer.
    """
    with tenant_scope(tenant_id):
        customer = _living(tenant_id, customer_id)
        said = _latest(read_record(tenant_id, customer_id).said) if customer is not None else []
    if customer is None or not said:
        return
    reading = model.read([one.text for one in said])
    sources = [one.message_id for one in said]
    with tenant_scope(tenant_id):
        if _living(tenant_id, customer_id) is None or seen_messages(tenant_id, sources) != set(sources):
            mark(tenant_id, customer_id, Work.DESCRIBE)  # something went meanwhile, and may be in the answer
            return
        change_portrait(
            tenant_id=tenant_id, customer=customer, change=lambda state: _described(state, reading, said)
        )


def _described(state: State, reading: Reading, said: list[Utterance]) -> State:
    summary = reading.summary.strip()
    if summary:
        sources = tuple(one.message_id for one in said)
        state = with_summary(state, Summary(summary, Provenance.INFERRED, sources))
    return with_model_traits(state, _read_traits(reading, said))


def _read_traits(reading: Reading, said: list[Utterance]) -> list[KnownTrait]:
    """Traits that name a message which was sent; others rest on nothing."""
    traits = []
    for read in reading.traits:
        sources = [said[number - 1].message_id for number in read.messages if 0 < number <= len(said)]
        if sources:
            traits.append(
                KnownTrait(
                    name=read.name.strip(),
                    value=read.value.strip(),
                    confidence=read.confidence,
                    kind=Provenance.INFERRED,
                    source_message_ids=newest_sources(sources),
                    valid_from=moment_of(min(sources)),
                    by_model=True,
                )
            )
    return traits


def _living(tenant_id: UUID, customer_id: UUID) -> Customer | None:
    customers = Customer.objects.for_tenant(tenant_id).filter(id=customer_id, erased_at__isnull=True)
    return customers.select_for_update(no_key=True).first()


def _extracted(record: Record) -> Summary | None:
    found = extract(record.said)
    return None if found is None else Summary(found.text, Provenance.INFERRED, found.message_ids)


def _is_behind(state: State, record: Record) -> bool:
    """Whether the customer said something that the model has not read."""
    read: Collection[UUID] = state.summary.source_message_ids if state.summary else ()
    is_ours = state.summary is None or state.summary.kind == Provenance.INFERRED
    return bool(record.said) and is_ours and record.said[-1].message_id not in read


def _latest(said: Collection[Utterance]) -> list[Utterance]:
    """The latest words, oldest first, within what a model gets to read."""
    kept: list[Utterance] = []
    room = MOST_SENT
    for one in reversed(list(said)):
        room -= len(one.text)
        if room < 0 and kept:
            break
        kept.append(one)
    return kept[::-1]
