"""The stores of the mirror's tests: recall asks what they were told."""

from tests.conversations.mirror.conftest import elasticsearch, stores

__all__ = ["elasticsearch", "stores"]
