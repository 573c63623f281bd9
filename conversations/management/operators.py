"""Who runs a command: the operating system account, and the name given with `--as`."""

import os
import pwd
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from conversations.principals import Actor, ActorKind


def add_operator(parser: CommandParser) -> None:
    parser.add_argument("--as", dest="claimed", metavar="NAME", help="who you are, recorded as claimed")


def operator(options: Mapping[str, Any]) -> Actor:
    """The actor of this command, `operator:<OS user>`."""
    return Actor(ActorKind.OPERATOR, f"operator:{_account()}", options.get("claimed"))


def _account() -> str:
    # Not `getpass`: it believes the environment, which anybody can set.
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user often has no name
        return str(os.getuid())
