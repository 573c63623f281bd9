"""One JSON object a line, whatever is in it, and no text or secret in any."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from config.logging import REDACTED, TELLING_NAMES, keep_places_only, redact, render_line

KEY = "rmb_ABCDEFGHJKLM_0123456789012345678901234567890123456789012345678"


SETUP = """
import logging, structlog
from config.logging import configure_logging
configure_logging(level="INFO", json=True)
"""


def logged(program: str) -> list[dict[str, Any]]:
    """The lines on standard error of a process that logs; standard output must stay empty."""
    done = subprocess.run([sys.executable, "-c", SETUP + program], capture_output=True, check=True)
    assert done.stdout == b""
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_line_has_event_level_and_time() -> None:
    (line,) = logged("structlog.get_logger().warning('mirror.parked', entity_id='x', attempts=5)")

    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "mirror.parked", "level": "warning", "entity_id": "x", "attempts": 5}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_line_that_cannot_be_written_stops_nothing() -> None:
    lines = "structlog.get_logger().error('a'); logging.getLogger('x').error('b'); print('went on')"

    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", SETUP + lines], stdout=subprocess.PIPE, stderr=full, check=False
        )

    assert (done.returncode, done.stdout) == (0, b"went on\n")


def test_line_below_the_level_is_not_written() -> None:
    assert logged("structlog.get_logger().debug('x'); logging.getLogger('a').debug('x')") == []


def test_line_of_the_standard_library_looks_the_same() -> None:
    (line,) = logged("logging.getLogger('celery.worker').warning('lost %s', 'it', extra={'body': 'hello'})")

    assert line["event"] == "lost it"
    assert (line["level"], line["logger"]) == ("warning", "celery.worker")
    assert "hello" not in str(line)


def test_line_breaks_and_escapes_stay_inside_one_line() -> None:
    (line,) = logged(r"structlog.get_logger().info('a\n{}', request_id='x\r\n\x1b[31m\u2028')")

    assert line["event"] == "a\n{}"
    assert line["request_id"] == "x\r\n\x1b[31m\u2028"


def test_traceback_keeps_places_and_no_message() -> None:
    program = """
def fail():
    try:
        int('alice@example.com')
    except ValueError as error:
        raise KeyError('her secret') from error
try:
    fail()
except KeyError:
    structlog.get_logger().exception('request.failed')
    logging.getLogger('other').exception('failed')
"""
    for line in logged(program):
        assert [part["type"] for part in line["traceback"]] == ["KeyError", "ValueError"]
        assert line["traceback"][0]["frames"][-1].endswith(" fail")
        assert "alice" not in str(line)
        assert "her secret" not in str(line)


@pytest.mark.parametrize(
    "logger", ["django.request", "django.server", "httpx", "elastic_transport.transport", "urllib3"]
)
def test_loggers_that_name_paths_are_quiet(logger: str) -> None:
    assert logged(f"logging.getLogger({logger!r}).warning('Not Found: /customers/alice')") == []
    assert logged(f"logging.getLogger({logger!r}).info('GET /customers/alice')") == []


@pytest.mark.parametrize("name", sorted(TELLING_NAMES))
def test_value_under_a_telling_name_is_redacted(name: str) -> None:
    event = redact(None, "info", {"event": "x", name: "hello", "inner": {name: "hello", "n": 1}})

    assert event == {"event": "x", name: REDACTED, "inner": {name: REDACTED, "n": 1}}


@pytest.mark.parametrize(
    "text",
    [
        f"key {KEY}",
        "Authorization: Bearer abcdefgh12345678",
        "basic dXNlcjpwYXNzd29yZA==",
        "postgres://app:hunter2@db/x",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    ],
)
def test_credential_is_redacted_wherever_it_stands(text: str) -> None:
    event = redact(None, "info", {"event": text, "note": [text, {"deep": text}]})

    for secret in (KEY, "abcdefgh12345678", "dXNlcjpwYXNzd29yZA", "hunter2", "c2lnbmF0dXJl"):
        assert secret not in str(event)


def test_places_of_no_exception_are_nothing() -> None:
    assert keep_places_only(None, "info", {"event": "x", "exc_info": None}) == {"event": "x"}


def test_value_without_a_json_form_is_written_as_it_prints() -> None:
    assert json.loads(render_line(None, "info", {"event": "x", "odd": {1, 2}.__class__})) == {
        "event": "x",
        "odd": "<class 'set'>",
    }
