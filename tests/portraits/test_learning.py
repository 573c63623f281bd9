"""Learning is pure: the same record gives the same portrait, and people come before inference."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from portraits.enums import Provenance
from portraits.learning import learn, with_learned, with_model_traits, with_summary
from portraits.rules import DEFAULT_RULES, AnnotatedMessage
from portraits.state import KnownTrait, Sentiment, State, Summary, trend_of

START = datetime(2026, 1, 1, tzinfo=UTC)
SESSION = UUID(int=99)


def heard(number: int, **preferences) -> AnnotatedMessage:
    agents = {"memory_agent": {"preferences": preferences}}
    at = START + timedelta(minutes=number)
    return AnnotatedMessage(message_id=UUID(int=number), session_id=SESSION, at=at, agents=agents)


def never(_seen) -> bool:
    return False


def learnt(state: State, *messages: AnnotatedMessage) -> State:
    learned = learn(messages, DEFAULT_RULES, never)
    return with_learned(state, learned, {one.message_id for one in messages})


def trait(name="skin", value="dry", kind=Provenance.ASSERTED, **fields) -> KnownTrait:
    return KnownTrait(name=name, value=value, confidence=1.0, kind=kind, valid_from=START, **fields)


def only(state: State) -> KnownTrait:
    (one,) = state.traits
    return one


def test_the_last_word_is_current_and_only_its_messages_prove_it():
    one = only(learnt(State(), heard(1, skin="oily"), heard(2, skin="dry"), heard(3, skin="dry")))

    assert (one.value, one.kind, one.valid_from) == ("dry", "inferred", START + timedelta(minutes=2))
    assert one.source_message_ids == (UUID(int=2), UUID(int=3))


def test_inference_never_takes_the_place_of_an_assertion():
    for kind in (Provenance.ASSERTED, Provenance.IMPORTED):
        stated = State(traits=(trait(kind=kind),))

        assert learnt(stated, heard(1, skin="oily")) == stated


def test_what_somebody_denied_is_not_inferred_again():
    denied = State(traits=(trait(value=None),))

    assert learnt(denied, heard(1, skin="oily")) == denied


def test_doing_it_again_changes_nothing():
    messages = [heard(1, skin="oily", hair="red"), heard(2, skin="oily")]
    once = learnt(State(), *messages)

    assert learnt(once, *messages) == once


def test_what_older_messages_said_stays():
    older = learnt(State(), heard(1, skin="oily"))

    both = learnt(older, heard(2, skin="oily", hair="red"))

    skin = next(one for one in both.traits if one.name == "skin")
    assert skin.source_message_ids == (UUID(int=1), UUID(int=2))
    assert skin.valid_from == older.traits[0].valid_from


def test_a_correction_takes_back_what_a_message_said_before():
    before = learnt(State(), heard(1, skin="oily"), heard(2, hair="red"))

    after = learnt(before, heard(1, hair="red"), heard(2, hair="red"))

    assert [one.name for one in after.traits] == ["hair"]


def test_what_was_shown_proves_nothing():
    learned = learn([heard(1, skin="oily")], DEFAULT_RULES, lambda seen: seen.value == "oily")

    assert learned.traits == {}


def test_a_summary_that_somebody_wrote_stands():
    written = State(summary=Summary("mine", Provenance.ASSERTED))

    assert with_summary(written, Summary("theirs", Provenance.INFERRED)) == written
    assert with_summary(State(), Summary("theirs", Provenance.INFERRED)).summary.text == "theirs"


def test_the_model_gives_way_to_everybody_and_replaces_itself():
    state = State(traits=(trait("age", 40), trait("old", "x", Provenance.INFERRED, by_model=True)))
    read = [
        trait("age", 7, Provenance.INFERRED, by_model=True),
        trait("new", "y", Provenance.INFERRED, by_model=True),
    ]

    found = with_model_traits(state, read)

    assert [(one.name, one.value) for one in found.traits] == [("age", 40), ("new", "y")]


@given(st.sets(st.integers(1, 8)), st.sets(st.integers(1, 8)))
def test_nothing_rests_on_a_message_that_may_not_be_seen(sources, seen):
    ids = tuple(UUID(int=number) for number in sorted(sources))
    visible = {UUID(int=number) for number in seen}
    state = State(
        traits=(trait(source_message_ids=ids), trait("bare")),
        sentiments=tuple(Sentiment(0.1, START, one) for one in ids),
        summary=Summary("x", Provenance.INFERRED, ids),
    )

    left = state.resting_on(visible)

    assert left.evidence <= visible
    assert any(one.name == "bare" for one in left.traits)
    assert any(one.name == "skin" for one in left.traits) == (not ids or bool(set(ids) & visible))
    assert (left.summary is not None) == (set(ids) <= visible)
    assert left.resting_on(visible) == left


@given(st.lists(st.floats(-1, 1), max_size=30))
def test_a_trend_has_one_of_three_names(scores):
    samples = [Sentiment(score, START + timedelta(minutes=i)) for i, score in enumerate(scores)]

    assert trend_of(samples) in ({None} if len(scores) < 2 else {"improving", "stable", "declining"})


def test_only_the_latest_moods_are_kept():
    state = State().with_sentiments(
        Sentiment(0.0, START + timedelta(minutes=i), UUID(int=i + 1)) for i in range(50)
    )

    assert [one.message_id for one in state.sentiments] == [UUID(int=i) for i in range(31, 51)]
    assert structs.replace(state, sentiments=()).sentiment_score is None
