"""Tenants with keys, and clients that speak as one of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from django.http import HttpResponse
from django.test import Client
from schemathesis.pytest.plugin import SchemathesisFunction

from conversations.api import throttling
from conversations.backends import configured
from conversations.enums import Scope
from conversations.services.accounts import api_keys, tenants

EVERY_SCOPE = tuple(scope.value for scope in Scope)


@dataclass(frozen=True)
class Caller:
    """Somebody with a key; `path` is below `/api/v1`, a body that is not bytes is sent as JSON."""

    tenant_id: UUID
    key: str
    key_id: UUID

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        data = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        given = {"authorization": f"Bearer {self.key}"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        content_type = given.pop("content-type", "application/json")
        client = Client(raise_request_exception=False, headers=given)
        return client.generic(method, f"/api/v1{path}", data, content_type)


Issue = Callable[..., Caller]


def pytest_itemcollected(item: pytest.Item) -> None:
    """Tell the operations that Schemathesis makes tests of apart: from 9.2 on, pytest leaves them out of the id."""
    if isinstance(item, SchemathesisFunction):
        item._id = item.parent.id.child(item.name)


@pytest.fixture
def issue(database: str) -> Issue:
    """A new tenant with one key: `issue("read", "write")`; another key of a tenant: `issue(tenant=caller)`."""

    def make(*scopes: str, tenant: Caller | None = None, person: str | None = None) -> Caller:
        if tenant is None:
            owner = tenants.create_tenant(name=f"tenant {uuid4().hex[:8]}")
        else:
            owner = tenants.get_tenant(str(tenant.tenant_id))
        key = api_keys.create_key(tenant=owner, scopes=list(scopes or EVERY_SCOPE), person=person)
        return Caller(owner.id, key.key, key.id)

    return make


@pytest.fixture
def caller(issue: Issue) -> Caller:
    return issue()


@pytest.fixture
def sample_api(settings: Any) -> None:
    """The small API of `sample.py` instead of the real one."""
    settings.ROOT_URLCONF = "tests.conversations.api.sample"


@pytest.fixture(autouse=True)
def postgresql_alone(settings: Any) -> Iterator[None]:
    """No store but PostgreSQL, whatever earlier tests switched on; throttles count here alone and from zero."""
    settings.REDIS_URL = settings.ELASTICSEARCH_URL = settings.MILVUS_URI = ""
    configured.forget_stores()
    throttling._limit_over.cache_clear()
    yield
    configured.forget_stores()
    throttling._limit_over.cache_clear()
