#!/usr/bin/env python
"""The command line of Remembrancer."""

import os
import sys

# Settings good enough to print help where nothing is configured yet: nothing connects anywhere for that.
PLACEHOLDERS = {
    "DATA_DIR": os.devnull,
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
    "SECRET_KEY": "for-help-only",
    "MASTER_KEYS": "help:" + "A" * 43 + "=",
    "SIGNING_KEY": "A" * 43 + "=",
}


def main() -> None:
    # These commands run before any settings are read: `up` makes the settings, and a receipt is verified on a
    # machine that has neither a database nor a data folder.
    if sys.argv[1:2] == ["up"]:
        from config.embedded.up import main as up

        sys.exit(up(sys.argv[2:]))
    if sys.argv[1:2] == ["verify_receipt"]:
        from retention.receipts import main as verify_receipt

        sys.exit(verify_receipt(sys.argv[2:]))

    refuse_what_is_no_text(sys.argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault("LOG_LEVEL", "WARNING")  # commands print their own progress
    read_settings()
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import ManagementUtility, get_commands
    from django.db import OperationalError

    try:
        ManagementUtility(sys.argv).execute()
    except SystemExit as stop:
        # Django leaves a name that it does not know with 1, which is for work that was refused or failed.
        known = {*get_commands(), "help", "version"}
        sys.exit(stop.code if known.issuperset(sys.argv[1:2]) else 2)
    except ImproperlyConfigured as error:
        if "--traceback" in sys.argv:
            raise
        refuse(str(error))
    except OperationalError as error:
        if "--traceback" in sys.argv:
            raise
        refuse(f"The database does not answer: {error}".strip())


def read_settings() -> None:
    """Import the settings, and report what is wrong with them in one line; help works without them."""
    from importlib import import_module

    from django.core.exceptions import ImproperlyConfigured

    from config.embedded.exceptions import EmbeddedError
    from config.environment import SettingError

    try:
        import_module(os.environ["DJANGO_SETTINGS_MODULE"])
        return
    except EmbeddedError as error:
        problem = f"{error.problem} {error.remedy}"
    except SettingError as error:
        problem = str(error)
    except ImproperlyConfigured as error:
        problem = f"No `manage.py up` was started here, and the environment is incomplete: {error}."
    if not {"help", "-h", "--help"} & {*sys.argv[1:]}:
        refuse(problem)
    os.environ.update(PLACEHOLDERS)


def refuse_what_is_no_text(arguments: list[str]) -> None:
    """Bytes that are not UTF-8 reach Python as lone surrogates, which neither a database nor a terminal takes."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            sys.stderr.write(f"{argument!a} is not valid UTF-8.\n")
            sys.exit(2)


def refuse(problem: str) -> None:
    sys.stderr.write(f"{problem}\n")
    sys.exit(1)


if __name__ == "__main__":
    main()
