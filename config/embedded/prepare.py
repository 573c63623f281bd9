"""Makes a started PostgreSQL ready to serve: the schema, the indexes, the first admin.

A process of its own, so that `up` needs no settings, and one for all steps, because loading the apps takes
longer than any of them. Standard output is one JSON object: what `bootstrap` answered, and the names of the
steps that failed and may be made up for later.
"""

import contextlib
import io
import json
import os
import sys
import time

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command

from config.embedded.process import port_answers

MILVUS_SECONDS = 60.0


def main(milvus_port: int | None) -> int:
    """Run the steps; exit status 1 at the first one that must not fail.

    `milvus_port` is that of a Milvus Lite which is still starting: it loads while the schema is made.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        django.setup()
    except ImproperlyConfigured as error:
        sys.stderr.write(f"{error}\n")
        return 1

    if not (
        _succeeds("check", "--tag", "security")
        and _succeeds("migrate", "--noinput")
        and _succeeds("check", "--tag", "database", "--database", "default")
        and _succeeds("ensure_partitions")
    ):
        return 1
    made = io.StringIO()
    call_command("bootstrap", "--json", stdout=made)
    if milvus_port is not None:
        _wait_for(milvus_port)
    # A store that is away is degraded, not off: it is caught up with when it is back.
    failed = [] if _succeeds("ensure_indexes") else ["ensure_indexes"]
    sys.stdout.write(json.dumps({"bootstrap": json.loads(made.getvalue()), "failed": failed}))
    return 0


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + MILVUS_SECONDS
    while not port_answers("127.0.0.1", port) and time.monotonic() < deadline:
        time.sleep(0.1)


def _succeeds(*step: str) -> bool:
    try:
        with contextlib.redirect_stdout(sys.stderr):
            call_command(*step)
    except CommandError as error:
        sys.stderr.write(f"{step[0]}: {error}\n")
        return False
    except SystemExit as exit_:
        return not exit_.code
    return True


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else None))
