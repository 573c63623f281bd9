"""Every test that touches the database gets a database of its own, cloned from a migrated template.

So roles, commits, row-level security and triggers are the real ones, and nothing has to be flushed.
"""

import base64
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import django
import pytest

pytest.register_assert_rewrite("tests.servers")

from tests import servers  # noqa: E402  (rewritten first)

_given = frozenset(os.environ)
servers.name_servers(os.environ)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("SECRET_KEY", "tests-only-" + "k" * 50)
os.environ.setdefault("MASTER_KEYS", "tests:" + base64.b64encode(b"m" * 32).decode())
os.environ.setdefault("SIGNING_KEY", base64.b64encode(b"s" * 32).decode())
os.environ.setdefault("DATA_DIR", tempfile.mkdtemp(prefix="remembrancer-tests-data-"))
os.environ.setdefault("ELASTICSEARCH_PREFIX", f"test-{uuid4().hex[:8]}")
os.environ.setdefault("ELASTICSEARCH_SHARDS", "1")
os.environ.setdefault("ELASTICSEARCH_REPLICAS", "0")
os.environ.setdefault("REQUIRE_MFA", "false")
_named = os.environ.keys() - _given
django.setup()

from django.core.management import call_command  # noqa: E402  (settings first)
from django.db import connections  # noqa: E402

pytest_plugins = ["tests.servers"]


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Refuse two tests with one id: side by side, only the first of them would run, and nobody would be told."""
    twice = [nodeid for nodeid, count in Counter(item.nodeid for item in items).items() if count > 1]
    if twice:
        raise pytest.UsageError(f"Tests have the same id: {', '.join(twice)}")


def pytest_configure(config: pytest.Config) -> None:
    """Where the tests run in several processes, let each name servers and a prefix of its own."""
    if config.getoption("numprocesses", None):
        for name in _named:
            del os.environ[name]


ALIASES = ("default", "ops", "owner")


def use_database(name: str) -> None:
    """Point every alias at that database."""
    for alias in ALIASES:
        connections[alias].close()
        connections[alias].settings_dict["NAME"] = name


@pytest.fixture(scope="session")
def template_database(postgres_server: str, django_db_blocker: Any) -> str:
    """The name of a migrated database with no rows; never used itself."""
    name = f"template_{uuid4().hex[:8]}"
    with django_db_blocker.unblock():
        _administer(
            f"CREATE DATABASE {name} LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' TEMPLATE template0"
        )
        use_database(name)
        call_command("migrate", verbosity=0, skip_checks=True)
        call_command("ensure_partitions", verbosity=0)
        for alias in ALIASES:
            connections[alias].close()
    return name


@pytest.fixture
def database(template_database: str, django_db_blocker: Any) -> Iterator[str]:
    """A fresh database for this test; yields its name."""
    name = f"test_{uuid4().hex[:12]}"
    with django_db_blocker.unblock():
        _administer(f"CREATE DATABASE {name} TEMPLATE {template_database} STRATEGY file_copy")
        use_database(name)
        yield name
        connections.close_all()
        _administer(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def data_dir(settings: Any, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path
    return tmp_path


def _administer(statement: str) -> None:
    """Run one statement outside a transaction, as the login itself, on the server's own database."""
    with servers.administrator() as connection:
        connection.execute(statement)
