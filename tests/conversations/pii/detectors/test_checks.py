"""Check digits, by the examples of their standards and by what a slip of the finger does to them."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from conversations.pii import Kind, find
from conversations.pii.detectors.cards import is_card, luhn_holds
from conversations.pii.detectors.national_ids import cn_check, nric_letter

digits = st.text("0123456789", min_size=7, max_size=7)


def kinds(text: str) -> list[str]:
    return [span.kind for span in find(text)]


@pytest.mark.parametrize("number", ["79927398713", "4111111111111111", "378282246310005", "30569309025904"])
def test_luhn_holds_for_published_numbers(number):
    assert luhn_holds(number)
    assert not luhn_holds(number[:-1] + str((int(number[-1]) + 1) % 10))


@given(st.text("0123456789", min_size=1, max_size=20))
def test_luhn_holds_for_one_last_digit_of_ten(number):
    assert sum(luhn_holds(number + last) for last in "0123456789") == 1


@pytest.mark.parametrize(
    "number",
    [
        "4111111111111111",
        "4222222222222",
        "5555555555554444",
        "2221000000000009",
        "2720990000000007",
        "378282246310005",
        "30569309025904",
        "3530111333300000",
        "6011111111111117",
        "6200000000000005",
        "6759649826438453",
    ],
)
def test_published_test_cards_are_cards(number):
    assert is_card(number)


@pytest.mark.parametrize(
    "number",
    ["0000000000000000", "1111111111111117", "9111111111111110", "2220990000000002", "411111111111111"],
)
def test_other_ranges_and_lengths_are_no_cards(number):
    assert not is_card(number)


@given(st.sampled_from("STFGM"), digits)
def test_one_letter_of_twentysix_makes_an_nric(series, number):
    right = nric_letter(series, number)

    accepted = [
        letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if Kind.NRIC in kinds(f"{series}{number}{letter}")
    ]

    assert accepted == [right]


def test_cn_check_of_the_standard():
    assert cn_check("11010519491231002") == "X"
    assert cn_check("44052418800101001") == "4"
    assert kinds("11010519491231002X") == kinds("11010519491231002x") == [Kind.CN_ID]


@given(st.integers(0, 21), st.sampled_from("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
def test_an_iban_with_one_character_changed_is_none(position, character):
    iban = "GB82WEST12345698765432"
    # The check covers a slip within digits or within letters; between them the length changes.
    assume(iban[position] != character and iban[position].isdigit() == character.isdigit())

    changed = iban[:position] + character + iban[position + 1 :]

    assert Kind.IBAN in kinds(iban)
    assert Kind.IBAN not in kinds(changed)


@pytest.mark.parametrize(
    "iban",
    [
        "AE070331234567890123456",
        "AT611904300234573201",
        "BE68539007547034",
        "CH9300762011623852957",
        "DE89370400440532013000",
        "ES9121000418450200051332",
        "FR1420041010050500013M02606",
        "IT60X0542811101000000123456",
        "MT84MALT011000012345MTLCAST001S",
        "NL91ABNA0417164300",
        "NO9386011117947",
        "SA0380000000608010167519",
        "SE4550000000058398257466",
    ],
)
def test_the_examples_of_the_registry_are_ibans(iban):
    spaced = " ".join(iban[i : i + 4] for i in range(0, len(iban), 4))

    assert kinds(iban) == [Kind.IBAN]
    assert kinds(f"my account {spaced} please") == [Kind.IBAN]
