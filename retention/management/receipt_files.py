"""Receipts as files that a command writes."""

import os
from pathlib import Path

from django.core.management.base import CommandError

from retention.models import ErasureCase


def refuse_unwritable(path: Path) -> None:
    """To be called before anything is erased: a mistyped path shall not be found out afterwards."""
    if path.exists():
        raise CommandError(f"{path} is there already.")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise CommandError(f"{path.parent} is no folder that can be written to.")


def write_receipt(case: ErasureCase, path: Path) -> None:
    """The exact bytes that were signed."""
    try:
        path.write_bytes(bytes(case.receipt or b""))
    except OSError as error:
        raise CommandError(
            f"{path}: {error.strerror}. Case {case.id} has the receipt: run the same command with another FILE."
        ) from error
