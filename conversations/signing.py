"""Ed25519 keys: what this installation signs with, and what anybody verifies with. Needs no settings."""

from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

KEY_SIZE = 32


class InvalidKey(ValueError):
    """The text is not an Ed25519 key."""


def decode64(text: str) -> bytes:
    """The bytes of standard base64, ValueError for any text but the one that encodes them.

    Python's decoder overlooks stray characters and unused bits: a changed signature could still verify.
    """
    try:
        data = b64decode(text, validate=True)
    except ValueError:
        raise ValueError("Not base64.") from None
    if b64encode(data).decode() != text:
        raise ValueError("Not the only base64 of these bytes.")
    return data


@dataclass(frozen=True, slots=True)
class PublicKey:
    raw: bytes  # 32 bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """The key of its base64 text or of a PEM file; InvalidKey otherwise."""
        text = text.strip()
        try:
            raw = _raw_of_pem(text) if text.startswith("-----BEGIN") else decode64(text)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise InvalidKey("Not an Ed25519 public key in base64 or PEM.") from error
        if len(raw) != KEY_SIZE:
            raise InvalidKey("An Ed25519 public key has 32 bytes.")
        return cls(raw)

    def __str__(self) -> str:
        return b64encode(self.raw).decode()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the key, written as OpenSSH writes fingerprints: short enough to read to somebody."""
        return "SHA256:" + b64encode(sha256(self.raw).digest()).decode().rstrip("=")

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key. Its text never appears in `repr`, hence in no log."""

    _private: Ed25519PrivateKey

    @classmethod
    def from_seed(cls, text: str) -> Self:
        """The key of the base64 of its 32-byte seed; InvalidKey without repeating the text."""
        try:
            return cls(Ed25519PrivateKey.from_private_bytes(decode64(text.strip())))
        except ValueError:
            raise InvalidKey("A signing key is the base64 of 32 bytes.") from None

    @property
    def public_key(self) -> PublicKey:
        return PublicKey(self._private.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of the signature; the same for the same message."""
        return self._private.sign(message)


def _raw_of_pem(text: str) -> bytes:
    key = load_pem_public_key(text.encode())
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidKey("The key in this PEM file is not an Ed25519 key.")
    return key.public_bytes_raw()
