"""Compression: round trips, bounds, and the promise that every dictionary ever shipped opens its blobs."""

import struct
from base64 import b64decode
from hashlib import sha256

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from retention.compression import CURRENT, DICTIONARIES, MAX_SIZE, CompressionError, compress, decompress

GOLDEN_TEXT = (
    "Customer: 我想问一下订单 MP-2047 的物流。\n"
    "Agent: Your parcel left Suzhou this morning and arrives on Thursday."
).encode()

# Dictionary id: its SHA-256, and a blob that it compressed when it was shipped. Entries are added, never changed.
GOLDEN = {
    32_768: (
        "4c479458569d69709d1f2b3363606e24cfeb3dad3276ab392f68a568d8aebeeb",
        "KLUv/SIAgHl1AgD4Q+S4iyBNUC0yianmtQpBOmVzIG9uIFRodXJzZGF5Lg/8CIQgemH5SKddfFvZX1CiqlMEnwSii2DGQ6OvKr3T+ip2Tl7ao5A+eKURqRE=",
    ),
}


def test_every_dictionary_has_its_golden_blob() -> None:
    shipped = {int(path.stem) for path in DICTIONARIES.glob("*.zdict")}

    assert shipped == set(GOLDEN)
    assert max(GOLDEN) == CURRENT


@pytest.mark.parametrize("identifier", GOLDEN)
def test_dictionary_is_the_one_that_was_shipped_and_opens_its_blob(identifier: int) -> None:
    digest, blob = GOLDEN[identifier]
    data = (DICTIONARIES / f"{identifier}.zdict").read_bytes()

    assert sha256(data).hexdigest() == digest
    assert zstandard.ZstdCompressionDict(data).dict_id() == identifier
    assert decompress(b64decode(blob)) == GOLDEN_TEXT


@given(st.one_of(st.binary(max_size=2000), st.text().map(str.encode)))
def test_text_comes_back_as_it_was(data: bytes) -> None:
    assert decompress(compress(data)) == data


@pytest.mark.parametrize("size", [0, 1, 1_000_000, MAX_SIZE])
def test_any_size_up_to_the_limit_comes_back(size: int) -> None:
    assert len(decompress(compress(bytes(size)))) == size


def test_more_than_the_limit_is_not_compressed() -> None:
    with pytest.raises(CompressionError, match="could not be opened again"):
        compress(bytes(MAX_SIZE + 1))


def test_blob_is_a_standard_frame_that_names_its_dictionary() -> None:
    blob = compress(GOLDEN_TEXT)

    assert zstandard.get_frame_parameters(blob).dict_id == CURRENT
    assert len(blob) < len(zstandard.compress(GOLDEN_TEXT))


def test_blob_larger_than_the_limit_is_not_opened() -> None:
    dictionary = zstandard.ZstdCompressionDict((DICTIONARIES / f"{CURRENT}.zdict").read_bytes())
    bomb = zstandard.ZstdCompressor(dict_data=dictionary).compress(bytes(MAX_SIZE + 1))

    assert len(bomb) < 3000
    with pytest.raises(CompressionError, match="too large"):
        decompress(bomb)


def test_blob_that_hides_its_size_is_not_opened() -> None:
    dictionary = zstandard.ZstdCompressionDict((DICTIONARIES / f"{CURRENT}.zdict").read_bytes())
    compressor = zstandard.ZstdCompressor(dict_data=dictionary, write_content_size=False)

    with pytest.raises(CompressionError, match="does not say its size"):
        decompress(compressor.compress(GOLDEN_TEXT))


@pytest.mark.parametrize("identifier", [0, 40_000])
def test_blob_of_an_unknown_dictionary_is_named(identifier: int) -> None:
    header = zstandard.FRAME_HEADER + bytes([0x20 | (2 if identifier else 0)])
    blob = header + (struct.pack("<H", identifier) if identifier else b"") + bytes([1, 9, 0, 0, 65])

    with pytest.raises(CompressionError, match=f"dictionary {identifier} is not"):
        decompress(blob)


def test_broken_blob_is_refused() -> None:
    blob = compress(GOLDEN_TEXT)

    for broken in (b"", b"x", blob[:-1], blob + b"x", blob + blob, b"\0" + blob, GOLDEN_TEXT):
        with pytest.raises(CompressionError):
            decompress(broken)
