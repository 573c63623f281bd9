"""Numbering plans as regular expressions, compiled from the metadata of `phonenumbers`.

For each of six countries, one pattern takes a microsecond where `parse` and `is_valid_number` take fifteen. Tests
compare the two.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import msgspec
import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumberDesc, PhoneNumberFormat, PhoneNumberType

REGIONS = ("SG", "CN", "HK", "MY", "US", "GB")
"""Countries whose numbers are recognised without country code, besides the tenant's own."""

_EXIT_CODE = "00"
_CODED = "_coded"
_SHORTEST = 4
_NON_GEOGRAPHIC = "001"
_NON_GEOGRAPHIC_LENGTHS = frozenset(range(7, 13))
_TYPES = (
    "fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost",
    "personal_number", "voip", "pager", "uan", "voicemail",
)  # fmt: skip

Patterns = Mapping[int, str]
"""Regular expressions by the number of digits, which alone rules out most countries."""


@dataclass(frozen=True)
class Plan:
    """The numbering plan of one country."""

    region: str
    code: str  # country calling code, without plus
    trunk: str  # what is dialled before a national number: "0", "1" or nothing
    valid: Patterns  # of national numbers
    mobile: Patterns
    written: Patterns  # of valid numbers as written nationally, with the trunk prefix where that is customary

    def is_valid(self, national: str) -> bool:
        return _match(self.valid, national) is not None

    def is_mobile(self, national: str) -> bool:
        return _match(self.mobile, national) is not None

    def strip_trunk(self, digits: str) -> str:
        """The national number without the prefix that is dialled before it."""
        if self.trunk and digits.startswith(self.trunk) and not self.is_valid(digits):
            return digits[len(self.trunk) :]
        return digits


class Number(msgspec.Struct, frozen=True, gc=False):
    """A valid number of some country."""

    plan: Plan
    national: str
    e164: str


@cache
def plan_of(region: str) -> Plan | None:
    """None if the region is unknown."""
    metadata = PhoneMetadata.metadata_for_region(region, None)
    if metadata is None:
        return None
    trunk = metadata.national_prefix or ""
    valid = _by_length(*(getattr(metadata, kind) for kind in _TYPES))
    mobile = _by_length(metadata.mobile)
    return Plan(
        region, str(metadata.country_code), trunk, valid, mobile, _written(region, trunk, valid, mobile)
    )


class Home:
    """Reads digits without a plus as numbers of the given country first, then of `REGIONS`."""

    def __init__(self, region: str) -> None:
        self.region = region
        names = dict.fromkeys((region, *REGIONS))
        self._plans = {name: plan for name in names if (plan := plan_of(name))}
        # What names a country stands at the end of its branch: where a branch begins with a digit, the regex engine
        # looks at that before it enters the branch.
        branches: dict[int, list[str]] = defaultdict(list)
        for name, plan in self._plans.items():
            for length, pattern in plan.written.items():
                branches[length].append(f"(?:{pattern})(?P<{name}>)")
            for length, pattern in plan.valid.items():
                branches[len(plan.code) + length].append(f"{plan.code}(?:{pattern})(?P<{name}{_CODED}>)")
        self._patterns = {length: "|".join(some) for length, some in branches.items()}

    def read(self, digits: str) -> Number | None:
        """The number that these digits are in the first country where they are valid, with or without country code."""
        abroad = digits.startswith(_EXIT_CODE)
        if abroad:
            digits = digits[len(_EXIT_CODE) :]
        match = _match(self._patterns, digits)
        if match is None or match.lastgroup is None or (abroad and not match.lastgroup.endswith(_CODED)):
            return None
        region, coded, _ = match.lastgroup.partition(_CODED)
        plan = self._plans[region]
        national = digits[len(plan.code) :] if coded else plan.strip_trunk(digits)
        return Number(plan, national, f"+{plan.code}{national}")

    def assume(self, digits: str) -> str:
        """E.164 of digits that are known to be a telephone number: as `read`, else as a national number."""
        number = self.read(digits)
        if number:
            return number.e164
        plan = self._plans.get(self.region)
        return f"+{plan.code}{plan.strip_trunk(digits)}" if plan else f"+{digits}"

    def read_all(self, digits: str) -> list[str]:
        """Every E.164 number that these digits can stand for in one of the countries."""
        found = []
        for plan in self._plans.values():
            national = plan.strip_trunk(digits)
            if plan.is_valid(national):
                found.append(f"+{plan.code}{national}")
            if digits.startswith(plan.code) and plan.is_valid(digits[len(plan.code) :]):
                found.append(f"+{digits}")
        return found


@cache
def home(region: str) -> Home:
    return Home(region.upper())


def international(digits: str) -> str | None:
    """E.164 of the digits after a plus or an exit code, if the country exists and has numbers of this length."""
    if digits.startswith("0"):
        return None
    for size in (1, 2, 3):
        regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(digits[:size]))
        if regions:
            national = digits[size:]
            lengths, trunk = _lengths(regions[0])
            if len(national) not in lengths and trunk and national.startswith(trunk):
                national = national[len(trunk) :]
            return f"+{digits[:size]}{national}" if len(national) in lengths else None
    return None


@cache
def _lengths(region: str) -> tuple[frozenset[int], str]:
    if region == _NON_GEOGRAPHIC:
        return _NON_GEOGRAPHIC_LENGTHS, ""
    metadata = PhoneMetadata.metadata_for_region(region, None)
    if not metadata or not metadata.general_desc:
        return frozenset(), ""
    lengths = frozenset(length for length in metadata.general_desc.possible_length if length >= _SHORTEST)
    return lengths, metadata.national_prefix or ""


def _by_length(*descriptions: PhoneNumberDesc | None) -> Patterns:
    patterns: dict[int, list[str]] = defaultdict(list)
    for one in descriptions:
        if one and one.national_number_pattern:
            for length in one.possible_length:
                patterns[length].append(one.national_number_pattern)
    return {length: "|".join(some) for length, some in patterns.items()}


def _match(patterns: Patterns, digits: str) -> re.Match[str] | None:
    pattern = patterns.get(len(digits))
    return _compiled(pattern).fullmatch(digits) if pattern else None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _written(region: str, trunk: str, valid: Patterns, mobile: Patterns) -> Patterns:
    """With the trunk prefix, and without it for those numbers that are formatted without it nationally."""
    if not trunk:
        return valid
    bare: Patterns = {}
    if not _formatted(region, PhoneNumberType.FIXED_LINE).lstrip("(").startswith(trunk):
        bare = valid
    elif not _formatted(region, PhoneNumberType.MOBILE).lstrip("(").startswith(trunk):
        bare = mobile
    dialled = {len(trunk) + length: f"{trunk}(?:{pattern})" for length, pattern in valid.items()}
    return {
        length: "|".join(filter(None, (dialled.get(length), bare.get(length))))
        for length in {**dialled, **bare}
    }


def _formatted(region: str, kind: int) -> str:
    example = phonenumbers.example_number_for_type(region, kind)
    return phonenumbers.format_number(example, PhoneNumberFormat.NATIONAL) if example else ""
