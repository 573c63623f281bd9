"""Merkle trees against the vectors of Certificate Transparency, and against the recursive definition."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.merkle import (
    EMPTY_ROOT,
    Frontier,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root,
    subtrees_of,
    verify_inclusion,
)

# The reference inputs and outputs of transparency-dev/merkle.
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
LEAVES = [leaf_hash(bytes.fromhex(data)) for data in INPUTS]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"

leaves = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=70)


def hexed(hashes: Sequence[bytes]) -> list[str]:
    return [digest.hex() for digest in hashes]


@pytest.mark.parametrize("size", range(9))
def test_root_is_that_of_the_reference(size: int) -> None:
    assert root(LEAVES[:size]).hex() == ROOTS[size]
    assert Frontier().extended(LEAVES[:size]).root().hex() == ROOTS[size]


@pytest.mark.parametrize(
    ("index", "size", "expected"),
    [
        (0, 1, []),
        (0, 8, [A, B, C]),
        (5, 8, [D, E, ROOTS[4]]),
        (2, 3, [ROOTS[2]]),
        (1, 5, [ROOTS[1], B, D]),
    ],
)
def test_inclusion_proof_is_that_of_the_reference(index: int, size: int, expected: list[str]) -> None:
    proof = inclusion_proof(index, size, subtrees_of(LEAVES))

    assert hexed(proof) == expected
    assert verify_inclusion(LEAVES[index], index, size, proof, bytes.fromhex(ROOTS[size]))


def by_definition(hashes: Sequence[bytes]) -> bytes:
    """MTH as RFC 6962 defines it, by recursion."""
    if len(hashes) < 2:
        return hashes[0] if hashes else EMPTY_ROOT
    middle = 1
    while middle * 2 < len(hashes):
        middle *= 2
    return node_hash(by_definition(hashes[:middle]), by_definition(hashes[middle:]))


@given(leaves, st.data())
def test_frontier_grown_in_any_steps_has_the_root_of_the_whole(
    hashes: list[bytes], data: st.DataObject
) -> None:
    frontier, rest = Frontier(), hashes
    while rest:
        step = data.draw(st.integers(1, len(rest)))
        frontier = Frontier.parse(frontier.size, bytes(frontier)).extended(rest[:step])
        rest = rest[step:]

    assert frontier.size == len(hashes)
    assert frontier.root() == root(hashes) == by_definition(hashes)
    assert len(frontier.peaks) == len(hashes).bit_count()


@given(leaves, st.data())
def test_inclusion_proof_holds_for_its_leaf_only(hashes: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(hashes) - 1))
    size, whole = len(hashes), root(hashes)
    proof = inclusion_proof(index, size, subtrees_of(hashes))

    assert verify_inclusion(hashes[index], index, size, proof, whole)
    assert not verify_inclusion(leaf_hash(b"another"), index, size, proof, whole)
    assert not verify_inclusion(hashes[index], index, size, proof, leaf_hash(b"another"))
    assert not verify_inclusion(hashes[index], index, size, [*proof, whole], whole)
    assert not verify_inclusion(hashes[index], size, size, proof, whole)
    assert not verify_inclusion(hashes[index], -1, size, proof, whole)
    if proof:
        assert not verify_inclusion(hashes[index], index, size, proof[1:], whole)
        assert not verify_inclusion(hashes[index], index, size, [proof[0] + b"x", *proof[1:]], whole)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 4), (9, 4)])
def test_proof_of_a_leaf_that_is_not_there_is_refused(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no such leaf"):
        inclusion_proof(index, size, subtrees_of(LEAVES))
