"""The stores of the mirror's tests: recall asks what they were told."""

from tests.conversations.mirror.conftest import elasticsearch, lexical_only, stores

__all__ = ["elasticsearch", "lexical_only", "stores"]
