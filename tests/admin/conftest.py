"""A back office with two tenants, and people who work in it."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from playwright.sync_api import Browser

from conversations.backends.configured import forget_stores
from conversations.models import Staff, Tenant
from conversations.services.accounts.staff import create_staff
from conversations.services.accounts.tenants import create_tenant
from tests.admin.browser import Officer, chromium, find_chromium
from tests.admin.server import serving

DPO = "data protection officer"


@dataclass(frozen=True)
class Account:
    staff: Staff
    password: str

    @property
    def username(self) -> str:
        return self.staff.username


@pytest.fixture(autouse=True)
def alone(settings: Any) -> Iterator[None]:
    """PostgreSQL and nothing else; static files from where the packages keep them."""
    settings.REDIS_URL = settings.ELASTICSEARCH_URL = settings.MILVUS_URI = ""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    forget_stores()
    cache.clear()
    yield
    cache.clear()
    forget_stores()


@pytest.fixture
def tenant(database: str) -> Tenant:
    return create_tenant(name="acme")


@pytest.fixture
def other(database: str) -> Tenant:
    return create_tenant(name="rival")


@pytest.fixture
def account(tenant: Tenant) -> Callable[..., Account]:
    """A new person: `account("dora", "viewer")`."""

    def make(username: str, group: str = DPO, of: Tenant = tenant) -> Account:
        made = create_staff(username=username, tenant=of, group=group)
        return Account(made.staff, made.password)

    return make


@pytest.fixture
def signed_in(account: Callable[..., Account]) -> Callable[..., Client]:
    """A browser without scripts, signed in: `signed_in("dora", "viewer")`. For what needs no real one."""

    def make(username: str, group: str = DPO, **of: Tenant) -> Client:
        client = Client(enforce_csrf_checks=False)
        client.force_login(account(username, group, **of).staff)
        return client

    return make


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if find_chromium() is None:
        pytest.skip("no Chromium: apt-get install chromium")
    # Playwright keeps an event loop in this thread, where Django would then refuse to be asked synchronously.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with chromium() as browser:
        yield browser


@pytest.fixture
def url(database: str) -> Iterator[str]:
    with serving() as url:
        yield url


@pytest.fixture
def officer(browser: Browser, url: str) -> Iterator[Callable[..., Officer]]:
    """Somebody at a browser of their own, not signed in yet."""
    officers = []

    def make(**context: Any) -> Officer:
        officers.append(Officer(browser.new_context(locale="en-GB", **context), url))
        return officers[-1]

    yield make
    for officer in officers:
        officer.context.close()
        assert officer.troubles == []
        assert officer.outside == []


@pytest.fixture
def at_work(officer: Callable[..., Officer], account: Callable[..., Account]) -> Callable[..., Officer]:
    """Somebody signed in, at a browser of their own: `at_work("dora", "reviewer")`."""

    def make(username: str, group: str = DPO, **context: Any) -> Officer:
        made = account(username, group)
        return officer(**context).sign_in(made.username, made.password)

    return make
