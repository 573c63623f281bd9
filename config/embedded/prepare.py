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

import django
from django.core.management import CommandError, call_command

# A store that is down is degraded, not off: it catches up when it is back.
_MAY_FAIL = {"ensure_indexes"}


def main() -> int:
    """Run the steps; exit status 1 at the first one that must not fail."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()

    steps = [["migrate", "--noinput"], ["ensure_partitions"], ["ensure_indexes"]]
    failed = []
    for step in steps:
        if not _succeeds(step):
            failed.append(step[0])
            if step[0] not in _MAY_FAIL:
                return 1
    made = io.StringIO()
    call_command("bootstrap", "--json", stdout=made)
    sys.stdout.write(json.dumps({"bootstrap": json.loads(made.getvalue()), "failed": failed}))
    return 0


def _succeeds(step: list[str]) -> bool:
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
    sys.exit(main())
