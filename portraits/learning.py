"""Learns a portrait from observations. Pure: the same messages always give the same portrait."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from msgspec import structs

from portraits.enums import Provenance
from portraits.rules import AnnotatedMessage, Observation, Rule, observe
from portraits.state import KnownTrait, Purchase, Sentiment, State, Summary

ENOUGH_SOURCES = 10  # messages named as evidence of one trait; more would only create versions
MOST_TRAITS = 200
MOST_PURCHASES = 50

WasShown = Callable[[Observation], bool]


@dataclass
class Learned:
    """What the messages say now."""

    traits: dict[str, KnownTrait] = field(default_factory=dict)
    sentiments: list[Sentiment] = field(default_factory=list)
    purchases: list[Purchase] = field(default_factory=list)


def learn(heard: Iterable[AnnotatedMessage], rules: Sequence[Rule], was_shown: WasShown) -> Learned:
    """What these messages, oldest first, say of a customer.

    What an agent had been shown before proves nothing when it says so: it may only repeat it.
    """
    learned = Learned()
    for message in heard:
        for seen in observe(message, rules):
            if seen.to == "sentiment":
                learned.sentiments.append(Sentiment(seen.value, message.at, message.message_id))
            elif not was_shown(seen):
                _note(learned, seen)
    return learned


def _note(learned: Learned, seen: Observation) -> None:
    message = seen.heard
    if seen.to == "purchase":
        learned.purchases.append(Purchase(seen.value, message.at, message.message_id))
        return
    known = learned.traits.get(seen.name)
    if known is not None and known.value == seen.value:
        sources = (*known.source_message_ids, message.message_id)
        learned.traits[seen.name] = structs.replace(
            known, confidence=seen.confidence, source_message_ids=tuple(dict.fromkeys(sources))
        )
    else:
        learned.traits[seen.name] = KnownTrait(
            name=seen.name,
            value=seen.value,
            confidence=seen.confidence,
            kind=Provenance.INFERRED,
            source_message_ids=(message.message_id,),
            valid_from=message.at,
        )


def with_learned(state: State, learned: Learned, looked_at: Collection[UUID]) -> State:
    """The state with everything these messages say now in place of everything they said before.

    What somebody asserted or imported stands, and so does what older messages said.
    """
    known = {trait.name: trait for trait in state.traits}
    older = {name: _older(trait, looked_at) for name, trait in known.items()}
    state = state.without_traits([name for name, trait in older.items() if trait is None])
    fresh = [
        _joined(older.get(name), trait)
        for name, trait in learned.traits.items()
        if name not in known or known[name].kind == Provenance.INFERRED
    ]
    room = MOST_TRAITS - len(known)
    new = [trait for trait in fresh if trait.name not in known][: max(room, 0)]
    state = state.with_traits([*(trait for trait in fresh if trait.name in known), *new])
    told = [one for one in state.sentiments if one.message_id not in looked_at]
    state = structs.replace(state, sentiments=tuple(told)).with_sentiments(learned.sentiments)
    purchases = [*(one for one in state.purchases if one.message_id not in looked_at), *learned.purchases]
    latest = sorted(purchases, key=lambda one: one.at)[-MOST_PURCHASES:]
    return structs.replace(state, purchases=tuple(latest))


def with_model_traits(state: State, traits: Iterable[KnownTrait]) -> State:
    """What a language model inferred replaces what it inferred before, and yields to every other source."""
    others = [trait for trait in state.traits if not trait.by_model]
    said = {trait.name for trait in others}
    kept = [trait for trait in traits if trait.name not in said][: max(MOST_TRAITS - len(others), 0)]
    return structs.replace(state, traits=tuple(others)).with_traits(kept)


def with_summary(state: State, summary: Summary | None) -> State:
    """The state with this summary, unless somebody asserted or imported one."""
    if state.summary is not None and state.summary.kind != Provenance.INFERRED:
        return state
    return structs.replace(state, summary=summary)


def _older(trait: KnownTrait, looked_at: Collection[UUID]) -> KnownTrait | None:
    """The trait as far as it does not rest on these messages; they say it anew, or do not."""
    if trait.kind != Provenance.INFERRED or trait.by_model:
        return trait
    left = tuple(source for source in trait.source_message_ids if source not in looked_at)
    return structs.replace(trait, source_message_ids=left) if left else None


def _joined(known: KnownTrait | None, learned: KnownTrait) -> KnownTrait:
    """Evidence of the same value adds up, until it is enough; another value begins anew."""
    if known is None or known.value != learned.value:
        return structs.replace(learned, source_message_ids=learned.source_message_ids[:ENOUGH_SOURCES])
    sources = dict.fromkeys((*known.source_message_ids, *learned.source_message_ids))
    return structs.replace(
        learned, source_message_ids=tuple(sources)[:ENOUGH_SOURCES], valid_from=known.valid_from
    )
