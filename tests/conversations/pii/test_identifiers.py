import pytest

from conversations.pii import Kind, find, normalise_identifier
from tests.conversations.pii.corpus import EXAMPLES


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (" Jane.Doe@Example.com ", [(Kind.EMAIL, "jane.doe@example.com")]),
        ("+65 9123 4567", [(Kind.PHONE, "+6591234567")]),
        ("0065-9123-4567", [(Kind.PHONE, "+6591234567")]),
        ("6591234567@s.whatsapp.net", [(Kind.PHONE, "+6591234567")]),
        ("6591234567", [(Kind.PHONE, "+6591234567")]),
        ("91234567", [(Kind.PHONE, "+6591234567"), (Kind.PHONE, "+85291234567")]),
        ("９１２３　４５６７", [(Kind.PHONE, "+6591234567"), (Kind.PHONE, "+85291234567")]),
        ("(415) 555-2671", [(Kind.PHONE, "+14155552671"), (Kind.PHONE, "+864155552671")]),
        ("4111-1111-1111-1111", [(Kind.CARD, "4111111111111111")]),
        ("s1234567d", [(Kind.NRIC, "S1234567D")]),
        ("110101 19900307 0011", [(Kind.CN_ID, "110101199003070011")]),
        ("gb82 west 1234 5698 7654 32", [(Kind.IBAN, "GB82WEST12345698765432")]),
        ("10.0.0.1", [(Kind.IP, "10.0.0.1")]),
        ("2001:DB8:0:0::1", [(Kind.IP, "2001:db8::1")]),
        ("S1234567A", []),
        ("Jane Doe", []),
        ("call 91234567 today", []),
        ("", []),
    ],
)
def test_an_identifier_is_read_as_a_person_types_it(raw, expected):
    assert normalise_identifier(None, raw) == expected


def test_a_kind_narrows_it():
    assert normalise_identifier(Kind.PHONE, "jane@example.com") == []
    assert normalise_identifier("email", "jane@example.com") == [(Kind.EMAIL, "jane@example.com")]
    assert (Kind.PHONE, "+654111111111111111") not in normalise_identifier(None, "4111111111111111")


def test_a_region_reads_bare_numbers():
    assert normalise_identifier(None, "06 12 34 56 78", region="FR")[0] == (Kind.PHONE, "+33612345678")


@pytest.mark.parametrize(
    "example",
    [e for e in EXAMPLES if any(kind not in (Kind.SECRET, Kind.IP) for kind, _, _ in e.spans)],
    ids=lambda example: example.text,
)
def test_what_scrubbing_records_is_found_by_the_same_words(example):
    for span in find(example.text, region=example.region):
        if span.kind in (Kind.SECRET, Kind.IP):
            continue
        typed = example.text[span.start : span.end]

        assert (span.kind, span.value_normalised) in normalise_identifier(None, typed, region=example.region)
