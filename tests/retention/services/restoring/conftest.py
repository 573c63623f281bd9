"""Folders of a test's own, and a database to restore into."""

import os
from pathlib import Path

import pytest
from django.db import connections

from conversations import keyring
from conversations.backends import configured
from conversations.services.operations import gate
from tests.conftest import use_database


@pytest.fixture(autouse=True)
def folders(settings, tmp_path, monkeypatch):
    settings.AUDIT_WITNESS = tmp_path / "witness"
    settings.ERASURE_LEDGER = tmp_path / "erasures.jsonl"
    settings.REDIS_URL = settings.MILVUS_URI = settings.ELASTICSEARCH_URL = ""
    monkeypatch.setattr(gate, "BELIEVED", gate.BELIEVED * 0)  # nobody else is served here
    configured.forget_stores()
    yield
    configured.forget_stores()
    keyring.master_keys.cache_clear()
    keyring.forget()


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "nightly.rmb"


@pytest.fixture
def empty_database(template_database):
    """A function that moves everything to a fresh, migrated database; what was in use stays as it is."""
    made = []

    def move() -> str:
        from tests.conftest import _administer

        name = f"test_{os.urandom(6).hex()}"
        connections.close_all()
        _administer(f"CREATE DATABASE {name} TEMPLATE {template_database} STRATEGY file_copy")
        made.append(name)
        use_database(name)
        keyring.forget()
        return name

    yield move
    from tests.conftest import _administer

    connections.close_all()
    for name in made:
        _administer(f"DROP DATABASE {name} WITH (FORCE)")
