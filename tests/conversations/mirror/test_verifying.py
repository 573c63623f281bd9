"""`verify_mirrors`: what differs is found, counted, told in the agreed shape, and mended."""

import io
import socket
import threading

import httpx
import msgspec
import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone

from conversations.backends.configured import forget_stores
from conversations.backends.values import Kind, MirrorKey, Removal
from conversations.enums import Sink
from conversations.ids import new_id
from conversations.mirror.drain import drain
from conversations.models import Message
from conversations.tenancy import tenant_scope
from tests.builders import make_session, make_tenant, message_ids, say
from tests.conversations.backends.builders import key, message
from tests.conversations.mirror.conftest import as_owner, drain_all, events, make_due

LEVEL = {"missing": 0, "stale": 0, "extra": 0, "repaired": 0}


@pytest.fixture
def talk(stores):
    tenant = make_tenant()
    session = make_session(tenant, customer_id="ann")
    ids = message_ids(say(tenant, session, *[f"turn {n}" for n in range(1, 61)]))
    drain_all()
    return tenant, session, ids


def verify(*arguments):
    """The command's JSON, and whether it ended well."""
    output = io.StringIO()
    try:
        call_command("verify_mirrors", "--json", *arguments, stdout=output)
    except CommandError:
        return msgspec.json.decode(output.getvalue()), False
    return msgspec.json.decode(output.getvalue()), True


def silently(statement, *values):
    """Change messages as nobody may: without the triggers that would tell the mirrors."""
    as_owner("ALTER TABLE conversations_message DISABLE TRIGGER USER")
    as_owner(statement, *values)
    as_owner("ALTER TABLE conversations_message ENABLE TRIGGER USER")


def test_level_mirrors_agree_and_say_how_much_was_checked(talk):
    report, is_level = verify()

    assert is_level
    assert report == {
        "postgresql": {"checked": 62, **LEVEL},  # sixty messages, two chapters
        "elasticsearch": {"checked": 63, **LEVEL},  # and the session
        "milvus": {"checked": 60, **LEVEL},
    }


def test_a_store_that_is_off_is_null_and_agrees(lexical_only):
    report, is_level = verify()

    assert is_level
    assert (report["elasticsearch"], report["milvus"]) == (None, None)


def test_a_store_that_is_away_is_unreachable_and_does_not_agree(talk, settings):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings.ELASTICSEARCH_URL = f"http://127.0.0.1:{listener.getsockname()[1]}"
    forget_stores()

    plain, repairing = verify(), verify("--repair")

    for report, is_level in (plain, repairing):
        assert report["elasticsearch"] == {"unreachable": True}
        assert report["milvus"]["missing"] == 0
        assert not is_level
    with pytest.raises(CommandError, match=r"^Not reached, so not verified: elasticsearch\.$"):
        call_command("verify_mirrors", stdout=io.StringIO())


def test_what_differs_is_told_with_what_repairs_it(talk):
    _, _, ids = talk
    as_owner("DELETE FROM conversations_messageindex WHERE message_id = %s", ids[4])

    with pytest.raises(CommandError, match=r"^Different from PostgreSQL: postgresql\. .*--repair"):
        call_command("verify_mirrors", stdout=io.StringIO())


def test_what_a_store_lost_is_missing_until_it_is_repaired(stores, talk):
    tenant, _, ids = talk
    key = MirrorKey(Kind.MESSAGES, tenant.id, ids[4])
    stores.search.apply([Removal(key, 0)])  # too old to count
    as_owner("DELETE FROM conversations_messageindex WHERE message_id = %s", ids[4])
    stores.vectors.apply([Removal(key, 10**9)])

    before, after, again = verify(), verify("--repair"), verify()

    assert before[0]["postgresql"]["missing"] == before[0]["milvus"]["missing"] == 1
    assert before[0]["elasticsearch"]["missing"] == 0
    assert not before[1]
    assert after[0]["milvus"] == {"checked": 60, "missing": 1, "stale": 0, "extra": 0, "repaired": 1}
    assert after[1]
    assert again[1]


def test_what_was_deleted_by_hand_is_repaired_at_once(stores, talk, elasticsearch_url, settings):
    """Elasticsearch remembers the deletion, one version above the row's, and refuses the row as it was."""
    indices = f"{elasticsearch_url}/{settings.ELASTICSEARCH_PREFIX}-*"
    httpx.post(f"{indices}/_refresh").raise_for_status()
    everything = {"query": {"match_all": {}}}
    httpx.post(f"{indices}/_delete_by_query?refresh=true", json=everything).raise_for_status()

    before, after = verify(), verify("--repair")

    assert before[0]["elasticsearch"]["missing"] == 63
    assert after[0]["elasticsearch"] == {"checked": 63, "missing": 63, "stale": 0, "extra": 0, "repaired": 63}
    assert after[1]
    drain_all()  # the other stores hear of the new versions as of any change
    assert verify()[1]


def test_what_changed_without_an_event_is_stale(talk):
    _, _, ids = talk
    silently("UPDATE conversations_message SET row_version = nextval('row_version') WHERE id = %s", ids[9])

    before, after = verify(), verify("--repair")

    assert {name: store["stale"] for name, store in before[0].items()} == {
        "postgresql": 2,  # the message and its chapter
        "elasticsearch": 2,
        "milvus": 1,
    }
    assert after[1]


def test_what_went_without_an_event_is_extra(talk):
    _, _, ids = talk
    silently("DELETE FROM conversations_message WHERE id = ANY (%s)", ids[50:])

    before, after = verify(), verify("--repair")

    assert {name: store["extra"] for name, store in before[0].items()} == {
        "postgresql": 11,  # ten messages and the second chapter
        "elasticsearch": 11,
        "milvus": 10,
    }
    assert after[1]
    assert verify()[1]


def test_versions_that_a_restored_record_forgot_are_outrun(stores, talk):
    """After a restore the mirrors hold versions from a future that never came."""
    silently("UPDATE conversations_message SET row_version = row_version - 1000000 WHERE position < 4")

    before, after = verify(), verify("--repair")

    assert before[0]["milvus"]["stale"] == 3
    assert after[1]
    assert verify()[1]


def test_what_is_on_its_way_is_no_difference(stores, talk):
    tenant, session, _ = talk
    say(tenant, session, "just now")
    as_owner("UPDATE conversations_mirrorevent SET next_at = now() + interval '1 second'")

    def follow():
        drain()
        connections.close_all()

    later = threading.Timer(1.5, follow)
    later.start()

    report, is_level = verify()
    later.join()

    assert is_level
    assert report["milvus"]["missing"] == 0


def test_a_backlog_that_nobody_drains_is_missing(talk):
    tenant, session, _ = talk
    say(tenant, session, "not yet")

    report, is_level = verify()

    assert (report["milvus"]["missing"], is_level) == (1, False)


def test_a_parked_row_is_tried_again_by_a_repair(stores, talk):
    as_owner("DELETE FROM conversations_messageindex WHERE position = 7")
    as_owner(
        "INSERT INTO conversations_mirrorevent (tenant_id, sink, entity, entity_id, entity_version, parked_at)"
        " SELECT tenant_id, %s, 1, id, row_version, now() FROM conversations_message WHERE position = 7",
        Sink.LEXICAL,
    )

    report, is_level = verify("--repair")

    assert report["postgresql"]["repaired"] == 1
    assert is_level
    assert events() == 0


def test_a_missing_index_and_a_missing_collection_are_made_with_their_mapping(stores, talk):
    stores.search.drop_indexes()
    stores.vectors.drop()

    before, after, again = verify(), verify("--repair"), verify()
    dynamic = stores.search.connection.ask(
        10, lambda client: client.indices.get_mapping(index=f"{stores.search.prefix}-messages")
    )

    assert (before[0]["elasticsearch"]["missing"], before[0]["milvus"]["missing"]) == (63, 60)
    assert after[0]["elasticsearch"]["repaired"] == 63
    assert (after[1], again[1]) == (True, True)
    assert all(index["mappings"]["dynamic"] == "strict" for index in dynamic.values())


def test_one_tenant_is_checked_and_the_others_are_left_alone(talk):
    other = make_tenant("other")
    say(other, make_session(other), "elsewhere")
    make_due()
    as_owner("DELETE FROM conversations_mirrorevent")

    mine, theirs, repaired = (
        verify("--tenant", "acme"),
        verify("--tenant", "other"),
        verify("--tenant", "acme", "--repair"),
    )

    assert mine[1]
    assert not theirs[1]
    assert theirs[0]["milvus"]["missing"] == 1
    assert repaired[0]["milvus"]["repaired"] == 0


def test_an_unknown_tenant_is_refused(lexical_only):
    with pytest.raises(CommandError, match="no tenant"):
        call_command("verify_mirrors", "--tenant", "nobody")


def test_another_installation_in_the_same_stores_is_no_difference(stores, talk):
    """Two installations may share a prefix by mistake; neither repairs the other away."""
    stranger = key(new_id())
    stores.search.apply([message(stranger)])

    report, is_level = verify("--repair")

    assert is_level
    assert report["elasticsearch"]["extra"] == 0
    assert stores.search.present([stranger]) == {stranger}


def test_messages_hidden_from_readers_are_not_looked_for(talk):
    tenant, _, ids = talk
    with tenant_scope(tenant.id):
        Message.objects.filter(id__in=ids[:5]).update(hidden_at=timezone.now())
    drain_all()

    report, is_level = verify()

    assert is_level
    assert report["milvus"]["checked"] == 55
