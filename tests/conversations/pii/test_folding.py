import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.pii import folding


@pytest.mark.parametrize(
    ("written", "folded"),
    [
        ("９１２３", "9123"),
        ("ｊａｎｅ＠ｅｘａｍｐｌｅ．ｃｏｍ", "jane@example.com"),
        ("𝟗𝟏𝟐𝟑", "9123"),
        ("٩١٢٣", "9123"),
        ("९१२३", "9123"),
        ("①②③⑩", "12310"),
        ("9\u200b1\u200d2\u202e3\u2060", "9123"),
        ("9️⃣1️⃣", "91"),
        ("9\u0336 1\u0301\u0302", "9 1"),
        ("9123\u20104567\u2013\u2212", "9123-4567--"),
        ("+65\u00a09123\u30004567", "+65 9123 4567"),
        ("℡：9", "TEL:9"),
        ("ab。ｃ｡", "ab。c。"),
    ],
)
def test_what_looks_alike_reads_alike(written, folded):
    assert folding.fold(written) == folded


@pytest.mark.parametrize(
    "text",
    ["plain ascii", "订单什么时候发货", "Où est ma commande", "Где мой заказ", "ありがとう", "ﬂ½ﷺ"[1:]],
)
def test_what_hides_no_ascii_stays(text):
    assert folding.fold(text) == text


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
def test_each_folded_character_has_its_origin(text):
    folded, origins = folding.fold(text), folding.origins(text)

    assert len(origins) == len(folded) + 1
    assert origins == sorted(origins)
    assert origins[-1] == len(text)
    assert all(
        character in folding.fold(text[origin]) for character, origin in zip(folded, origins, strict=False)
    )


def test_no_character_outside_the_blocks_would_fold():
    covered = {code for block in folding._BLOCKS for code in block}

    missed = [
        code
        for code in range(0x80, 0x110000)
        if code not in covered and folding.fold_character(chr(code)) != chr(code)
    ]

    assert missed == []


def test_digits_of_every_script_are_digits():
    digits = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == "Nd"]

    assert len(digits) >= 600
    assert all(folding.fold(digit) == str(unicodedata.decimal(digit)) for digit in digits)
