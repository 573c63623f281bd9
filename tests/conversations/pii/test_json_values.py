import json

from hypothesis import given
from hypothesis import strategies as st

from conversations.pii import scrub_json


def test_every_string_and_key_is_scrubbed():
    value = {
        "note": "call +65 9123 4567",
        "people": [{"jane@example.com": {"id": "S1234567D"}}],
        "deep": [[["4111111111111111"]]],
    }

    scrubbed = scrub_json(value)

    assert scrubbed == {
        "note": "call [PHONE_1]",
        "people": [{"[EMAIL_1]": {"id": "[NRIC_1]"}}],
        "deep": [[["[CARD_1]"]]],
    }


def test_the_same_value_has_the_same_placeholder_throughout():
    assert scrub_json(["a@example.com", "b@example.com", {"x": "a@example.com"}]) == [
        "[EMAIL_1]",
        "[EMAIL_2]",
        {"x": "[EMAIL_1]"},
    ]


def test_a_key_says_what_its_value_is():
    value = {
        "mobile": "4155552671",
        "phones": ["4155552671", 4155552671],
        "password": "hunter2",
        "order_id": "91234567",
        "order": 91234567,
    }

    assert scrub_json(value) == {
        "mobile": "[PHONE_1]",
        "phones": ["[PHONE_1]", "[PHONE_1]"],
        "password": "[SECRET_1]",
        "order_id": "91234567",
        "order": 91234567,
    }


def test_numbers_that_are_identifiers_are_replaced_and_others_kept():
    value = {
        "card": 4111111111111111,
        "count": 12,
        "score": 0.5,
        "when": 1763456789,
        "ok": True,
        "none": None,
    }

    assert scrub_json(value) == {**value, "card": "[CARD_1]"}


def test_the_given_value_is_left_alone():
    value = {"a": ["jane@example.com"]}

    scrub_json(value)

    assert value == {"a": ["jane@example.com"]}


def test_tag_and_region_are_used():
    def tag(kind: str, value: str) -> str:
        return f"{kind}{len(value)}"

    assert scrub_json(["5123 4567"], region="HK", tag=tag) == ["[PHONE_phone12]"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
        max_leaves=15,
    )
)
def test_the_result_is_json_without_what_was_there(value):
    planted = {"any": value, "mail": ["jane@example.com"]}

    scrubbed = scrub_json(planted)

    assert json.loads(json.dumps(scrubbed)) == scrubbed
    assert "jane@" not in json.dumps(scrubbed)
