"""What `/stats` says, and how old it may be."""

import msgspec
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from conversations.backends.configured import forget_stores
from conversations.services.statistics import usage
from conversations.timed_cache import TimedCache
from retention.services.policies import expiries
from tests.builders import make_key, make_session, make_tenant, say
from tests.conversations.mirror.conftest import as_owner, drain_all


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch):
    monkeypatch.setattr(usage, "_counts", TimedCache())


def read(tenant):
    answer = Client(headers={"authorization": f"Bearer {make_key(tenant, 'read')}"}).get("/api/v1/stats")
    assert answer.status_code == 200
    return msgspec.json.decode(answer.content)


def test_the_figures_are_those_of_the_keys_tenant(stores):
    tenant, other = make_tenant(), make_tenant("other")
    say(tenant, make_session(tenant, customer_id="ann"), "one", "two", "three")
    say(other, make_session(other, customer_id="bob"), "elsewhere")
    drain_all()

    found = read(tenant)

    assert (found["messages"], found["sessions"], found["customers"], found["memories"]) == (3, 1, 1, 0)
    assert found["documents"] == {"elasticsearch": 5, "milvus": 3}  # messages, their chapter and session
    assert found["ingest"] == {"last_minute": 3, "last_hour": 3, "last_day": 3}
    assert found["oldest_message_at"] is not None
    assert found["bytes"]["messages"] > 0


def test_the_mirror_is_told_at_once_though_counts_are_remembered(stores):
    tenant = make_tenant()
    session = make_session(tenant)
    say(tenant, session, "one")
    drain_all()
    before = read(tenant)

    say(tenant, session, "two")
    as_owner("UPDATE conversations_mirrorevent SET created_at = now() - interval '7 seconds' WHERE sink = 3")
    as_owner("UPDATE conversations_mirrorevent SET parked_at = now() WHERE sink = 2")
    after = read(tenant)

    assert before["mirror"]["pending"] == 0
    assert (after["mirror"]["pending"], after["mirror"]["parked"]) == (2, 1)
    assert after["mirror"]["lag_seconds"] >= 7
    assert after["messages"] == 1


def test_a_store_that_is_off_or_away_has_no_documents(stores, settings):
    tenant = make_tenant()
    settings.ELASTICSEARCH_URL, settings.MILVUS_URI = "", "http://127.0.0.1:9"
    forget_stores()

    assert read(tenant)["documents"] == {"elasticsearch": None, "milvus": None}


def test_an_empty_tenant_has_zeros(stores):
    found = read(make_tenant())

    assert found["messages"] == found["sessions"] == 0
    assert found["oldest_message_at"] is None
    assert found["mirror"]["lag_seconds"] == 0


def test_counting_takes_as_many_statements_for_few_messages_as_for_many(stores):
    tenant = make_tenant()
    session = make_session(tenant)

    def statements():
        usage._counts.clear()
        expiries.forget(tenant.id)  # the policy too is remembered for some seconds
        with CaptureQueriesContext(connection) as captured:
            usage.read_stats(tenant.id)
        return len(captured)

    say(tenant, session, "one")
    few = statements()
    say(tenant, session, *[f"turn {n}" for n in range(200)])

    assert statements() == few
