#!/usr/bin/env python
"""The operator's door: every command of Remembrancer starts here."""

import os
import sys


def main() -> None:
    # These verbs run before any settings are read: `up` makes the settings, and a receipt is verified on a
    # machine that has neither a database nor a data folder.
    if sys.argv[1:2] == ["up"]:
        from config.embedded.up import main as up

        sys.exit(up(sys.argv[2:]))
    if sys.argv[1:2] == ["verify_receipt"]:
        from retention.receipts import main as verify_receipt

        sys.exit(verify_receipt(sys.argv[2:]))

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
