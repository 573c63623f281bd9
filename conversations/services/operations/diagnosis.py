"""The findings of `doctor`: what is wrong with this installation, and what to do about it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from typing import cast

import psycopg
import redis
from django.conf import settings
from django.core.checks import Error, run_checks
from django.db import DatabaseError, OperationalError, connections, transaction
from redis.backoff import NoBackoff
from redis.retry import Retry

from conversations import ids, keyring
from conversations.checks import cautions
from conversations.installation import signing_key
from conversations.services.mirrors.status import mirror_status
from conversations.services.operations.partitions import default_rows, missing_partitions
from conversations.services.operations.readiness import StoreStatus, read_readiness
from conversations.services.recall.pipeline import warm_up
from conversations.signing import InvalidKey

CLOCK_TOLERANCE = 1.0  # seconds between our clock and the database's
LAG_TOLERANCE = 30.0  # seconds that a store may be behind
BROKER_PATIENCE = 1.0  # seconds to connect, and again to answer
SUPPORTED_POSTGRESQL = (17, 18)
PACKAGES = (
    "django",
    "djangorestframework",
    "psycopg",
    "celery",
    "elasticsearch",
    "pymilvus",
    "redis",
    "wordllama",
)


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; `advice` says what to do if it is not ok."""

    subject: str
    level: Level
    detail: str
    advice: str = ""


def diagnose() -> list[Finding]:
    """Settings, servers, versions, roles, partitions, clocks, keys, mirrors."""
    findings = list(_settings())
    reachable = True
    for look in (_database, _room, _stores, _broker, _clock, _partitions, _mirrors, _keys, _versions):
        if look in _NEED_DATABASE and not reachable:
            continue
        try:
            findings += look()
        except DatabaseError as error:
            reachable = False
            advice = "Is PostgreSQL running, and does DATABASE_URL name it? Was `manage.py migrate` run?"
            findings.append(Finding("postgresql", Level.ERROR, str(error).strip().splitlines()[0], advice))
    return findings


def _settings() -> Iterator[Finding]:
    found = run_checks(tags=None, include_deployment_checks=False, databases=["default", "ops"]) + cautions()
    for message in found:
        level = Level.ERROR if isinstance(message, Error) else Level.WARNING
        yield Finding(f"settings {message.id}", level, str(message.msg), str(message.hint or ""))
    if not found:
        yield Finding("settings", Level.OK, "every check passes")


def _database() -> Iterator[Finding]:
    with connections["ops"].cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        major = int(cursor.fetchone()[0]) // 10_000
        cursor.execute(
            "SELECT datlocprovider, datcollate FROM pg_database WHERE datname = current_database()"
        )
        provider, collation = cursor.fetchone()
    supported = major in SUPPORTED_POSTGRESQL
    advice = "" if supported else f"Use PostgreSQL {' or '.join(map(str, SUPPORTED_POSTGRESQL))}."
    yield Finding(
        "postgresql",
        Level.OK if supported else Level.ERROR,
        f"version {major}, {provider}/{collation}",
        advice,
    )


def _room() -> Iterator[Finding]:
    """Whether PostgreSQL can write a megabyte: on a full disk it still answers everything else."""
    try:
        with transaction.atomic(using="ops"), connections["ops"].cursor() as cursor:
            cursor.execute(
                "CREATE TEMPORARY TABLE room ON COMMIT DROP AS"
                " SELECT repeat(md5(n::text), 32) FROM generate_series(1, 1024) n"
            )
    except OperationalError as error:
        if not isinstance(error.__cause__, psycopg.errors.DiskFull):
            raise
        advice = "Reads go on, writes answer 503. Make room on its disk: nothing has to be started again."
        yield Finding("disk", Level.ERROR, "PostgreSQL has no room left", advice)
    else:
        yield Finding("disk", Level.OK, "PostgreSQL has room")


def _stores() -> Iterator[Finding]:
    warm_up()  # loading the vector store's client takes longer than a probe may
    for name, state in read_readiness().stores.items():
        level = Level.ERROR if state.status is StoreStatus.DEGRADED else Level.OK
        yield Finding(
            name, level, state.detail or state.status, _advice(name) if level is Level.ERROR else ""
        )


def _advice(name: str) -> str:
    if (variable := _NAMED_BY.get(name)) is None:
        return "Every request answers 503 meanwhile."
    question = (
        f"Does the server that {variable} names run, and answer? A hanging one has to be started again."
    )
    return f"Requests go on without {name}. {question} Empty {variable} to switch it off."


def _broker() -> Iterator[Finding]:
    if not settings.BROKER_URL.startswith(("redis", "unix")):
        return
    try:
        client = redis.Redis.from_url(
            settings.BROKER_URL,
            socket_timeout=BROKER_PATIENCE,
            socket_connect_timeout=BROKER_PATIENCE,
            retry=Retry(NoBackoff(), 0),
        )
        asked = cast("dict[str, str]", client.config_get("maxmemory*"))
        policy, limit = asked.get("maxmemory-policy", "noeviction"), int(asked.get("maxmemory", 0))
    except (redis.RedisError, OSError) as error:
        hangs = isinstance(error, redis.TimeoutError)
        detail = f"no answer within {BROKER_PATIENCE:g} s" if hangs else type(error).__name__
        advice = "Does the Redis that BROKER_URL names (else REDIS_URL) run, and answer?"
        yield Finding("broker", Level.ERROR, detail, f"{advice} The outbox keeps the work meanwhile.")
        return
    # Queued tasks carry no expiry, so only the `allkeys` policies would drop them.
    evicts = limit and policy.startswith("allkeys")
    advice = "Give the broker a Redis of its own with maxmemory-policy noeviction." if evicts else ""
    yield Finding("broker", Level.WARNING if evicts else Level.OK, f"maxmemory-policy {policy}", advice)


def _clock() -> Iterator[Finding]:
    with connections["ops"].cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        apart = abs((ids.now() - cursor.fetchone()[0]).total_seconds())
    level = Level.OK if apart <= CLOCK_TOLERANCE else Level.ERROR
    advice = (
        ""
        if level is Level.OK
        else "Let both machines follow one time server: retention counts from this clock."
    )
    yield Finding("clock", level, f"{apart:.3f} s from the database's", advice)


def _partitions() -> Iterator[Finding]:
    now = ids.now()
    # A day less ahead than the worker makes them: it needs up to an hour after a new week has begun.
    missing = missing_partitions(now - timedelta(days=1), since=now)
    strays = {table: count for table, count in default_rows().items() if count}
    if missing:
        yield Finding(
            "partitions", Level.WARNING, f"{len(missing)} missing", "Run `manage.py ensure_partitions`."
        )
    for table, count in strays.items():
        yield Finding(
            table,
            Level.WARNING,
            f"{count} rows in DEFAULT",
            "Run `manage.py ensure_partitions`: it moves them.",
        )
    if not missing and not strays:
        yield Finding("partitions", Level.OK, "made ahead, nothing in DEFAULT")


def _mirrors() -> Iterator[Finding]:
    status = mirror_status()
    behind = status.lag_seconds > LAG_TOLERANCE
    advice = (
        "Is a worker running, and does every store answer? `manage.py drain_mirror` works without a broker."
    )
    detail = f"{status.pending} pending, {status.lag_seconds:.0f} s behind"
    yield Finding("mirror", Level.WARNING if behind else Level.OK, detail, advice if behind else "")
    if status.parked:
        yield Finding(
            "mirror", Level.WARNING, f"{status.parked} parked", "See Operations in the admin: why, and retry."
        )


def _keys() -> Iterator[Finding]:
    try:
        marks, signer = keyring.master_keys().fingerprints(), signing_key().public_key.fingerprint
    except (ValueError, InvalidKey):
        return  # keys that cannot be read are among the findings of the settings
    yield Finding("master keys", Level.OK, ", ".join(f"{name} {mark}" for name, mark in marks.items()))
    yield Finding("signing key", Level.OK, signer)


def _versions() -> Iterator[Finding]:
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            yield Finding("packages", Level.ERROR, f"{package} is not installed", "Run `uv sync`.")
    yield Finding("packages", Level.OK, ", ".join(found))


_NAMED_BY = {"elasticsearch": "ELASTICSEARCH_URL", "milvus": "MILVUS_URI", "redis": "REDIS_URL"}

_NEED_DATABASE: tuple[Callable[[], Iterator[Finding]], ...] = (_room, _clock, _partitions, _mirrors)
