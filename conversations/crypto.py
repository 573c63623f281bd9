"""Sealing with AES-256-GCM, key wrapping, keyed digests. Pure: keys are stored elsewhere (`keyring`).

    sealed value    0x01 | key id (16) | nonce (12) | ciphertext | tag (16)
    wrapped key     0x02 | nonce (12) | ciphertext (32) | tag (16)

What stands before the nonce is authenticated too, so neither can be passed off as the other or as sealed by
another key. Random 96-bit nonces are safe below 2^32 values per key (NIST SP 800-38D, 8.3); a key belongs to
one customer and stays far below.
"""

import base64
import binascii
import hmac
import os
import re
import struct
from dataclasses import dataclass, field
from functools import cache
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from conversations.exceptions import SealBroken

KEY_BYTES = 32
SEAL_OVERHEAD = 1 + 16 + 12 + 16

_SEALED = b"\x01"
_WRAPPED = b"\x02"
_NONCE_BYTES = 12
_TAG_BYTES = 16
_HEADER_BYTES = 1 + 16
_MASTER_ID = re.compile(r"[A-Za-z0-9._-]{1,40}")


@dataclass(frozen=True, slots=True)
class DataKeyMaterial:
    """An unwrapped data key. Its secret appears in no repr; do not keep it longer than the key cache does."""

    id: UUID
    secret: bytes = field(repr=False)
    header: bytes = field(init=False, repr=False, compare=False)  # how what it seals begins
    cipher: AESGCM = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "header", _SEALED + self.id.bytes)
        object.__setattr__(self, "cipher", _cipher(self.secret))


def new_secret() -> bytes:
    """32 bytes from the operating system's generator."""
    return os.urandom(KEY_BYTES)


def seal(plaintext: bytes, *, key: DataKeyMaterial, aad: bytes) -> bytes:
    """`plaintext` encrypted and bound to `aad`, 45 bytes longer."""
    nonce = os.urandom(_NONCE_BYTES)
    return key.header + nonce + key.cipher.encrypt(nonce, plaintext, key.header + aad)


def key_id(sealed: bytes | memoryview) -> UUID:
    """Which key opens it. Not authenticated until `unseal` has succeeded."""
    if len(sealed) < SEAL_OVERHEAD or sealed[:1] != _SEALED:
        raise SealBroken("Not a sealed value.")
    return UUID(bytes=bytes(sealed[1:_HEADER_BYTES]))


def unseal(sealed: bytes | memoryview, *, key: DataKeyMaterial, aad: bytes) -> bytes:
    """What was sealed; `SealBroken` for any other key, any other `aad` and any altered byte."""
    if len(sealed) < SEAL_OVERHEAD or sealed[:_HEADER_BYTES] != key.header:
        raise SealBroken("Not a value that this key has sealed.")
    body = _HEADER_BYTES + _NONCE_BYTES
    return _open(key.cipher, sealed[_HEADER_BYTES:body], sealed[body:], key.header + aad)


def wrap(secret: bytes, *, parent: bytes, aad: bytes) -> bytes:
    """A 32-byte key encrypted under its parent's 32 bytes and bound to `aad`, its own row."""
    if len(secret) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes")
    nonce = os.urandom(_NONCE_BYTES)
    return _WRAPPED + nonce + _cipher(parent).encrypt(nonce, secret, _WRAPPED + aad)


def unwrap(wrapped: bytes | memoryview, *, parent: bytes, aad: bytes) -> bytes:
    """The wrapped key; `SealBroken` for any other parent or row and any altered byte."""
    body = 1 + _NONCE_BYTES
    if len(wrapped) != body + KEY_BYTES + _TAG_BYTES or wrapped[:1] != _WRAPPED:
        raise SealBroken("Not a wrapped key.")
    return _open(_cipher(parent), wrapped[1:body], wrapped[body:], _WRAPPED + aad)


def row_aad(tenant_id: UUID, table: str, column: str, row_id: UUID) -> bytes:
    """The place a sealed value belongs to: in any other row, column, table or tenant it does not open."""
    return tenant_id.bytes + row_id.bytes + _place(table, column)


def hmac_digest(key: bytes, *parts: bytes | str) -> bytes:
    """HMAC-SHA256 over the parts, each with its length, so that ("ab", "c") and ("a", "bc") differ."""
    message = b"".join(_framed(part.encode() if isinstance(part, str) else part) for part in parts)
    return hmac.digest(key, message, "sha256")


def derive(secret: bytes, label: str) -> bytes:
    """A 32-byte key for one purpose (HKDF-SHA256, RFC 5869); nothing about `secret` follows from it."""
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=label.encode()).derive(secret)


@dataclass(frozen=True, slots=True)
class MasterKey:
    id: str
    secret: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """16 hex digits that name the key to people and reveal nothing of it."""
        return derive(self.secret, "fingerprint").hex()[:16]


@dataclass(frozen=True, slots=True)
class MasterKeys:
    """The installation's master keys: `current` wraps, all of them unwrap what they wrapped."""

    keys: tuple[MasterKey, ...]

    @classmethod
    def parse(cls, text: str) -> "MasterKeys":
        """From `id:base64[,older:base64...]`; `ValueError` names the entry at fault, never its secret."""
        keys = tuple(_parse_master(number, entry) for number, entry in enumerate(text.split(","), 1))
        if len({key.id for key in keys}) != len(keys):
            raise ValueError("two master keys have the same id")
        return cls(keys)

    @property
    def current(self) -> MasterKey:
        return self.keys[0]

    def wrap(self, secret: bytes, *, aad: bytes) -> bytes:
        """Wrapped under the current master key; remember `current.id` beside it."""
        return wrap(secret, parent=self.current.secret, aad=aad)

    def unwrap(self, wrapped: bytes | memoryview, *, by: str, aad: bytes) -> bytes:
        """What the master key `by` wrapped; `SealBroken` if this installation does not have that key."""
        for key in self.keys:
            if key.id == by:
                return unwrap(wrapped, parent=key.secret, aad=aad)
        raise SealBroken("Wrapped by a master key that is not here.")

    def fingerprints(self) -> dict[str, str]:
        return {key.id: key.fingerprint for key in self.keys}


def _parse_master(number: int, entry: str) -> MasterKey:
    name, _, encoded = entry.strip().partition(":")
    if not _MASTER_ID.fullmatch(name):
        raise ValueError(
            f"master key {number}: the id is 1 to 40 letters, digits, dots, dashes or underscores"
        )
    try:
        secret = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise ValueError(f"master key {name}: {KEY_BYTES} bytes in base64 are needed")
    return MasterKey(name, secret)


def _cipher(secret: bytes) -> AESGCM:
    if len(secret) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes")
    return AESGCM(secret)


def _open(cipher: AESGCM, nonce: bytes | memoryview, body: bytes | memoryview, aad: bytes) -> bytes:
    try:
        return cipher.decrypt(nonce, body, aad)
    except InvalidTag:
        raise SealBroken from None  # the cause has nothing to add


@cache
def _place(table: str, column: str) -> bytes:
    return _framed(table.encode()) + _framed(column.encode())


def _framed(part: bytes) -> bytes:
    return struct.pack(">I", len(part)) + part
