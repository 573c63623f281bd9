"""Merkle trees of RFC 6962, with short proofs that an event is in the log.

A tree is over leaf hashes. `Frontier` is all that is needed to add more: at most one hash for each bit of the size.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Self

HASH_SIZE = 32
EMPTY_ROOT = sha256(b"").digest()

# The hash of the tree over the leaves `[start, end)`, from wherever it is known or can be computed.
Subtree = Callable[[int, int], bytes]


def leaf_hash(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The tree hash over leaf hashes, MTH of RFC 6962, section 2.1."""
    level = leaves
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        odd = level[-1:] if len(level) % 2 else []
        level = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
        level.extend(odd)
    return level[0] if level else EMPTY_ROOT


def subtrees_of(leaves: Sequence[bytes]) -> Subtree:
    """Subtrees computed from leaf hashes in memory."""
    return lambda start, end: root(leaves[start:end])


def inclusion_proof(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """The hashes that lead from leaf `index` to the root of the first `size` leaves (RFC 6962, 2.1.1)."""
    if not 0 <= index < size:
        raise ValueError("There is no such leaf in the tree.")
    start, end, proof = 0, size, []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(subtree(middle, end))
            end = middle
        else:
            proof.append(subtree(start, middle))
            start = middle
    return proof[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root_hash: bytes) -> bool:
    """Whether the proof leads from this leaf hash at `index` to the root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size or not _are_hashes(proof):
        return False
    node, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            node, last = _climb(node, last)
        else:
            found = node_hash(found, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and found == root_hash


@dataclass(frozen=True, slots=True)
class Frontier:
    """The right edge of a tree: its size, and the roots of its perfect subtrees, the largest first."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    @classmethod
    def parse(cls, size: int, state: bytes) -> Self:
        """The frontier that `bytes(frontier)` wrote; ValueError when the state is of another size."""
        if size < 0 or len(state) != size.bit_count() * HASH_SIZE:
            raise ValueError("These hashes are not the frontier of a tree of that size.")
        edges = range(0, len(state) + 1, HASH_SIZE)
        return cls(size, tuple(state[start:end] for start, end in pairwise(edges)))

    def __bytes__(self) -> bytes:
        return b"".join(self.peaks)

    def extended(self, leaves: Iterable[bytes]) -> "Frontier":
        """The frontier after these leaf hashes; each costs one more hash on average."""
        size, peaks = self.size, list(self.peaks)
        for leaf in leaves:
            found, carry = leaf, size
            while carry & 1:
                found = sha256(b"\x01" + peaks.pop() + found).digest()
                carry >>= 1
            peaks.append(found)
            size += 1
        return Frontier(size, tuple(peaks))

    def root(self) -> bytes:
        """The tree hash over all leaves so far."""
        if not self.peaks:
            return EMPTY_ROOT
        *higher, found = self.peaks
        for peak in reversed(higher):
            found = node_hash(peak, found)
        return found


def _split(width: int) -> int:
    """The largest power of two below `width`, where RFC 6962 divides a tree."""
    return 1 << (width - 1).bit_length() - 1


def _climb(node: int, last: int) -> tuple[int, int]:
    """Up through the levels at which this node has no sibling to its right."""
    while node and not node & 1:
        node, last = node >> 1, last >> 1
    return node, last


def _are_hashes(proof: Sequence[bytes]) -> bool:
    return all(len(sibling) == HASH_SIZE for sibling in proof)
