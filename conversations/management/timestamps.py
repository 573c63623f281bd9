"""Timestamps on the command line: RFC 3339 with a zone."""

import argparse
from datetime import datetime


def timestamp(text: str) -> datetime:
    """`2026-01-31T12:00:00Z` as a datetime; argparse turns the refusal into wrong usage (exit status 2)."""
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise ValueError("A timestamp needs a zone.")
    except ValueError as error:
        wanted = "a timestamp with a zone, such as 2026-01-31T12:00:00Z"
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}") from error
    return at
