"""IPv6 addresses are read and written as the standard library does it, only faster."""

from ipaddress import AddressValueError, IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from conversations.pii.detectors.ips import compressed_v6

_GROUP = st.text("0123456789abcdefABCDEF", max_size=5)
_DOTTED = st.lists(st.integers(0, 300).map(str), min_size=3, max_size=5).map(".".join)
_written = st.lists(_GROUP | _DOTTED, min_size=1, max_size=9).map(":".join)
_addresses = st.binary(min_size=16, max_size=16) | st.lists(
    st.sampled_from([b"\0\0", b"\xff\xff", b"\x12\x34"]), min_size=8, max_size=8
).map(b"".join)


@given(_addresses)
def test_an_address_has_one_spelling(packed):
    address = IPv6Address(packed)

    assert compressed_v6(address.exploded) == address.compressed
    assert compressed_v6(address.compressed) == address.compressed


@given(_written)
def test_what_is_no_address_is_none(text):
    try:
        expected = IPv6Address(text).compressed
    except AddressValueError:
        expected = None

    assert compressed_v6(text) == expected
