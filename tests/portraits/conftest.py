from collections.abc import Iterator

import pytest

from portraits.backends.language_model import language_model
from tests.conversations.api.conftest import caller, issue, postgresql_alone  # noqa: F401
from tests.portraits.model_server import ModelServer, running_model


@pytest.fixture
def model_server(settings) -> Iterator[ModelServer]:
    """A language model that the settings name; private addresses are allowed."""
    with running_model() as server:
        settings.LANGUAGE_MODEL_ENDPOINT = server.endpoint
        settings.LANGUAGE_MODEL = "tiny"
        settings.ALLOW_PRIVATE_ENDPOINTS = True
        language_model.cache_clear()
        yield server
    language_model.cache_clear()
