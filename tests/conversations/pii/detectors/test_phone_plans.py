import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from conversations.pii.detectors.phone_plans import REGIONS, home, international, plan_of


@pytest.mark.parametrize("region", REGIONS)
@given(digits=st.text("0123456789", min_size=5, max_size=12))
def test_a_plan_agrees_with_the_library(region, digits):
    plan = plan_of(region)
    assert plan

    library = phonenumbers.is_valid_number_for_region(
        phonenumbers.PhoneNumber(country_code=int(plan.code), national_number=int(digits)), region
    )

    # The library keeps leading zeros apart, the plan reads the digits as they stand.
    assert plan.is_valid(digits) == (library and not digits.startswith("0"))


@pytest.mark.parametrize("region", REGIONS)
def test_the_examples_of_the_library_are_read_at_home(region):
    for kind in (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE):
        number = phonenumbers.example_number_for_type(region, kind)
        written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
        digits = "".join(filter(str.isdigit, written))

        read = home(region).read(digits)

        assert read
        assert read.e164 == phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        assert read.plan.region == region


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_every_country_can_be_home_and_is_known_abroad(region):
    number = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    number = number or phonenumbers.example_number(region)
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)

    assert home(region).read(e164[1:])
    assert international(e164[1:]) == e164


def test_a_country_code_is_written_or_not():
    singapore = home("SG")

    assert singapore.read("91234567").e164 == "+6591234567"
    assert singapore.read("6591234567").e164 == "+6591234567"
    assert singapore.read("006591234567").e164 == "+6591234567"
    assert singapore.read("0091234567") is None
    assert singapore.read("1234567") is None


def test_a_trunk_prefix_is_required_where_the_country_writes_one():
    assert home("CN").read("02161234567").e164 == "+862161234567"
    assert home("CN").read("2161234567") is None or home("CN").read("2161234567").region != "CN"
    assert home("CN").read("13812345678").e164 == "+8613812345678"


@given(st.text("0123456789", min_size=7, max_size=15))
@example("800" + "1" * 9)
@example("999" + "1" * 9)
def test_international_gives_a_number_of_a_country_that_exists_or_nothing(digits):
    e164 = international(digits)

    if e164 is not None:
        parsed = phonenumbers.parse(e164)
        assert parsed.country_code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE


def test_a_country_that_does_not_exist_leaves_the_others():
    nowhere = home("XX")

    assert nowhere.read("13812345678").e164 == "+8613812345678"
    assert nowhere.assume("1234567") == "+1234567"
    assert plan_of("XX") is None
