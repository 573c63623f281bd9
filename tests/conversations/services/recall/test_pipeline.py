"""Recall over real stores: what is found, by whom, and what must never be shown."""

import pytest
from django.utils import timezone

from conversations.backends.configured import forget_stores
from conversations.backends.values import Kind
from conversations.memory_inputs import MemoryIn
from conversations.models import Message
from conversations.services.memories.changes import create_memories
from conversations.services.recall.context import ContextOptions, build_context
from conversations.services.recall.pipeline import warm_up
from conversations.services.recall.search import SearchRequest, search
from conversations.tenancy import tenant_scope
from tests.builders import make_session, make_tenant, message_ids, say
from tests.conversations.backends.proxies import FaultProxy
from tests.conversations.mirror.conftest import as_owner, drain_all

SAID = (
    "Shall we book the lighthouse tour?",
    "Yes, the one on Saturday morning.",
    "My sister keeps bees behind her house.",
    "Honey from lavender is her best.",
    "The invoice number is 4711.",
)


@pytest.fixture
def tenant(stores):
    tenant = make_tenant()
    say(tenant, make_session(tenant, customer_id="ann"), *SAID, name="Ann")
    say(tenant, make_session(tenant, customer_id="bob"), "Bees are not my thing.", name="Bob")
    drain_all()
    stores.search.count(Kind.MESSAGES, tenant.id)  # refreshes
    stores.search.count(Kind.CHAPTERS, tenant.id)
    return tenant


def ask(tenant, query, **fields):
    return search(SearchRequest(tenant_id=tenant.id, query=query, **fields))


def contents(answer):
    return [hit["message"]["content"] for hit in answer["data"] if hit["kind"] == "message"]


# A vector is that of a turn after the two before it: by cosine alone the turns that follow are as near.
@pytest.mark.parametrize("mode", ["hybrid", "text", "vector"])
def test_what_was_said_comes_back_first(tenant, mode):
    answer = ask(tenant, "who keeps bees?", customer_id="ann", mode=mode)

    assert contents(answer)[0] == SAID[2]
    assert answer["degraded"] == []
    assert answer["mode"] == mode


@pytest.mark.parametrize(
    ("mode", "stores_asked"),
    [
        ("hybrid", {"postgresql", "elasticsearch", "milvus"}),
        ("text", {"postgresql", "elasticsearch"}),
        ("vector", {"postgresql", "milvus"}),
    ],
)
def test_an_answer_names_the_stores_that_took_part(tenant, mode, stores_asked):
    assert set(ask(tenant, "bees", customer_id="ann", mode=mode)["stores"]) == stores_asked


def test_the_parts_of_a_score_sum_to_it(tenant):
    hit = ask(tenant, "who keeps bees?", customer_id="ann", explain=True)["data"][0]

    assert sum(hit["scores"].values()) == pytest.approx(hit["score"], abs=1e-4)
    assert {"words", "session", "vector"} <= hit["scores"].keys()


def test_filters_are_kept(tenant):
    assert contents(ask(tenant, "bees", customer_id="bob")) == ["Bees are not my thing."]
    assert contents(ask(tenant, "bees", role="assistant")) == []
    assert contents(ask(tenant, "bees", customer_id="nobody")) == []
    assert contents(ask(tenant, "bees", end_time=timezone.now() - timezone.timedelta(hours=1))) == []


def test_another_tenant_finds_nothing(tenant):
    stranger = make_tenant("other")

    answer = ask(stranger, "bees")

    assert answer["data"] == []
    assert set(answer["stores"]) == {"postgresql", "elasticsearch", "milvus"}


def test_neighbours_stand_beside_a_hit_in_order(tenant):
    hit = ask(tenant, "keeps bees", customer_id="ann", limit=1, neighbours=1)["data"][0]

    assert [message["content"] for message in hit["neighbours"]] == [SAID[1], SAID[3]]


def test_as_many_hits_as_asked_come_though_stores_name_rows_that_are_gone(stores, tenant):
    with tenant_scope(tenant.id):
        bees = Message.objects.filter(scrubbed__contains="bees")
        bees.update(hidden_at=timezone.now())
    as_owner("DELETE FROM conversations_mirrorevent")  # no mirror knows

    answer = ask(tenant, "bees lighthouse invoice honey", customer_id="ann", limit=3)

    assert len(answer["data"]) == 3
    assert SAID[2] not in contents(answer)


def test_without_elasticsearch_postgresql_finds_the_words(tenant, settings):
    settings.ELASTICSEARCH_URL = ""
    forget_stores()

    answer = ask(tenant, "who keeps bees?", customer_id="ann")

    assert contents(answer)[0] == SAID[2]
    assert (set(answer["stores"]), answer["degraded"]) == ({"postgresql", "milvus"}, [])


def test_postgresql_alone_is_a_full_mode(tenant, settings):
    settings.ELASTICSEARCH_URL = settings.MILVUS_URI = ""
    forget_stores()

    answer = ask(tenant, "who keeps bees?", customer_id="ann", explain=True)

    assert contents(answer)[0] == SAID[2]
    assert (answer["stores"], answer["degraded"]) == (["postgresql"], [])
    assert any(hit["scores"]["vector"] > 0 for hit in answer["data"])


@pytest.mark.parametrize("mode", ["hybrid", "vector"])
def test_a_vector_store_that_is_away_degrades_the_answer_and_words_stand_in(tenant, settings, mode):
    settings.MILVUS_URI = "http://127.0.0.1:9"
    forget_stores()

    answer = ask(tenant, "who keeps bees?", customer_id="ann", mode=mode)

    assert contents(answer)[0] == SAID[2]
    assert answer["degraded"] == ["milvus"]


def test_a_search_store_that_never_answers_costs_a_second_and_then_nothing(tenant, settings, elasticsearch):
    proxy = FaultProxy(elasticsearch)
    settings.ELASTICSEARCH_URL = proxy.url
    forget_stores()
    warm_up()
    proxy.black_hole = True

    took = []
    for _ in range(5):
        began = timezone.now()
        answer = ask(tenant, "who keeps bees?", customer_id="ann")
        took.append((timezone.now() - began).total_seconds())
        assert answer["degraded"] == ["elasticsearch"]
        assert contents(answer)[0] == SAID[2]
    proxy.down()

    assert max(took) < 2.5
    assert took[-1] < 1


def test_chinese_is_found_in_every_lexical_store(tenant, settings):
    say(tenant, make_session(tenant, customer_id="mei"), "我想退款，包装破了", "好的，马上处理")
    drain_all()
    settings.ELASTICSEARCH_URL = ""
    forget_stores()

    assert contents(ask(tenant, "退款", customer_id="mei", mode="text"))[0].startswith("我想退款")


def remember(tenant, content, **fields):
    with tenant_scope(tenant.id):
        return create_memories(tenant_id=tenant.id, given=[MemoryIn(content=content, **fields)])


def test_memories_are_found_beside_messages_until_they_expire(stores, tenant):
    remember(tenant, "Ann is allergic to lavender.", customer_id="ann")
    remember(tenant, "Lavender is on sale.", expires_at=timezone.now() + timezone.timedelta(hours=1))
    drain_all()
    stores.search.count(Kind.MEMORIES, tenant.id)

    of_ann = ask(tenant, "lavender", customer_id="ann")
    before = ask(tenant, "lavender", scope=("memories",))
    as_owner("UPDATE conversations_memory SET expires_at = now() WHERE expires_at IS NOT NULL")
    after = ask(tenant, "lavender", scope=("memories",))

    assert {hit["kind"] for hit in of_ann["data"]} == {"message", "memory"}
    assert (len(before["data"]), len(after["data"])) == (2, 1)


def test_memories_keep_to_the_times_of_a_search(tenant):
    remember(tenant, "Ann is allergic to lavender.", customer_id="ann")
    drain_all()
    soon = timezone.now() + timezone.timedelta(hours=1)

    until_soon = ask(tenant, "lavender", scope=("memories",), end_time=soon)
    from_soon_on = ask(tenant, "lavender", scope=("memories",), start_time=soon)

    assert (len(until_soon["data"]), from_soon_on["data"]) == (1, [])


@pytest.mark.parametrize("asked", [{"role": "user"}, {"language": "en"}], ids=str)
def test_a_filter_that_memories_do_not_have_leaves_them_out(tenant, asked):
    remember(tenant, "Ann is allergic to lavender.", customer_id="ann")
    drain_all()

    answer = ask(tenant, "lavender", customer_id="ann", **asked)

    assert {hit["kind"] for hit in answer["data"]} <= {"message"}


def test_recall_in_a_context_leaves_out_what_the_window_shows(tenant):
    session = make_session(tenant, customer_id="ann")
    ids = message_ids(say(tenant, session, "Tell me about bees again."))
    drain_all()

    context = build_context(
        tenant_id=tenant.id, session_id=session.id, options=ContextOptions(query="bees", recall_limit=5)
    )

    recalled = [hit["message"]["id"] for hit in context["recalled"]]
    assert ids[0] not in recalled
    assert context["recalled"][0]["message"]["content"] == SAID[2]
