"""The identity of this installation: the key that signs its checkpoints and receipts."""

from django.conf import settings

from conversations import crypto
from conversations.signing import SigningKey, decode64


def signing_key() -> SigningKey:
    return SigningKey.from_seed(settings.SIGNING_KEY)


def secret(label: str) -> bytes:
    """A 32-byte key for one purpose of this installation's own; it changes with the signing key."""
    return crypto.derive(decode64(settings.SIGNING_KEY.strip()), label)
