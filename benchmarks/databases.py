"""A PostgreSQL of a benchmark's own, with durable commits, for as long as it runs."""

import os
import subprocess
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django
from django.core.management import call_command

from config.embedded.postgres import PostgresServer, server_account


@contextmanager
def running_postgres(home: Path) -> Iterator[str]:
    """Its URL; it lives below `home` and is stopped at the end."""
    home.chmod(0o711)  # it may run as another user
    server = PostgresServer(home=home / "postgresql", account=server_account())
    server.prepare()
    account = server.account
    with (home / "postgresql.log").open("wb") as log:
        process = subprocess.Popen(
            server.command(),
            stdout=log,
            stderr=log,
            cwd=server.home,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    try:
        deadline = time.monotonic() + 60
        while not server.is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((home / "postgresql.log").read_text())
            time.sleep(0.1)
        server.ensure_database()
        yield server.url
    finally:
        process.send_signal(server.stop_signal)
        process.wait(60)


@contextmanager
def empty_database(name: str, **settings: str) -> Iterator[None]:
    """Django set up over a migrated database of this process's own."""
    with (
        tempfile.TemporaryDirectory(prefix=f"remembrancer-{name}-") as folder,
        running_postgres(Path(folder)) as url,
    ):
        os.environ |= settings_for(url, Path(folder)) | settings
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
        django.setup()
        call_command("migrate", verbosity=0, skip_checks=True)
        yield


def settings_for(url: str, home: Path) -> dict[str, str]:
    """The variables of a process of ours over this database and no other store."""
    return {
        "DATABASE_URL": url,
        "DATA_DIR": str(home),
        "SECRET_KEY": "k" * 50,
        "MASTER_KEYS": "bench:" + b64encode(b"m" * 32).decode(),
        "SIGNING_KEY": b64encode(b"s" * 32).decode(),
        "REDIS_URL": "",
        "MILVUS_URI": "",
        "ELASTICSEARCH_URL": "",
        "LOG_LEVEL": "ERROR",
    }
