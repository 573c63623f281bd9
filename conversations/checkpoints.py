"""Signed Merkle checkpoints in the form of transparency logs, so that their tools and witnesses can read ours.

A checkpoint (c2sp.org/tlog-checkpoint) is the text of a signed note (c2sp.org/signed-note): origin, tree size and root
hash, then one line for each signature.
"""

import re
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from conversations.merkle import HASH_SIZE
from conversations.signing import PublicKey, SigningKey, decode64

_ED25519 = b"\x01"
_KEY_ID_SIZE = 4
_MAX_NOTE = 65_536
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_ORIGIN = re.compile(r"[^\s+\x00-\x1f\x7f]{1,512}")
_SIGNATURE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


class InvalidCheckpoint(ValueError):
    """The text is no checkpoint, or no signature of the given key holds."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself at one size. The origin names the log and the key that signs for it."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not _ORIGIN.fullmatch(self.origin) or self.size < 0 or len(self.root) != HASH_SIZE:
            raise InvalidCheckpoint(
                "A checkpoint needs an origin without spaces or plus, a size and a root hash."
            )

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"

    def signed_by(self, key: SigningKey) -> str:
        """The signed note."""
        signature = _key_id(self.origin, key.public_key) + key.sign(self.text.encode())
        return f"{self.text}\n— {self.origin} {b64encode(signature).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The checkpoint of a note's text, signed or not: nothing is verified. Extension lines are refused."""
        try:
            origin, size, root, end = text.split("\n")
            if end or not _SIZE.fullmatch(size):
                raise InvalidCheckpoint("Not the text of a checkpoint.")
            return cls(origin, int(size), decode64(root))
        except ValueError as error:
            raise InvalidCheckpoint("Not the text of a checkpoint.") from error

    @classmethod
    def verified(cls, note: str, key: PublicKey) -> Self:
        """The checkpoint of a note that this key has signed. Signatures of others are left to others."""
        text, gap, lines = note.rpartition("\n\n")
        if len(note) > _MAX_NOTE or not gap or not lines.endswith("\n") or _CONTROL.search(note):
            raise InvalidCheckpoint("Not a signed note.")
        checkpoint = cls.parse(text + "\n")
        own = [
            signature[_KEY_ID_SIZE:]
            for name, signature in map(_read_signature, lines[:-1].split("\n"))
            if name == checkpoint.origin and signature[:_KEY_ID_SIZE] == _key_id(name, key)
        ]
        if not own or not all(key.has_signed(checkpoint.text.encode(), signature) for signature in own):
            raise InvalidCheckpoint("The checkpoint is not signed by this key.")
        return checkpoint


def detach(note: str) -> tuple[bytes, bytes]:
    """What was signed, and the 64 bytes of the first signature: for who verifies without knowing notes."""
    text, _, lines = note.rpartition("\n\n")
    _, signature = _read_signature(lines.partition("\n")[0])
    return f"{text}\n".encode(), signature[_KEY_ID_SIZE:]


def _read_signature(line: str) -> tuple[str, bytes]:
    found = _SIGNATURE.fullmatch(line)
    if found is None:
        raise InvalidCheckpoint("Not a signature line.")
    try:
        return found[1], decode64(found[2])
    except ValueError as error:
        raise InvalidCheckpoint("Not a signature line.") from error


def _key_id(name: str, key: PublicKey) -> bytes:
    return sha256(name.encode() + b"\n" + _ED25519 + key.raw).digest()[:_KEY_ID_SIZE]
