import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.transcripts import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("evil\u202egnp.exe", "evil⟨U+202E⟩gnp.exe"),
        ("\u2066a\u2069", "⟨U+2066⟩a⟨U+2069⟩"),
        ("pass\u200bword\ufeff", "pass⟨U+200B⟩word⟨U+FEFF⟩"),
        ("bell\x07 \x1b[31m", "bell⟨U+0007⟩ ⟨U+001B⟩[31m"),
        ("a\u2028b", "a⟨U+2028⟩b"),
        ("half \ud800", "half ⟨U+D800⟩"),
        ("hid\U000e0041den", "hid⟨U+E0041⟩den"),
        ("one\r\ntwo\rthree", "one\ntwo⟨U+000D⟩three"),
    ],
)
def test_what_hides_or_turns_is_named(text, shown):
    assert visible(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "plain\n\ttext",
        "设备已过期",
        "مرحبا، هل يمكنك",
        "می\u200cخواهم",
        "👩🏽\u200d🔧",
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "e\u0301",
    ],
)
def test_what_people_write_stays_as_it_is(text):
    assert visible(text) == text


@given(st.text())
def test_nothing_is_left_that_could_hide(text):
    left = {
        character
        for character in visible(text.replace("\U0001f3f4", ""))
        if unicodedata.bidirectional(character)
        in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    }

    assert not left
    assert visible(visible(text)) == visible(text)
