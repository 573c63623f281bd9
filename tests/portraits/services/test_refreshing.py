"""Portraits follow the record: what was said is learnt, what is gone is taken back, what was shown proves nothing."""

import json

import pytest

from conversations.models import ContextReceipt
from portraits.models import Portrait, PortraitVersion, RefreshMark, Trait
from portraits.services import marks
from portraits.services.sweeping import mark_expired
from portraits.tasks import describe, follow


@pytest.fixture(autouse=True)
def only_postgresql(settings):
    settings.MILVUS_URI = settings.ELASTICSEARCH_URL = ""


@pytest.fixture
def session(caller) -> str:
    return caller("POST", "/sessions", {"customer_id": "ann"}).json()["id"]


def append(caller, session: str, *messages: dict) -> list[str]:
    made = caller("POST", f"/sessions/{session}/messages", {"messages": list(messages)})
    assert made.status_code == 201, made.json()
    return [one["id"] for one in made.json()["data"]]


def user(content: str, **fields) -> dict:
    return {"role": "user", "content": content, **fields}


def reply(content: str = "ok", **preferences) -> dict:
    return {
        "role": "assistant",
        "content": content,
        "agent_responses": {"memory_agent": {"preferences": preferences}},
    }


def portrait(caller) -> dict:
    return caller("GET", "/customers/ann/portrait").json()


def traits(caller) -> dict:
    return {one["name"]: one["value"] for one in portrait(caller)["traits"]}


def everywhere(caller) -> str:
    """Every row of this app, and what the API shows of it."""
    stored = [list(model.objects.using("ops").values()) for model in (Portrait, PortraitVersion, Trait)]
    shown = [portrait(caller), caller("GET", "/customers/ann/portrait/history").json()]
    return json.dumps([stored, shown], default=str)


def test_what_agents_report_is_learnt_with_its_evidence(caller, session):
    _, told = append(caller, session, user("My skin is oily"), reply(skin_type="oily"))

    follow()

    (one,) = portrait(caller)["traits"]
    assert (one["name"], one["value"], one["kind"]) == ("skin_type", "oily", "inferred")
    assert one["source_message_ids"] == [told]


def test_a_later_annotation_is_learnt_too(caller, session):
    _, told = append(caller, session, user("a"), {"role": "assistant", "content": "b"})
    follow()
    patch = {"agent_responses": {"sentiment_agent": {"score": -0.4}}, "intent": "complaint"}
    caller("PATCH", f"/messages/{told}", patch)

    follow()

    assert portrait(caller)["sentiment_score"] == -0.4
    assert traits(caller) == {"current_intent": "complaint"}


def test_what_was_asserted_stands(caller, session):
    caller(
        "PATCH",
        "/customers/ann/portrait",
        {"traits": [{"name": "skin_type", "value": "dry"}], "summary": "Mine."},
    )
    append(caller, session, user("My skin is really very oily"), reply(skin_type="oily"))

    follow()

    assert traits(caller) == {"skin_type": "dry"}
    assert portrait(caller)["summary"] == "Mine."


def test_taking_an_assertion_back_lets_the_conversations_speak(caller, session):
    caller("PATCH", "/customers/ann/portrait", {"traits": [{"name": "skin_type", "value": "dry"}]})
    append(caller, session, user("a"), reply(skin_type="oily"))
    follow()
    caller("PATCH", "/customers/ann/portrait", {"traits": [{"name": "skin_type", "value": None}]})

    follow()

    assert traits(caller) == {"skin_type": "oily"}


def test_denying_an_inference_keeps_it_away(caller, session):
    append(caller, session, user("a"), reply(skin_type="oily"))
    follow()
    caller("PATCH", "/customers/ann/portrait", {"traits": [{"name": "skin_type", "value": None}]})
    append(caller, session, user("b"), reply(skin_type="oily"))

    follow()

    assert traits(caller) == {}


def test_refreshing_without_news_makes_no_version(caller, session):
    append(caller, session, user("My skin is really very oily"), reply(skin_type="oily"))
    follow()
    before = portrait(caller)
    RefreshMark.objects.using("ops").all().delete()
    append(caller, session, {"role": "assistant", "content": "nothing new"})

    follow()

    assert portrait(caller) == before


def test_what_loses_its_evidence_is_gone_from_the_tables_as_well(caller, session):
    first, told = append(caller, session, user("My canary is bright yellow"), reply(bird="canary-yellow"))
    follow()
    assert "canary-yellow" in everywhere(caller)
    assert "canary" in portrait(caller)["summary"]

    for message in (first, told):
        caller("DELETE", f"/messages/{message}")
    assert portrait(caller)["summary"] is None
    follow()

    assert "canary" not in everywhere(caller)
    assert portrait(caller)["traits"] == []


def test_a_deleted_session_takes_its_traits_along(caller, session):
    append(caller, session, user("a"), reply(bird="canary-yellow"))
    follow()

    caller("DELETE", f"/sessions/{session}")
    assert traits(caller) == {}
    follow()

    assert "canary-yellow" not in everywhere(caller)


def test_what_an_agent_was_shown_it_cannot_prove(caller, session):
    _, told = append(caller, session, user("My skin is oily"), reply(skin_type="oily"))
    follow()
    shown = caller("POST", f"/sessions/{session}/context", {"query": "skin"}).json()
    assert "skin_type: oily" in shown["text"]
    append(caller, session, user("And now?"), reply("Your skin is oily", skin_type="oily"))

    follow()
    caller("DELETE", f"/messages/{told}")
    follow()

    assert "skin_type" not in traits(caller)


def test_a_receipt_names_what_was_shown_without_saying_it(caller, session):
    append(caller, session, user("a"), reply(bird="canary-yellow"))
    follow()

    caller("POST", f"/sessions/{session}/context")

    items = ContextReceipt.objects.using("ops").get().items
    assert [item["kind"] for item in items].count("trait") == 1
    assert "canary" not in json.dumps(items)


def test_what_changed_since_it_was_shown_is_news(caller, session):
    for value in ("oily", "dry", "oily"):
        append(caller, session, user("a"), reply(skin_type=value))
        follow()
        caller("POST", f"/sessions/{session}/context")

    assert traits(caller) == {"skin_type": "oily"}


def test_a_context_that_comes_back_as_a_message_is_not_learnt(caller, session):
    append(caller, session, user("My canary is bright yellow today"))
    follow()
    text = caller("POST", f"/sessions/{session}/context").json()["text"]
    other = caller("POST", "/sessions", {"customer_id": "ann"}).json()["id"]
    append(caller, other, user(f"{text}\n\nI would rather have a parrot from Brazil."))

    follow()

    sources = Portrait.objects.using("ops").get().summary_source_ids
    caller("DELETE", f"/sessions/{session}")
    follow()
    assert len(sources) == 2
    assert portrait(caller)["summary"] == "I would rather have a parrot from Brazil."


def test_only_the_customers_own_words_make_a_summary(caller, session):
    append(caller, session, {"role": "assistant", "content": "We ship the parrot cage to Singapore."})

    follow()

    assert portrait(caller)["summary"] is None


def test_artefacts_are_learnt_scrubbed(caller, session):
    attachment = {"kind": "image_analysis", "data": {"label": "card of ann@example.com"}, "text": "a card"}
    append(caller, session, user("look", attachments=[attachment]))

    follow()

    assert "ann@example.com" not in everywhere(caller)
    assert traits(caller)["label"].startswith("card of [EMAIL")
    assert traits(caller)["image_analysis"] == "a card"


def test_the_summary_is_sealed_and_scrubbed(caller, session):
    append(caller, session, user("Please write to ann@example.com about the canary"))

    follow()

    row = Portrait.objects.using("ops").get()
    assert b"canary" not in bytes(row.sealed_summary)
    assert "canary" in portrait(caller)["summary"]
    assert "ann@example.com" not in portrait(caller)["summary"]


def test_a_mark_made_while_we_work_is_not_lost(caller, session):
    append(caller, session, user("a"))
    from portraits.enums import Work
    from portraits.services.folding import fold_all

    fold_all()
    (taken,) = marks.take_marks(Work.LEARN, 1)
    assert not marks.take_marks(Work.LEARN, 1)
    append(caller, session, user("b"))
    fold_all()
    marks.finish(taken)

    (again,) = marks.take_marks(Work.LEARN, 1)
    marks.finish(again)
    assert not RefreshMark.objects.using("ops").exists()


def test_expired_evidence_is_found_without_a_word(caller, session):
    append(caller, session, user("a"), reply(bird="canary"))
    follow()
    assert mark_expired() == 0
    Portrait.objects.using("ops").update(evidence=["01800000-0000-7000-8000-000000000000"])

    assert mark_expired() == 1


def test_the_model_reads_scrubbed_words_and_names_its_sources(caller, session, model_server):
    first, _ = append(
        caller, session, user("Mail ann@example.com, I love cream"), {"role": "assistant", "content": "Sure"}
    )
    model_server.reading = {
        "summary": "Loves cream.",
        "traits": [
            {"name": "loves", "value": "cream", "confidence": 0.9, "messages": [1]},
            {"name": "made_up", "value": "x", "messages": []},
            {"name": "off", "value": "x", "messages": [0, 7]},
        ],
    }

    follow()
    RefreshMark.objects.using("ops").update(next_at="2026-01-01T00:00:00Z")
    describe()

    found = portrait(caller)
    assert found["summary"] == "Loves cream."
    assert [(one["name"], one["source_message_ids"]) for one in found["traits"]] == [("loves", [first])]
    assert "ann@example.com" not in model_server.texts
    assert "Sure" not in model_server.texts
    caller("DELETE", f"/messages/{first}")
    assert (portrait(caller)["summary"], portrait(caller)["traits"]) == (None, [])


def test_without_the_model_an_extract_stands_in_and_the_mark_stays(caller, session, model_server):
    model_server.raw = (500, b"")
    append(caller, session, user("My canary is bright yellow today"))

    follow()
    RefreshMark.objects.using("ops").update(next_at="2026-01-01T00:00:00Z")
    describe()

    assert "canary" in portrait(caller)["summary"]
    left = RefreshMark.objects.using("ops").get()
    assert (left.work, left.attempts, left.last_error) == ("describe", 1, "ModelUnavailable")


def test_what_is_deleted_while_the_model_reads_is_not_learnt(caller, session, model_server):
    (told,) = append(caller, session, user("My canary is bright yellow today"))
    model_server.reading = {"summary": "They have a canary.", "traits": []}
    model_server.before_answer = lambda: caller("DELETE", f"/messages/{told}")

    follow()
    RefreshMark.objects.using("ops").update(next_at="2026-01-01T00:00:00Z")
    describe()

    assert portrait(caller)["summary"] is None
    assert "canary" not in everywhere(caller)
