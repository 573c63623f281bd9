"""The environment as typed values. What a variable cannot mean is refused by its name; its value is never quoted."""

import builtins
import logging
import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

_NOTHING = environ.Env.NOTSET
_ON = environ.Env.BOOLEAN_TRUE_STRINGS
_OFF = ("false", "off", "n", "no", "0", "")
_PROFILE = re.compile(r"(wordllama|fastembed|openai|hash):.+:[1-9]\d{0,4}(:\w+)?")
_DURATION = re.compile(r"([0-9]{1,9})s?|([0-9]{1,6})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_RATE = re.compile(r"[1-9]\d*/(s|m|h|d|second|minute|hour|day)")


class SettingError(ImproperlyConfigured):
    """A variable is set to what it cannot mean."""


class Environment(environ.Env):  # type: ignore[misc]
    """`environ.Env`, but strict: what it takes for false, or fails on with a traceback, is a SettingError."""

    def get_value(
        self, var: str, cast: Any = None, default: Any = _NOTHING, parse_default: bool = False
    ) -> Any:
        try:
            return super().get_value(var, cast, default, parse_default)
        except ValueError as error:
            kind = "a whole number" if cast is int else "what is expected there"
            raise SettingError(f"{var} is not {kind}.") from error

    def bool(self, var: str, default: Any = _NOTHING) -> bool:
        if self.str(var, default="").strip().lower() not in (*_ON, *_OFF):
            raise SettingError(f"{var} is neither true nor false.")
        return bool(super().bool(var, default))

    def int(self, var: str, default: Any = _NOTHING) -> int:
        number = int(super().int(var, default))
        if number < 0:
            raise SettingError(f"{var} is negative.")
        return number

    def server(self, var: str, *schemes: str, with_port: builtins.bool = False) -> str:
        """The URL of a store; empty switches it off."""
        text = str(self.str(var, default=""))
        if text and not text.startswith(tuple(f"{scheme}://" for scheme in schemes)):
            raise SettingError(
                f"{var} begins with none of {', '.join(f'{scheme}://' for scheme in schemes)}."
            )
        if text and with_port:
            try:
                port = urlsplit(text).port
            except ValueError:
                port = None
            if port is None:
                raise SettingError(f"{var} names no port.")
        return text

    def profiles(self, var: str, default: str) -> builtins.list[str]:
        """Embedding profiles, comma-separated: `provider:model:dimension[:version]` each."""
        named = [name.strip() for name in str(self.str(var, default=default)).split(",")]
        if not all(_PROFILE.fullmatch(name) for name in named):
            raise SettingError(
                f"{var} is no list of provider:model:dimension[:version], such as {default}; "
                "providers are wordllama, fastembed, openai and hash."
            )
        return named

    def log_level(self, var: str, default: str) -> str:
        level = str(self.str(var, default=default)).upper()
        if level not in logging.getLevelNamesMapping():
            raise SettingError(f"{var} is none of DEBUG, INFO, WARNING, ERROR and CRITICAL.")
        return level

    def duration(self, var: str, default: str) -> timedelta:
        """A number with s, m, h or d, as `30d`; seconds where there is no letter."""
        match = _DURATION.fullmatch(str(self.str(var, default=default)))
        if match is None:
            raise SettingError(f"{var} is not a number with s, m, h or d, such as {default}.")
        seconds, number, unit = match.groups()
        return timedelta(seconds=int(seconds)) if seconds else timedelta(**{_UNITS[unit]: int(number)})

    def rate(self, var: str, default: str) -> str:
        """So many in a time, as `1000/s`."""
        text = str(self.str(var, default=default))
        if not _RATE.fullmatch(text):
            raise SettingError(f"{var} is not a number for each s, m, h or d, such as 1000/s.")
        return text
