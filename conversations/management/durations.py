"""Durations on the command line: a number with `s`, `m`, `h` or `d`, or of seconds."""

import argparse
import math
import re
from datetime import timedelta

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def duration(text: str) -> timedelta:
    """`90d` as a timedelta; argparse turns the refusal into wrong usage (exit status 2)."""
    match = re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: use a number with s, m, h or d, as 90d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def seconds(text: str) -> float:
    """How long to wait; argparse turns the refusal into wrong usage (exit status 2)."""
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds, 0 or more")
    return number
