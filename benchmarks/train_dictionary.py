"""How well the shipped zstd dictionary compresses messages, and how a new one is made.

    python benchmarks/train_dictionary.py             the ratios; the last rows leave each trade out of the training
    python benchmarks/train_dictionary.py --check     1 unless today's demo text makes exactly the current dictionary
    python benchmarks/train_dictionary.py --write ID  train on today's demo text; never over a dictionary that exists

The samples are the demo's messages, of which every one is our own text, packed as an archive record packs them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import zstandard

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from conversations.demo import conversations
from retention.compression import CURRENT, DICTIONARIES, LEVEL

SIZE = 64 * 1024
# The demo is dated relative to a moment: a fixed one makes the same samples every time.
NOW = datetime(2026, 1, 1, tzinfo=UTC)

Samples = dict[str, list[bytes]]  # by tenant


def samples() -> Samples:
    return {
        tenant.name: [
            msgspec.msgpack.encode({name: value for name, value in asdict(message).items() if value})
            for session in tenant.sessions
            for message in session.messages
        ]
        for tenant in conversations(NOW)
    }


def train(texts: Iterable[Sequence[bytes]], identifier: int) -> zstandard.ZstdCompressionDict:
    """The same dictionary for the same texts and the same version of zstd."""
    together = [sample for some in texts for sample in some]
    return zstandard.train_dictionary(SIZE, together, level=LEVEL, dict_id=identifier)


def ratio(texts: Sequence[bytes], dictionary: zstandard.ZstdCompressionDict | None) -> float:
    """Bytes before for one byte after, each message compressed alone."""
    compressor = zstandard.ZstdCompressor(level=LEVEL, dict_data=dictionary)
    return sum(map(len, texts)) / sum(len(compressor.compress(text)) for text in texts)


def report(texts: Samples) -> None:
    everything = [sample for some in texts.values() for sample in some]
    shipped = zstandard.ZstdCompressionDict((DICTIONARIES / f"{CURRENT}.zdict").read_bytes())
    print(f"{len(everything)} messages, {sum(map(len, everything)) / len(everything):.0f} bytes on average")
    print(f"{'':50}{'plain':>8}{'dictionary':>12}")
    print(
        f"{f'all, dictionary {CURRENT}':50}{ratio(everything, None):8.2f}{ratio(everything, shipped):12.2f}"
    )
    for name, own in texts.items():
        without = train((some for other, some in texts.items() if other != name), CURRENT)
        print(f"{f'{name}, trained without it':50}{ratio(own, None):8.2f}{ratio(own, without):12.2f}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--write", type=int, metavar="ID")
    options = parser.parse_args()
    texts = samples()
    if options.write:
        with (DICTIONARIES / f"{options.write}.zdict").open("xb") as file:
            file.write(train(texts.values(), options.write).as_bytes())
        return 0
    if options.check:
        shipped = (DICTIONARIES / f"{CURRENT}.zdict").read_bytes()
        same = train(texts.values(), CURRENT).as_bytes() == shipped
        print(
            f"zstd {'.'.join(map(str, zstandard.ZSTD_VERSION))}: {'the same' if same else 'another'} dictionary"
        )
        return 0 if same else 1
    report(texts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
