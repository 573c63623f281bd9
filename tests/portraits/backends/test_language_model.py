"""The language model's endpoint, against a real server: asked politely, believed in nothing."""

import json

import pytest
from django.core.exceptions import ImproperlyConfigured

from portraits.backends import language_model as module
from portraits.backends.language_model import (
    LanguageModel,
    ModelEndpoint,
    ModelUnavailable,
    Reading,
    TraitRead,
)
from tests.portraits.model_server import running_model


@pytest.fixture
def server():
    with running_model() as running:
        yield running


def model(server, **given) -> LanguageModel:
    given = {"model": "tiny", "private_allowed": True, "timeout": 5.0, **given}
    return LanguageModel(ModelEndpoint(url=server.endpoint, **given))


def answer(content: object) -> tuple[int, bytes]:
    return 200, json.dumps({"choices": [{"message": {"content": content}}]}).encode()


def test_it_reads_numbered_texts(server):
    server.reading = {
        "summary": "Likes cream.",
        "traits": [{"name": "skin", "value": "oily", "confidence": 0.8, "messages": [1]}],
    }

    found = model(server, api_key="secret").read(["My skin\nis oily", "and dry"])

    assert found == Reading("Likes cream.", [TraitRead("skin", "oily", 0.8, [1])])
    system, user = server.requests[0]["messages"]
    assert user == {"role": "user", "content": "1. My skin is oily\n2. and dry"}
    assert (system["role"], server.requests[0]["model"]) == ("system", "tiny")


def test_an_object_in_a_code_block_is_read_too(server):
    server.raw = answer('Here:\n```json\n{"summary": "x"}\n```')

    assert model(server).read(["a"]).summary == "x"


@pytest.mark.parametrize(
    "raw",
    [
        (500, b""),
        (401, b"{}"),
        (200, b"not json"),
        (200, b'{"choices": []}'),
        (200, b"x" * 300_000),
        answer("I cannot do that"),
        answer(None),
        answer('{"summary": 7}'),
        answer(json.dumps({"summary": "x" * 3000})),
        answer(json.dumps({"traits": [{"name": "a", "value": "b", "confidence": 9}]})),
        answer(json.dumps({"traits": [{"name": "", "value": "b"}]})),
    ],
)
def test_an_answer_that_is_none_is_no_answer(server, raw):
    server.raw = raw

    with pytest.raises(ModelUnavailable) as refused:
        model(server).read(["a secret word"])

    assert "secret" not in str(refused.value)


def test_it_is_not_waited_for_without_end(server):
    server.hangs = True

    with pytest.raises(ModelUnavailable, match="Timeout"):
        model(server, timeout=0.2).read(["a"])


def test_nobody_there_is_no_answer():
    endpoint = ModelEndpoint(url="http://127.0.0.1:1/v1", model="x", private_allowed=True, timeout=1)

    with pytest.raises(ModelUnavailable):
        LanguageModel(endpoint).read(["a"])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.7", "169.254.169.254", "[::1]"])
def test_private_addresses_are_refused_unless_allowed(host):
    endpoint = ModelEndpoint(url=f"https://{host}:9/v1", model="x", timeout=1)

    with pytest.raises(ModelUnavailable, match="not a public address"):
        LanguageModel(endpoint).read(["a"])


@pytest.mark.parametrize("url", ["ftp://host/v1", "https://", "nonsense", "http://example.com/v1"])
def test_an_endpoint_that_cannot_be_used_is_said_at_once(url):
    with pytest.raises(ImproperlyConfigured):
        LanguageModel(ModelEndpoint(url=url, model="x"))


def test_without_an_endpoint_there_is_no_model(settings):
    settings.LANGUAGE_MODEL_ENDPOINT = ""
    module.language_model.cache_clear()

    assert module.language_model() is None
