"""Turns with what came before them, read in as few runs as possible."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from conversations.backends.values import Kind, MirrorKey
from conversations.enums import Entity
from conversations.ids import new_id
from conversations.indexing.batches import Due, read_batch
from conversations.indexing.turns import CHAPTER, Place, chapter_counts, read_windows, runs_of
from conversations.models import Message
from conversations.tenancy import tenant_scope
from tests.builders import make_session, make_tenant, message_ids, say

TENANT, SESSIONS = new_id(), [new_id(), new_id()]


@given(
    st.lists(st.tuples(st.sampled_from(SESSIONS), st.integers(1, 200), st.integers(0, 3), st.integers(0, 60)))
)
def test_runs_cover_exactly_what_is_wanted_and_never_touch(wanted):
    expected = {
        (session, position)
        for session, at, before, after in wanted
        for position in range(max(at - before, 1), at + after + 1)
    }

    runs = runs_of((Place(TENANT, session, at), before, after) for session, at, before, after in wanted)

    covered = [(run.session_id, p) for run in runs for p in range(run.first, run.last + 1)]
    assert sorted(covered) == sorted(expected)
    assert all(
        one is other or one.session_id != other.session_id or not one.first - 1 <= other.last <= one.last + 1
        for one in runs
        for other in runs
    )


@pytest.fixture
def talk(database):
    tenant = make_tenant()
    session = make_session(tenant, customer_id="ann")
    return (
        tenant,
        session,
        message_ids(say(tenant, session, *[f"turn {n}" for n in range(1, 121)], name="Ann")),
    )


def test_a_window_is_a_turn_after_at_most_two(talk):
    _, _, ids = talk

    windows = read_windows([ids[0], ids[1], ids[70]])

    assert windows[ids[0]].texts == ["turn 1"]
    assert windows[ids[1]].texts == ["turn 1", "turn 2"]
    assert windows[ids[70]].texts == ["turn 69", "turn 70", "turn 71"]


def test_what_is_hidden_or_unknown_has_no_window_and_is_in_none(talk):
    tenant, _, ids = talk
    with tenant_scope(tenant.id):
        Message.objects.filter(id=ids[4]).update(hidden_at=timezone.now())

    windows = read_windows([ids[4], ids[5], UUID(int=7)])

    assert list(windows) == [ids[5]]
    assert windows[ids[5]].texts == ["turn 4", "turn 6"]


def test_windows_take_two_statements_however_many(talk):
    _, _, ids = talk

    def statements(wanted):
        with CaptureQueriesContext(connections["ops"]) as captured:
            read_windows(wanted)
        return len(captured)

    assert statements(ids[:1]) == statements(ids) == 2


def test_windows_are_read_by_the_session_whatever_the_planner_thinks_of_it(talk):
    """Without statistics the index by id looks as cheap, and would read the tenant once for each run."""
    tenant, _, ids = talk
    for _ in range(20):
        say(tenant, make_session(tenant), *["elsewhere"] * 50)

    with connections["ops"].cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(_READ)
        before = cursor.fetchone()[0]
    read_windows(ids[::3])
    with connections["ops"].cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(_READ)
        after = cursor.fetchone()[0]

    assert after - before < 20 * len(ids)  # against 1,120 for each of forty runs


_READ = """
    SELECT coalesce(sum(idx_tup_fetch + seq_tup_read), 0) FROM pg_stat_user_tables
    WHERE relname LIKE 'conversations_message\\_2%%' OR relname = 'conversations_message_default'
"""


def test_a_batch_brings_the_chapters_of_its_messages(talk):
    tenant, session, ids = talk
    due = [Due(Entity.MESSAGE, ids[n], tenant.id, 1) for n in (0, 1, CHAPTER + 5)]

    batch = read_batch(due)

    assert [chapter.key.part for chapter in batch.chapters] == [0, 1]
    assert [len(chapter.turns) for chapter in batch.chapters] == [CHAPTER, CHAPTER]
    assert batch.chapters[0].due == tuple(due[:2])
    assert batch.chapters[0].key == MirrorKey(Kind.CHAPTERS, tenant.id, session.id, 0)


def test_a_chapter_says_who_said_what_and_when(database):
    tenant = make_tenant()
    session = make_session(tenant)
    at = datetime(2023, 5, 8, 13, 56, tzinfo=UTC)
    ids = message_ids(say(tenant, session, "hello there", name="Ann", occurred_at=at))

    (chapter,) = read_batch([Due(Entity.MESSAGE, ids[0], tenant.id, 1)]).chapters

    assert chapter.upsert().document.text == "Ann: hello there (8 May 2023)"


def test_a_chapter_is_as_new_as_the_newest_of_what_it_holds_and_what_asked_for_it(talk):
    tenant, _, ids = talk
    newest = Message.objects.using("ops").filter(id__in=ids[:CHAPTER]).latest("row_version").row_version

    (plain,) = read_batch([Due(Entity.MESSAGE, ids[0], tenant.id, 1)]).chapters
    (told,) = read_batch([Due(Entity.MESSAGE, ids[0], tenant.id, 10**9)]).chapters

    assert (plain.version, told.version) == (newest, 10**9)


def test_a_session_that_is_gone_is_closed(database):
    tenant = make_tenant()

    batch = read_batch([Due(Entity.CHAPTERS, new_id(), tenant.id, 5)])

    assert (batch.chapters, len(batch.closed)) == ([], 1)


@pytest.mark.parametrize(("messages", "chapters"), [(0, 0), (1, 1), (50, 1), (51, 2)])
def test_chapters_are_counted_by_the_positions_ever_given(database, messages, chapters):
    tenant = make_tenant()
    session = make_session(tenant)
    if messages:
        say(tenant, session, *["x"] * messages)

    assert chapter_counts([session.id]) == {session.id: chapters}
