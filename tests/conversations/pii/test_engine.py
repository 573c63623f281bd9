import hmac
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.pii import DETECTORS, Kind, Span, find, scrub
from conversations.pii.reading import Reading
from tests.conversations.pii.corpus import EXAMPLES

TEXTS = st.lists(
    st.sampled_from([example.text for example in EXAMPLES])
    | st.text(max_size=20)
    | st.text("0123456789 -.()+@:/abcxS电话。９＠\u200b", max_size=30),
    max_size=5,
).map(" ".join)


def tag(kind: str, value: str) -> str:
    return hmac.digest(b"tests", f"{kind}:{value}".encode(), "sha256").hex()[:4]


def test_scrub_replaces_each_find_and_leaves_the_rest():
    text = "Hi, 我是 jane@example.com, 电话91234567。"

    scrubbed = scrub(text)

    assert scrubbed.text == "Hi, 我是 [EMAIL_1], 电话[PHONE_1]。"
    assert [text[span.start : span.end] for span in scrubbed.spans] == ["jane@example.com", "91234567"]
    assert [span.value_normalised for span in scrubbed.spans] == ["jane@example.com", "+6591234567"]


def test_scrub_returns_clean_text_itself():
    text = "请问这款精华适合干性皮肤吗？ Is it?"

    scrubbed = scrub(text)

    assert scrubbed.text is text
    assert scrubbed.spans == ()


@pytest.mark.parametrize(
    "line_before", ["My name is Tan", "It costs $", "See you at 5", "A-", "https://", "No. #"]
)
def test_a_number_on_a_line_of_its_own_is_found_whatever_ends_the_line_before(line_before):
    assert scrub(f"{line_before}\n91234567\nThanks").text == f"{line_before}\n[PHONE_1]\nThanks"


def test_one_value_has_one_placeholder_however_it_is_written():
    scrubbed = scrub("9123 4567, +65 9123 4567, ９１２３４５６７ but not 98765432")

    assert scrubbed.text == "[PHONE_1], [PHONE_1], [PHONE_1] but not [PHONE_2]"


def test_a_tag_keeps_placeholders_from_text_to_text():
    first = scrub("I am Jane@Example.com", tag=tag)
    second = scrub("你好 jane@example.com，我是", tag=tag)

    shown = f"[EMAIL_{tag('email', 'jane@example.com')}]"
    assert first.text == f"I am {shown}"
    assert second.text == f"你好 {shown}，我是"


def test_a_region_decides_what_a_bare_number_is():
    assert scrub("5123 4567", region="HK").spans[0].value_normalised == "+85251234567"
    assert scrub("91234567", region="SG").spans[0].value_normalised == "+6591234567"
    assert scrub("91234567", region="US").spans == ()
    assert scrub("+65 9123 4567", region="").spans[0].value_normalised == "+6591234567"


def test_context_says_what_a_bare_value_is():
    assert scrub("4155552671", context="mobile").text == "[PHONE_1]"
    assert scrub("4155552671").text == "4155552671"
    assert scrub("hunter2", context="password").text == "[SECRET_1]"
    assert scrub("hunter2", context="nickname").text == "hunter2"


def test_context_is_not_part_of_the_text():
    scrubbed = scrub("call +65 9123 4567", context="jane@example.com")

    assert scrubbed.text == "call [PHONE_1]"
    assert [(span.kind, span.start, span.end) for span in scrubbed.spans] == [(Kind.PHONE, 5, 18)]


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("13812345678@example.com", "[EMAIL_1]"),
        ("https://bob:secret@example.com/", "https://[SECRET_1]@example.com/"),
        ("password: jane@example.com", "password: [SECRET_1]"),
        ("110101199003070011", "[CN_ID_1]"),
        ("sk-4111111111111111-91234567", "[SECRET_1]"),
        ("wa.me/6591234567", "wa.me/[PHONE_1]"),
    ],
)
def test_where_finds_overlap_the_stronger_one_is_kept(text, scrubbed):
    assert scrub(text).text == scrubbed


class FixedDetector:
    """Finds the given places, whatever is there."""

    def __init__(self, *spans: Span) -> None:
        self._spans = spans

    def find(self, reading: Reading) -> Iterator[Span]:
        yield from self._spans


def test_of_one_kind_the_longer_is_kept_and_neighbours_stay():
    short, long, neighbour = (
        Span(Kind.PHONE, 2, 5, "a"),
        Span(Kind.PHONE, 0, 5, "b"),
        Span(Kind.PHONE, 5, 7, "c"),
    )

    assert find("0123456789", detectors=[FixedDetector(neighbour, short, long)]) == (long, neighbour)


def test_a_weak_find_between_two_strong_ones_gives_way_to_both():
    left, right = Span(Kind.EMAIL, 0, 4, "l"), Span(Kind.CARD, 6, 9, "r")
    across = Span(Kind.PHONE, 3, 7, "x")

    assert find("0123456789", detectors=[FixedDetector(across, right, left)]) == (left, right)


def test_another_detector_can_be_plugged_in_with_a_kind_of_its_own():
    class Names:
        def find(self, reading: Reading) -> Iterator[Span]:
            start = reading.text.find("Jane Doe")
            if start >= 0:
                yield Span("person", start, start + 8, "jane doe")

    scrubbed = scrub("I'm Jane Doe, jane@example.com", detectors=(*DETECTORS, Names()))

    assert scrubbed.text == "I'm [PERSON_1], [EMAIL_1]"


def test_spans_do_not_show_their_value():
    (span,) = find("jane@example.com")

    assert "jane" not in repr(span) + str(span)


@given(TEXTS)
def test_spans_are_in_order_apart_and_inside_the_text(text):
    scrubbed = scrub(text, tag=tag)

    position, rebuilt = 0, ""
    for span in scrubbed.spans:
        assert position <= span.start < span.end <= len(text)
        placeholder = f"[{span.kind.upper()}_{tag(span.kind, span.value_normalised)}]"
        rebuilt += text[position : span.start] + placeholder
        position = span.end
    assert scrubbed.text == rebuilt + text[position:]


@given(TEXTS)
def test_nothing_that_was_found_can_be_found_again(text):
    values = {(span.kind, span.value_normalised) for span in find(text)}

    again = find(scrub(text, tag=tag).text)

    assert not values & {(span.kind, span.value_normalised) for span in again}


@pytest.mark.parametrize(
    "numbers",
    [
        ["5123 4567", "6591234567"],
        ["6591234567", "5123 4567"],
        ["91234567", "5123 4567", "6591234567", "6123 4567"],
        ["91234567", "gb82west12345698765432"],
        ["5123 4567", "5500 0000 0000 0004"],
    ],
)
def test_numbers_side_by_side_are_all_found(numbers):
    text = " ".join(numbers)

    assert [text[span.start : span.end] for span in find(text)] == numbers


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.text)
def test_scrubbed_text_has_nothing_left_to_scrub(example):
    once = scrub(example.text, region=example.region, tag=tag).text

    assert scrub(once, region=example.region, tag=tag).text == once


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.text)
def test_invisible_characters_hide_nothing(example):
    text = "\u200b".join(example.text)

    found = find(text, region=example.region)

    assert [(span.kind, span.start) for span in found] == [
        (kind, 2 * start) for kind, start, _ in example.spans
    ]
    assert all(
        2 * end - 1 <= span.end <= 2 * end for span, (_, _, end) in zip(found, example.spans, strict=True)
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.text)
def test_full_width_characters_hide_nothing(example):
    text = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in example.text)

    found = find(text, region=example.region)

    assert [(span.kind, span.start, span.end) for span in found] == list(example.spans)
