"""What everything that finds by words promises: Elasticsearch, PostgreSQL and the fake."""

import datetime as dt
from typing import Any
from uuid import UUID

import pytest

from conversations.backends.values import Kind, MirrorKey, SearchFilter
from conversations.exceptions import TenantMissing
from conversations.ids import floor_id, new_id
from tests.conversations.backends.builders import NOON, chapter, key, memory, message
from tests.conversations.backends.conftest import Lexical

DAY = dt.timedelta(days=1)
MOMENT = dt.timedelta(milliseconds=1)


def found(lexical: Lexical, words: str, tenant: UUID, **narrowed: Any) -> list[UUID]:
    where = SearchFilter(tenant_id=tenant, **narrowed)
    return [hit.id for hit in lexical.search.candidates(words, words, where).messages]


def test_candidates_are_found_by_their_context_best_first(lexical: Lexical, tenant: UUID) -> None:
    weak, strong, none = key(tenant), key(tenant), key(tenant)
    lexical.write(
        [
            message(weak, context="the printer is on fire"),
            message(strong, context="the printer in the cellar is on fire"),
            message(none, text="printer cellar", context="nothing of the kind"),
        ]
    )

    assert found(lexical, "printers cellar", tenant) == [strong.id, weak.id]


def test_candidates_are_found_in_chinese(lexical: Lexical, tenant: UUID) -> None:
    wanted, other = key(tenant), key(tenant)
    lexical.write([message(wanted, "敏感肌肤适合用哪款面霜"), message(other, "订单什么时候发货")])

    assert found(lexical, "推荐一款面霜", tenant) == [wanted.id]


def test_candidates_ignore_accents_and_width(lexical: Lexical, tenant: UUID) -> None:
    wanted = key(tenant)
    lexical.write([message(wanted, "a café with ＷＩＦＩ")])

    assert found(lexical, "cafe", tenant) == [wanted.id]
    assert found(lexical, "wifi", tenant) == [wanted.id]


@pytest.mark.parametrize(
    "words", ["", "   ", "?!", "the of and", "\x00", "\ud83d\ude00", "AND OR NOT *:* (", "的"]
)
def test_candidates_of_words_that_say_nothing_are_none(lexical: Lexical, tenant: UUID, words: str) -> None:
    lexical.write([message(key(tenant), "some words")])

    assert found(lexical, words.encode("utf-16", "surrogatepass").decode("utf-16"), tenant) == []


def test_candidates_of_a_very_long_question_come_back(lexical: Lexical, tenant: UUID) -> None:
    wanted = key(tenant)
    lexical.write([message(wanted, "printer")])
    question = "printer " + "".join(chr(0x4E00 + number) for number in range(20_000))

    assert found(lexical, question, tenant) == [wanted.id]


def test_candidates_are_as_many_as_asked_for(lexical: Lexical, tenant: UUID) -> None:
    lexical.write([message(key(tenant), "printer") for _ in range(5)])

    assert (
        len(lexical.search.candidates("printer", "", SearchFilter(tenant_id=tenant), limit=3).messages) == 3
    )


def test_candidates_keep_tenants_apart(lexical: Lexical, tenant: UUID, stranger: UUID) -> None:
    mine, foreign = key(tenant), key(stranger)
    lexical.write([message(mine, "printer"), message(foreign, "printer")])

    assert found(lexical, "printer", tenant) == [mine.id]
    assert found(lexical, "printer", stranger) == [foreign.id]


@pytest.mark.parametrize(
    "nobody", [None, "", "*", 'x" OR tenant_id:*', "00000000-0000-0000-0000-000000000000"]
)
def test_candidates_without_a_tenant_are_refused(lexical: Lexical, nobody: Any) -> None:
    with pytest.raises(TenantMissing):
        lexical.search.candidates("printer", "printer", SearchFilter(tenant_id=nobody))


def test_filters_narrow_one_by_one_and_together(lexical: Lexical, tenant: UUID) -> None:
    wanted, customer, in_session = key(tenant), new_id(), new_id()
    fields = {"customer_id": customer, "session_id": in_session, "role": "user", "language": "en"}
    lexical.write(
        [
            message(wanted, "printer", **fields),
            message(key(tenant), "printer", **fields | {"customer_id": new_id()}),
            message(key(tenant), "printer", **fields | {"customer_id": None}),
            message(key(tenant), "printer", **fields | {"session_id": new_id()}),
            message(key(tenant), "printer", **fields | {"role": "assistant"}),
            message(key(tenant), "printer", **fields | {"language": "zh"}),
        ]
    )

    assert len(found(lexical, "printer", tenant)) == 6
    for name, value in fields.items():
        assert len(found(lexical, "printer", tenant, **{name: value})) == 5 - (name == "customer_id")
    assert found(lexical, "printer", tenant, **fields) == [wanted.id]


def test_filter_by_time_includes_the_start_and_excludes_the_end(lexical: Lexical, tenant: UUID) -> None:
    early, late = key(tenant, at=NOON), key(tenant, at=NOON + DAY)
    lexical.write([message(early, "printer"), message(late, "printer")])

    assert set(found(lexical, "printer", tenant, start=NOON, end=NOON + DAY + MOMENT)) == {
        early.id,
        late.id,
    }
    assert found(lexical, "printer", tenant, start=NOON, end=NOON + DAY) == [early.id]
    assert found(lexical, "printer", tenant, start=NOON + MOMENT) == [late.id]


def test_filter_by_lowest_id_hides_what_has_expired(lexical: Lexical, tenant: UUID) -> None:
    old, new = key(tenant, at=NOON - MOMENT), key(tenant, at=NOON)
    lexical.write([message(old, "printer"), message(new, "printer")])

    assert found(lexical, "printer", tenant, min_id=floor_id(NOON)) == [new.id]


def test_sessions_score_by_their_best_chapter_for_the_whole_question(lexical: Lexical, tenant: UUID) -> None:
    one = key(tenant, Kind.CHAPTERS)
    second_part = MirrorKey(Kind.CHAPTERS, tenant, one.id, 1)
    other = key(tenant, Kind.CHAPTERS)
    lexical.write(
        [
            chapter(one, "Ann: about shoes"),
            chapter(second_part, "Ann: the printer in the cellar"),
            chapter(other, "Bob: another printer"),
        ]
    )

    answer = lexical.search.candidates("printer", "Ann's printer cellar", SearchFilter(tenant_id=tenant))

    assert [score.session_id for score in answer.sessions] == [one.id, other.id]
    assert answer.sessions[0].score > answer.sessions[1].score > 0
    assert answer.messages == ()


def test_session_scores_look_at_owner_and_session_only(lexical: Lexical, tenant: UUID) -> None:
    customer, mine, other = new_id(), key(tenant, Kind.CHAPTERS), key(tenant, Kind.CHAPTERS)
    lexical.write([chapter(mine, "printer", customer_id=customer), chapter(other, "printer")])

    def scored(**narrowed: Any) -> set[UUID]:
        answer = lexical.search.candidates("x", "printer", SearchFilter(tenant_id=tenant, **narrowed))
        return {score.session_id for score in answer.sessions}

    assert scored() == {mine.id, other.id}
    assert scored(role="tool", language="zh", start=NOON + DAY, min_id=floor_id(NOON + DAY)) == {
        mine.id,
        other.id,
    }
    assert scored(customer_id=customer) == {mine.id}
    assert scored(session_id=other.id) == {other.id}


def test_memories_of_a_customer_come_with_those_of_the_tenant(lexical: Lexical, tenant: UUID) -> None:
    customer = new_id()
    mine, shared, foreign = (key(tenant, Kind.MEMORIES) for _ in range(3))
    lexical.write(
        [
            memory(mine, "printer", customer_id=customer),
            memory(shared, "printer"),
            memory(foreign, "printer", customer_id=new_id()),
        ]
    )

    def matches(**narrowed: Any) -> set[UUID]:
        where = SearchFilter(tenant_id=tenant, **narrowed)
        return {hit.id for hit in lexical.search.matches(Kind.MEMORIES, "printers", where)}

    assert matches() == {mine.id, shared.id, foreign.id}
    assert matches(customer_id=customer) == {mine.id}
    assert matches(customer_id=customer, shared=True) == {mine.id, shared.id}
    assert matches(shared=True) == {shared.id}


def test_memories_are_filtered_by_kind_and_hidden_when_expired(lexical: Lexical, tenant: UUID) -> None:
    fact, note, gone = (key(tenant, Kind.MEMORIES) for _ in range(3))
    lexical.write(
        [
            memory(fact, "printer", expires_at=NOON + MOMENT),
            memory(note, "printer", kind="note"),
            memory(gone, "printer", expires_at=NOON),
        ]
    )

    def matches(**narrowed: Any) -> set[UUID]:
        where = SearchFilter(tenant_id=tenant, **narrowed)
        return {hit.id for hit in lexical.search.matches(Kind.MEMORIES, "printer", where)}

    assert matches(kind="note") == {note.id}
    assert matches(now=NOON) == {fact.id, note.id}
