"""The sample tenants as a reader meets them."""

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversations import demo, inputs
from conversations.demo import DemoSession, DemoTenant
from conversations.demo.agents import STAGES
from conversations.demo.bodies import close_body, message_body, session_body
from conversations.pii import Kind, scrub

NOW = datetime(2025, 11, 21, 9, 30, tzinfo=UTC)
AGENTS = {
    "compliance",
    "sentiment",
    "intent",
    "sales",
    "product",
    "memory",
    "strategy",
    "proactive",
    "suggestion",
}
OPEN_SLOT = re.compile(r"(?<![{$])\{[a-z_]\w*(\.\w+)?([+-]\d+)?\}(?!\})")
OPEN_CHOICE = re.compile(r"\[[^\[\]{}]*\|[^\[\]{}]*\]")


@pytest.fixture(scope="module")
def tenants() -> tuple[DemoTenant, ...]:
    return tuple(demo.conversations(NOW))


@pytest.fixture(scope="module")
def sessions(tenants: tuple[DemoTenant, ...]) -> tuple[DemoSession, ...]:
    return tuple(session for tenant in tenants for session in tenant.sessions)


def read(session: DemoSession) -> tuple[str, ...]:
    return tuple(message.content for message in session.messages)


def test_demo_has_four_trades_of_promised_size(tenants, sessions):
    messages = sum(len(session.messages) for session in sessions)

    assert len(tenants) == 4
    assert 230 <= len(sessions) <= 300
    assert 2_000 <= messages <= 3_500
    assert 50 <= sum(len(tenant.customers) for tenant in tenants) <= 70
    assert all(len(tenant.sessions) >= 50 for tenant in tenants)


def test_demo_is_the_same_every_time(tenants):
    assert tuple(demo.conversations(NOW)) == tenants


def test_demo_told_later_keeps_its_external_ids(sessions):
    later = [session for tenant in demo.conversations(NOW + timedelta(days=3)) for session in tenant.sessions]

    assert {session.external_id for session in later} == {session.external_id for session in sessions}


def test_no_two_sessions_read_the_same(sessions):
    repeated = [words for words, times in Counter(map(read, sessions)).items() if times > 1]

    assert repeated == []


def test_no_two_sessions_share_most_lines(sessions):
    def alike(one: DemoSession, other: DemoSession) -> bool:
        first, second = set(read(one)), set(read(other))
        return len(first & second) > 0.85 * min(len(first), len(second))

    twins = [
        (one.title, other.title)
        for index, one in enumerate(sessions)
        for other in sessions[index + 1 :]
        if alike(one, other)
    ]

    assert twins == []


def test_ids_are_given_once(sessions):
    external_ids = [session.external_id for session in sessions]
    message_ids = [message.external_id for session in sessions for message in session.messages]

    assert len(set(external_ids)) == len(external_ids)
    assert len(set(message_ids)) == len(message_ids)


def test_nothing_is_left_open_in_the_texts(sessions):
    texts = [text for session in sessions for text in (session.title, *read(session))]
    texts += [note.text or "" for s in sessions for m in s.messages for note in m.attachments]

    assert [text for text in texts if OPEN_SLOT.search(text)] == []
    assert [text for text in texts if OPEN_CHOICE.search(text)] == []


@given(now=st.datetimes(datetime(2024, 1, 1), datetime(2031, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 (Hypothesis wants naive bounds)
@settings(max_examples=6, deadline=None)
def test_nothing_happens_after_now_or_before_its_session(now):
    for tenant in demo.conversations(now):
        for session in tenant.sessions:
            times = [message.created_at for message in session.messages]
            assert session.created_at <= times[0]
            assert times == sorted(times)
            assert times[-1] <= now


def test_a_third_is_past_the_message_period_and_most_is_live(sessions):
    ages = [(NOW - session.created_at).days for session in sessions]

    assert 0.5 <= sum(age <= 80 for age in ages) / len(ages) <= 0.75
    assert 0.25 <= sum(age > 90 for age in ages) / len(ages) <= 0.4
    assert max(ages) <= 160
    assert len({session.created_at.hour for session in sessions}) >= 18


def test_messages_are_valid_for_the_api(sessions):
    for session in sessions:
        for message in session.messages:
            body = msgspec.json.encode(message_body(message))
            msgspec.json.decode(body, type=inputs.MessageIn).normal(may_import=True, now=NOW)


def test_sessions_and_outcomes_are_valid_for_the_api(sessions):
    for session in sessions:
        body = msgspec.json.encode(session_body(session, NOW))
        msgspec.json.decode(body, type=inputs.SessionIn).normal(now=NOW)
        msgspec.json.decode(msgspec.json.encode(close_body(session)), type=inputs.CloseBody)


def test_everybody_named_is_a_customer_of_the_tenant(tenants):
    for tenant in tenants:
        known = {customer.external_id for customer in tenant.customers}
        named = {session.customer for session in tenant.sessions}
        named |= {record.customer for record in (*tenant.memories, *tenant.holds) if record.customer}
        named |= {erasure.customer for erasure in tenant.erasures}

        assert named <= known
        assert {erasure.customer for erasure in tenant.erasures} <= {s.customer for s in tenant.sessions}


def test_cosmetics_replies_carry_nine_agents(tenants):
    replies = [
        message
        for session in tenants[0].sessions
        for message in session.messages
        if message.role == "assistant" and message.name is None
    ]

    assert replies
    for reply in replies:
        assert set(reply.agent_responses) == {f"{agent}_agent" for agent in AGENTS}
        assert -1 <= reply.agent_responses["sentiment_agent"]["score"] <= 1


def test_most_cosmetics_intents_have_a_sales_stage(tenants):
    intents = {m.intent for s in tenants[0].sessions for m in s.messages if m.intent}

    assert STAGES.keys() <= intents


def test_tool_results_follow_their_calls(tenants):
    sessions = tenants[2].sessions
    answered = 0
    for session in sessions:
        for before, message in pairwise(session.messages):
            if message.role == "tool":
                answered += 1
                assert message.turn_id == before.turn_id
                assert before.role == "tool" or before.metadata["tool_calls"]

    assert answered >= 50


def test_what_is_recent_is_open_and_the_rest_closed(tenants):
    for tenant in tenants:
        today = [session for session in tenant.sessions if NOW - session.created_at < timedelta(hours=24)]
        still_open = [session for session in tenant.sessions if session.outcome is None]

        assert len(today) >= 2
        assert still_open
        assert all(NOW - session.messages[-1].created_at < timedelta(hours=16) for session in still_open)


def test_returning_customers_hear_of_the_last_time(tenants):
    by_id = {session.title: session for session in tenants[2].sessions}
    recalls = [title for title in by_id if title.startswith("What was wrong with")]

    assert recalls
    for title in recalls:
        device = title.removeprefix("What was wrong with ").rstrip("?")
        earlier = [s for s in tenants[2].sessions if s.title == f"Stale events from {device}"]
        assert any(s.customer == by_id[title].customer for s in earlier)


@pytest.mark.parametrize(
    "sign",
    [
        "<script>",
        "DROP TABLE",
        "😂",
        "مرحبا",
        "היי",
        "ignore your previous instructions",
    ],
)
def test_demo_contains_what_has_to_be_handled(sessions, sign):
    assert any(sign in text for session in sessions for text in read(session))


def test_every_kind_of_personal_data_appears_and_is_found(sessions):
    found = {span.kind for session in sessions for text in read(session) for span in scrub(text).spans}

    assert found == set(Kind)


def test_some_messages_are_long(sessions):
    assert max(len(text) for session in sessions for text in read(session)) > 1_200


def test_data_files_are_short_enough_to_read():
    files = [
        path for path in Path(demo.__file__).parent.rglob("*") if path.suffix in (".py", ".txt", ".json")
    ]

    assert files
    assert [path.name for path in files if len(path.read_text("utf-8").splitlines()) >= 500] == []
