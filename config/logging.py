"""Logs on standard error: one JSON object a line (or coloured lines for people), ours and everybody else's alike.

A line names events, ids and route templates, never text of a conversation. Two guards ensure that whatever a caller
passes: values under sensitive keys and anything that looks like a credential are replaced, and of an exception only
the class and the places in the code are kept, because databases and parsers quote what they refused in their messages.
"""

import logging
import logging.config
import os
import re
import sys
from contextlib import suppress
from typing import Any

import msgspec
import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, Processor, WrappedLogger

REDACTED = "[redacted]"

# Keys under which text, identifiers or secrets may be logged.
TELLING_NAMES = frozenset(
    {
        "answer",
        "api_key",
        "args",
        "authorization",
        "body",
        "content",
        "cookie",
        "customer",
        "email",
        "external_id",
        "headers",
        "identifier",
        "key",
        "kwargs",
        "original",
        "password",
        "path",
        "phone",
        "plaintext",
        "query",
        "query_string",
        "scrubbed",
        "secret",
        "text",
        "title",
        "token",
        "url",
        "user_id",
    }
)
CREDENTIAL = re.compile(
    r"rmb_[A-Za-z0-9_-]{8,}"  # our own keys
    r"|(?i:bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"
    r"|(?<=://)[^/@\s]+(?=@)"  # user and password in a URL
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"  # signed tokens
)

# Libraries that log paths, queries or values. What matters of it we log ourselves.
QUIET = {
    "django.request": "CRITICAL",
    "django.server": "CRITICAL",
    "django.db.backends": "WARNING",
    "elastic_transport": "ERROR",
    "elasticsearch": "ERROR",
    "httpx": "ERROR",
    "httpcore": "ERROR",
    "pymilvus": "CRITICAL",
    "urllib3": "ERROR",
    "_granian.access": "CRITICAL",
}

_describe_exception = ExceptionDictTransformer(show_locals=False, max_frames=30, use_rich=False)
_encode = msgspec.json.Encoder(enc_hook=repr).encode


def configure_logging(*, level: str, json: bool) -> None:
    """Route structlog and the standard library to standard error in one format."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        keep_places_only,
        redact,
    ]
    render: Processor = render_line if json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=StderrLogger,
        cache_logger_on_first_use=True,
    )
    logging.captureWarnings(True)
    foreign = [structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder(allow=()), *shared]
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "structlog": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": foreign,
                    "processors": [
                        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                        as_text(render),
                    ],
                }
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structlog"}},
            "root": {"handlers": ["stderr"], "level": level.upper()},
            "loggers": {name: {"level": quiet} for name, quiet in QUIET.items()},
        }
    )


class StderrLogger:
    """Writes a finished line in one system call, past the interpreter's own buffers and whoever replaced them.

    A line that cannot be written, on a full disk for one, is lost; what it tells of has happened and goes on.
    """

    def __init__(self, *args: Any) -> None:
        return None

    def msg(self, line: str | bytes) -> None:
        with suppress(OSError):
            os.write(2, (line if isinstance(line, bytes) else line.encode(errors="backslashreplace")) + b"\n")

    debug = info = warning = error = critical = exception = log = msg


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace values under sensitive keys, and credentials anywhere."""
    return {
        name: REDACTED if name in TELLING_NAMES else _without_credentials(value)
        for name, value in event.items()
    }


def keep_places_only(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """`exc_info` becomes `traceback`: classes and places of the chain, without a message."""
    exc_info = event.pop("exc_info", None)
    if not exc_info:
        return event
    if isinstance(exc_info, BaseException):
        exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
    elif not isinstance(exc_info, tuple):
        exc_info = sys.exc_info()
    if exc_info[0] is not None:
        event["traceback"] = [
            {"type": trace["exc_type"], "frames": [_place(frame) for frame in trace["frames"]]}
            for trace in _describe_exception(exc_info)
        ]
    return event


def render_line(_logger: WrappedLogger, _method: str, event: EventDict) -> bytes:
    """One line whatever is in it: control characters are escaped by the encoder."""
    return _encode(event)


def as_text(render: Processor) -> Processor:
    """The renderer for handlers of the standard library, which write text."""

    def render_text(logger: WrappedLogger, method: str, event: EventDict) -> str:
        line = render(logger, method, event)
        return line.decode() if isinstance(line, bytes) else str(line)

    return render_text


def _place(frame: dict[str, Any]) -> str:
    return f"{frame['filename']}:{frame['lineno']} {frame['name']}"


def _without_credentials(value: Any) -> Any:
    match value:
        case str():
            return CREDENTIAL.sub(REDACTED, value)
        case dict():
            return {
                name: REDACTED if name in TELLING_NAMES else _without_credentials(inner)
                for name, inner in value.items()
            }
        case list() | tuple():
            return [_without_credentials(inner) for inner in value]
        case _:
            return value
