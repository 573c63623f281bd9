"""Text into index terms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.analysis import STOP_WORDS, lexemes, whole_lexemes
from conversations.analysis.tokens import fold, located, words


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("She was running to the shops", ["run", "shop"]),
        ("John's café", ["john", "cafe"]),
        ("I don't, you've, we'll", []),
        ("Straße Łódź SMØRREBRØD", ["strass", "lodz", "smorrebrod"]),
        ("ＡＢＣ １２３", ["abc", "123"]),
        ("退款申请", ["退款", "款申", "申请"]),
        ("买iPhone手机", ["买", "iphon", "手机"]),
        ("ｶﾒﾗ", ["カメ", "メラ"]),
        ("환불", ["환불"]),
        ("我们的", []),
        ("สวัสดีครับ नमस्ते", ["สวัสดีครับ", "नमस्ते"]),
        ("snake_case e-mail 3.5", ["snake", "case", "e", "mail", "3", "5"]),
        ("", []),
    ],
)
def test_lexemes_of_text(text, terms):
    assert lexemes(text) == terms


def test_whole_lexemes_leave_out_the_lightest_words_only():
    assert whole_lexemes("She met him again after the 8 May") == ["met", "again", "after", "8", "may"]


def test_lexemes_keep_order_and_duplicates():
    assert lexemes("tea, coffee, tea") == ["tea", "coffe", "tea"]


def test_lexemes_are_the_same_however_the_text_is_written():
    assert lexemes("Café Émile") == lexemes("cafe\u0301 e\u0301mile") == lexemes("CAFE EMILE")


def test_fold_keeps_case_and_makes_quotes_plain():
    assert fold("“Café” ‘Noir’？") == "\"Cafe\" 'Noir'?"


@given(st.text())
def test_lexemes_hold_neither_blanks_nor_stop_words_nor_capitals(text):
    found = lexemes(text)

    assert all(term and not any(c.isspace() for c in term) for term in found)
    assert not {term for term in found if not term.isascii()} & STOP_WORDS
    assert all(not ("A" <= c <= "Z") for term in found for c in term)


@given(st.text())
def test_located_terms_are_the_words_of_the_text_at_their_places(text):
    places = list(located(text))

    assert all(0 <= start < end <= len(text) for start, end, _ in places)
    assert [start for start, _, _ in places] == sorted(start for start, _, _ in places)


@given(st.text(alphabet=st.characters(max_codepoint=0x24F)))
def test_located_finds_every_lexeme_of_latin_text(text):
    assert set(lexemes(text)) <= {stem for _, _, stem in located(text)}


def test_located_gives_offsets_in_the_text_as_written():
    text = "The Ｃafé 上海 open"

    found = {text[start:end]: stem for start, end, stem in located(text)}

    assert found == {"The": "the", "Ｃafé": "cafe", "上海": "上海", "open": "open"}


@given(st.text())
def test_every_word_is_a_word_by_itself(text):
    for word in words(fold(text)):
        assert words(word)[0] == word
