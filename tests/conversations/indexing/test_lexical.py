"""PostgreSQL's search tables say what Elasticsearch is told."""

import pytest
from django.db import connections
from hypothesis import given
from hypothesis import strategies as st

from conversations.analysis import decode_features, lexemes, whole_lexemes
from conversations.enums import Entity
from conversations.ids import new_id, now
from conversations.indexing import lexical
from conversations.indexing.batches import Due
from conversations.indexing.turns import Turn
from conversations.models import ChapterIndex, MessageIndex
from tests.builders import make_session, make_tenant, message_ids, say

NAMES = st.none() | st.sampled_from(["Ann", "王芳", "O'Neill", "user 7"])


@given(st.text(max_size=200), NAMES)
def test_the_stems_of_a_line_are_those_of_its_parts(text, name):
    turn = Turn(
        id=new_id(),
        tenant_id=new_id(),
        session_id=new_id(),
        customer_id=None,
        role="user",
        name=name,
        language=None,
        position=1,
        created_at=now(),
        occurred_at=None,
        text=text,
        row_version=1,
    )

    assert list(lexical._line_stems(turn)) == whole_lexemes(turn.line)


@pytest.fixture
def written(database):
    tenant = make_tenant()
    ids = message_ids(say(tenant, make_session(tenant), "Zebras graze.", "Where?", "On the 草原 plains!"))
    lexical.write([Due(Entity.MESSAGE, message_id, tenant.id, 1) for message_id in ids])
    return tenant, ids


def terms(query, *values):
    with connections["ops"].cursor() as cursor:
        cursor.execute(f"SELECT tsvector_to_array({query})", list(values))
        return set(cursor.fetchone()[0])


def test_a_context_has_the_terms_of_the_turn_and_of_two_before(written):
    _, ids = written

    found = terms("context) FROM conversations_messageindex WHERE message_id = (%s", ids[2])

    assert found == set(lexemes("Zebras graze. Where? On the 草原 plains!"))


def test_features_are_those_of_the_turn_alone(written):
    _, ids = written

    features = decode_features(bytes(MessageIndex.objects.using("ops").get(message_id=ids[1]).features))

    assert (features.ends_asking, features.words) == (True, " where ")


def test_an_older_write_does_not_undo_a_newer_one(written):
    tenant, ids = written
    MessageIndex.objects.using("ops").filter(message_id=ids[0]).update(row_version=10**12, role="tool")
    ChapterIndex.objects.using("ops").update(row_version=10**12, document="kept")

    lexical.write([Due(Entity.MESSAGE, ids[0], tenant.id, 1)])

    assert MessageIndex.objects.using("ops").get(message_id=ids[0]).row_version == 10**12
    assert ChapterIndex.objects.using("ops").get().row_version == 10**12


def test_content_at_its_largest_is_written(database):
    """More different words than a tsvector has room for, and one longer than a lexeme may be."""
    tenant = make_tenant()
    large = " ".join(f"word{n}" for n in range(25_000)) + " " + "x" * 10_000
    ids = message_ids(say(tenant, make_session(tenant), *[large[: 250 * 1024]] * 5))

    lexical.write([Due(Entity.MESSAGE, message_id, tenant.id, 1) for message_id in ids])

    assert MessageIndex.objects.using("ops").count() == 5
    assert ChapterIndex.objects.using("ops").count() == 1
