"""Signed checkpoints, against the example of the C2SP specification."""

from base64 import b64decode, b64encode
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.checkpoints import Checkpoint, InvalidCheckpoint
from conversations.merkle import EMPTY_ROOT
from conversations.signing import SigningKey

# The example of c2sp.org/tlog-checkpoint.
EXAMPLE = """\
example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
"""
TEXT = EXAMPLE.partition("\n\n")[0] + "\n"

KEY = SigningKey.from_seed(b64encode(b"k" * 32).decode())
OTHER = SigningKey.from_seed(b64encode(b"o" * 32).decode())
CHECKPOINT = Checkpoint("remembrancer.example/log", 42, bytes(range(32)))
NOTE = CHECKPOINT.signed_by(KEY)


def test_text_is_that_of_the_specification() -> None:
    checkpoint = Checkpoint.parse(TEXT)

    assert checkpoint.origin == "example.com/behind-the-sofa"
    assert checkpoint.size == 20852163
    assert checkpoint.root == b64decode("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=")
    assert checkpoint.text == TEXT


def test_note_of_the_specification_is_not_ours() -> None:
    with pytest.raises(InvalidCheckpoint, match="not signed by this key"):
        Checkpoint.verified(EXAMPLE, KEY.public_key)


@given(st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_signed_checkpoint_is_verified_as_what_was_signed(size: int, root: bytes) -> None:
    checkpoint = Checkpoint("remembrancer.example/log", size, root)

    assert Checkpoint.verified(checkpoint.signed_by(KEY), KEY.public_key) == checkpoint


def test_empty_log_has_a_checkpoint() -> None:
    checkpoint = Checkpoint("log", 0, EMPTY_ROOT)

    assert Checkpoint.verified(checkpoint.signed_by(KEY), KEY.public_key).size == 0


def test_checkpoint_of_another_key_is_refused() -> None:
    with pytest.raises(InvalidCheckpoint, match="not signed by this key"):
        Checkpoint.verified(NOTE, OTHER.public_key)


def test_any_changed_byte_is_refused() -> None:
    for position, byte in enumerate(NOTE.encode()):
        for changed in {byte ^ 1, byte ^ 0x20, ord("\n"), ord("=")} - {byte}:
            note = NOTE.encode()[:position] + bytes([changed]) + NOTE.encode()[position + 1 :]
            with pytest.raises(InvalidCheckpoint):
                Checkpoint.verified(note.decode(errors="replace"), KEY.public_key)


def test_signature_of_another_log_under_the_same_key_is_refused() -> None:
    moved = replace(CHECKPOINT, origin="remembrancer.example/other").signed_by(KEY)
    line = moved.rpartition("\n\n")[2].replace("/other", "/log")

    with pytest.raises(InvalidCheckpoint):
        Checkpoint.verified(f"{CHECKPOINT.text}\n{line}", KEY.public_key)


def test_cosignature_of_a_witness_is_left_alone() -> None:
    witness = "— witness.example/w " + b64encode(b"\0\0\0\x04" + b"x" * 72).decode() + "\n"

    assert Checkpoint.verified(NOTE + witness, KEY.public_key) == CHECKPOINT


def test_second_signature_of_our_key_that_does_not_hold_spoils_the_note() -> None:
    line = NOTE.rpartition("\n\n")[2]
    name, _, signature = line[2:-1].partition(" ")
    spoiled = bytearray(b64decode(signature))
    spoiled[-1] ^= 1

    with pytest.raises(InvalidCheckpoint):
        Checkpoint.verified(f"{NOTE}— {name} {b64encode(spoiled).decode()}\n", KEY.public_key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "log\n1\n",
        "log\n01\n" + TEXT.splitlines()[2] + "\n",
        "log\n+1\n" + TEXT.splitlines()[2] + "\n",
        "log\n-1\n" + TEXT.splitlines()[2] + "\n",
        "log\n１\n" + TEXT.splitlines()[2] + "\n",
        "log\n1\nAAAA\n",
        "log\n1\n" + TEXT.splitlines()[2],
        "\n1\n" + TEXT.splitlines()[2] + "\n",
        "a log\n1\n" + TEXT.splitlines()[2] + "\n",
        "a+log\n1\n" + TEXT.splitlines()[2] + "\n",
        TEXT + "an extension\n",
        TEXT + "\n",
    ],
)
def test_text_that_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(InvalidCheckpoint):
        Checkpoint.parse(text)


@pytest.mark.parametrize(
    "note", ["", TEXT, NOTE.rstrip("\n"), NOTE.replace("\n", "\r\n"), NOTE + "x" * 70_000]
)
def test_note_that_is_none_is_refused(note: str) -> None:
    with pytest.raises(InvalidCheckpoint):
        Checkpoint.verified(note, KEY.public_key)
