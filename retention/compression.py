"""Compression of small texts: zstd with dictionaries trained on conversations.

A message alone has nothing to refer back to, so plain zstd gains little on it. The dictionaries are trained on the
demo's own text (`benchmarks/train_dictionary.py`) and never on tenants' data: a dictionary holds its samples verbatim.
Every blob is a standard zstd frame that names its dictionary, so one that was ever shipped must stay for ever.
"""

import threading
from functools import cache
from pathlib import Path

import zstandard

CURRENT = 32_768  # the lowest id that the zstd project leaves to everybody
LEVEL = 3  # with the dictionary as small as level 9 on what people say, and ten times as fast
MAX_SIZE = 16 * 1024 * 1024  # four times the largest body that the API takes

_own = threading.local()  # a compressor serves one thread; making one takes longer than using it

DICTIONARIES = Path(__file__).parent / "dictionaries"


class CompressionError(ValueError):
    """The blob cannot be decompressed: it is broken, too large, or needs an unknown dictionary."""


def compress(data: bytes) -> bytes:
    """One zstd frame, with the current dictionary's id in its header."""
    if len(data) > MAX_SIZE:
        raise CompressionError(f"More than {MAX_SIZE} bytes could not be opened again.")
    if (compressor := getattr(_own, "compressor", None)) is None:
        compressor = _own.compressor = zstandard.ZstdCompressor(level=LEVEL, dict_data=_dictionary(CURRENT))
    compressed: bytes = compressor.compress(data)
    return compressed


def decompress(blob: bytes) -> bytes:
    """What was compressed, under whichever dictionary; never more than MAX_SIZE bytes of memory for the text."""
    try:
        frame = zstandard.get_frame_parameters(blob)
        # The decoder believes the header and allocates what it says. A size that is not given reads as 2**64 - 1.
        if frame.content_size > MAX_SIZE:
            raise CompressionError("The blob does not say its size, or is too large.")
        decompressor = zstandard.ZstdDecompressor(dict_data=_dictionary(frame.dict_id))
        return decompressor.decompress(blob, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise CompressionError(f"The blob is broken: {error}.") from error


@cache
def _dictionary(identifier: int) -> zstandard.ZstdCompressionDict:
    try:
        data = (DICTIONARIES / f"{identifier}.zdict").read_bytes()
    except FileNotFoundError as error:
        raise CompressionError(f"The dictionary {identifier} is not in this release.") from error
    dictionary = zstandard.ZstdCompressionDict(data, dict_type=zstandard.DICT_TYPE_FULLDICT)
    if identifier == CURRENT:
        dictionary.precompute_compress(level=LEVEL)
    return dictionary
