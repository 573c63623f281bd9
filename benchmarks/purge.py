"""The purge: the log it writes with and without partitions, how fast it is, and what appends notice of it.

    uv run python -m benchmarks.purge [--messages 1000000] [--archived 50000] [--appends 2000]

Starts a PostgreSQL of its own, with durable commits. The rows of the first part are put in by SQL, with sealed bytes of
a usual size that nobody will open; those of the second are appended, since archiving opens and seals each of them.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.databases import empty_database

PER_SESSION = 500
TEXT = (
    "Hello, the moisturiser I ordered last week has not arrived yet. Could you tell me where it is? My order is "
    "{number}, and you can write to customer{number}@example.com or call +65 9123 {short:04d}."
)
SESSIONS = """
    INSERT INTO conversations_session (id, tenant_id, created_at, earliest_at, last_message_at, updated_at, status,
        intents, context, metadata, message_count, last_position, epoch)
    SELECT (lpad(to_hex(floor(extract(epoch FROM %(at)s::timestamptz) * 1000)::bigint), 12, '0')
            || '7000' || '8' || substr(md5('s' || n), 1, 15))::uuid,
        %(tenant)s, %(at)s, %(at)s, %(at)s + interval '6 days', %(at)s, 'open', '{}', '{}', '{}', %(each)s, %(each)s, 1
    FROM generate_series(1, %(sessions)s) n
"""
MESSAGES = """
    INSERT INTO conversations_message (id, tenant_id, created_at, session_id, role, position, sealed, scrubbed,
        scrubbed_attachments, pii, identifiers, metadata)
    SELECT (lpad(to_hex(floor(extract(epoch FROM t.at) * 1000)::bigint), 12, '0')
            || '7' || substr(md5(s.id::text || n), 1, 3) || '8' || substr(md5(n || s.id::text), 1, 15))::uuid,
        %(tenant)s, t.at, s.id, 'user', n, sha512(s.id::text::bytea) || sha512(n::text::bytea) || sha512('x'),
        repeat('the words that were said, scrubbed ', 5), '', '[]', '{}', '{}'
    FROM (SELECT id FROM conversations_session WHERE tenant_id = %(tenant)s AND created_at = %(at)s
          ORDER BY id OFFSET %(done)s LIMIT %(some)s) s,
         generate_series(1, %(each)s) n,
         LATERAL (SELECT date_trunc('milliseconds', %(at)s + n * interval '1 second') AS at) t
"""


def main() -> None:
    options = _options()
    with empty_database("purge"):
        _measure(options)


def _measure(options: argparse.Namespace) -> None:
    # Our own modules need the settings.
    from conversations.services.operations.partitions import ensure_partitions  # noqa: PLC0415

    monday = _old_monday()
    ensure_partitions(since=monday - timedelta(days=8))
    _compare_logs(options.messages, monday)
    archive_speed(options.archived)
    watch_appends(options.appends, options.archived)


def _compare_logs(messages: int, monday: datetime) -> None:
    """The same rows once as a partition and once row by row, both by the purge itself."""
    from retention.enums import RecordClass  # noqa: PLC0415  (settings first)
    from retention.services.purges.partition_drops import drop_ended_partitions  # noqa: PLC0415

    tenant = forgetful_tenant("dropped")
    fill(tenant, messages, monday)
    took, log = measured(lambda: drop_ended_partitions(record_class=RecordClass.MESSAGES, actor=_system()))
    _expect(tenant, 0)
    print(f"dropped  {messages:>9,} messages in {took:6.1f} s, {log:>13,} bytes of log")
    tenant = forgetful_tenant("deleted")
    fill(tenant, messages, monday - timedelta(days=7))
    took_rows, log_rows = measured(lambda: purge_messages(tenant))
    _expect(tenant, 0)
    print(f"deleted  {messages:>9,} messages in {took_rows:6.1f} s, {log_rows:>13,} bytes of log")
    print(f"the partition took 1/{log_rows / log:,.0f} of the log and 1/{took_rows / took:,.0f} of the time")


def archive_speed(messages: int) -> None:
    """Sealed mode with everything on: opened, compressed, sealed anew, indexed, hashed, counted, mirrored, audited."""
    tenant = _new_tenant("archived")
    said = converse(tenant, messages)
    took, log = measured(lambda: purge_messages(tenant))
    with _scope(tenant):
        from retention.models import ArchiveRecord  # noqa: PLC0415  (settings first)

        records = list(ArchiveRecord.objects.values_list("sealed", flat=True))
    kept = sum(len(sealed) for sealed in records)
    assert len(records) == messages
    print(f"archived {messages:>9,} messages in {took:6.1f} s, {messages / took:>9,.0f} a second")
    print(f"         {said / messages:.0f} bytes said each, {kept / messages:.0f} kept sealed", end=", ")
    print(f"{log / kept:.1f} bytes of log per archived byte")


def watch_appends(appends: int, messages: int) -> None:
    """Appends of one message, alone and while another process purges; p95 in ms."""
    tenant = _new_tenant("watched")
    before = _append_latencies(tenant, appends)
    purging = _new_tenant("purging")
    converse(purging, messages)
    command = [
        sys.executable,
        "manage.py",
        "purge",
        "--tenant",
        "purging",
        "--class",
        "messages",
        "--execute",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[1])
    time.sleep(2)  # the interpreter starts
    during = _append_latencies(tenant, appends, lambda: process.poll() is None)
    process.wait()
    print(f"appends: p95 {before:.2f} ms alone, {during:.2f} ms during a purge ({during / before:.2f} times)")


def _append_latencies(tenant: Any, count: int, go_on: Callable[[], bool] = lambda: True) -> float:
    from conversations.inputs import MessageIn, SessionIn  # noqa: PLC0415  (settings first)
    from conversations.services.messages.appends import append_messages  # noqa: PLC0415
    from conversations.services.sessions import create_session  # noqa: PLC0415

    session, _ = create_session(tenant_id=tenant.id, body=SessionIn(customer_id="c"))
    times = []
    while len(times) < count and go_on():
        given = [MessageIn(content=TEXT.format(number=len(times), short=len(times) % 10_000), role="user")]
        started = time.perf_counter()
        append_messages(tenant_id=tenant.id, session_id=session.id, given=given)
        times.append(1000 * (time.perf_counter() - started))
    return statistics.quantiles(times, n=20)[-1]


def converse(tenant: Any, messages: int) -> int:
    """Expired messages through the append path, fifty to a customer; how many bytes were said."""
    from conversations.inputs import MessageIn, SessionIn  # noqa: PLC0415  (settings first)
    from conversations.services.messages.appends import append_messages  # noqa: PLC0415
    from conversations.services.sessions import create_session  # noqa: PLC0415

    at, said = _old_monday(), 0
    for first in range(0, messages, 1_000):
        body = SessionIn(customer_id=f"c{first // 1_000}", created_at=at)
        session, _ = create_session(tenant_id=tenant.id, body=body)
        given = [
            MessageIn(
                content=TEXT.format(number=n, short=n % 10_000),
                role="user",
                created_at=at + timedelta(seconds=n),
            )
            for n in range(first, min(messages, first + 1_000))
        ]
        said += sum(len(str(one.content)) for one in given)
        append_messages(tenant_id=tenant.id, session_id=session.id, given=given)
    return said


def fill(tenant: Any, messages: int, at: datetime) -> None:
    from django.db import connections  # noqa: PLC0415  (settings first)

    values = {
        "tenant": tenant.id,
        "at": at,
        "each": PER_SESSION,
        "sessions": messages // PER_SESSION,
        "some": 100,
    }
    with connections["owner"].cursor() as cursor:
        cursor.execute(SESSIONS, values)
        for done in range(0, values["sessions"], values["some"]):
            cursor.execute(MESSAGES, {**values, "done": done})
        cursor.execute("TRUNCATE conversations_mirrorevent")
        # Rows of that age were vacuumed long ago; who reads them first after they were written logs whole pages.
        cursor.execute("VACUUM (ANALYZE) conversations_message, conversations_session")


def forgetful_tenant(name: str) -> Any:
    """A tenant that keeps no archive."""
    from conversations import ids  # noqa: PLC0415  (settings first)
    from retention.models import RetentionPolicy  # noqa: PLC0415

    tenant = _new_tenant(name)
    with _scope(tenant):
        RetentionPolicy.objects.create(
            tenant_id=tenant.id,
            version=1,
            messages="P90D",
            summaries="P2Y",
            archive="P7Y",
            archive_mode="none",
            legal_minimum="P0D",
            zone="UTC",
            proposed_by="benchmark",
            takes_effect_at=ids.now(),
        )
    return tenant


def purge_messages(tenant: Any) -> None:
    from retention.enums import RecordClass  # noqa: PLC0415  (settings first)
    from retention.services.purges.runs import purge  # noqa: PLC0415

    purge(tenant_id=tenant.id, record_class=RecordClass.MESSAGES, actor=_system())


def measured(work: Callable[[], Any]) -> tuple[float, int]:
    """Seconds, and bytes of write-ahead log."""
    from django.db import connections  # noqa: PLC0415  (settings first)

    def position() -> int:
        with connections["ops"].cursor() as cursor:
            cursor.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")
            return int(cursor.fetchone()[0])

    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT 1")
    before, started = position(), time.perf_counter()
    work()
    return time.perf_counter() - started, position() - before


def _expect(tenant: Any, messages: int) -> None:
    from conversations.models import Message  # noqa: PLC0415  (settings first)

    with _scope(tenant):
        assert Message.objects.count() == messages


def _new_tenant(name: str) -> Any:
    from conversations.services.accounts.tenants import create_tenant  # noqa: PLC0415  (settings first)

    return create_tenant(name=name)


def _scope(tenant: Any) -> Any:
    from conversations.tenancy import tenant_scope  # noqa: PLC0415  (settings first)

    return tenant_scope(tenant.id)


def _system() -> Any:
    from conversations.principals import SYSTEM  # noqa: PLC0415  (settings first)

    return SYSTEM


def _old_monday() -> datetime:
    """The beginning of a week that is wholly past the default period."""
    from conversations import ids  # noqa: PLC0415  (settings first)

    at = (ids.now() - timedelta(days=120)).replace(hour=0, minute=0, second=0, microsecond=0)
    return at - timedelta(days=at.weekday())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.purge")
    parser.add_argument("--messages", type=int, default=1_000_000, help="of the comparison of logs")
    parser.add_argument("--archived", type=int, default=50_000)
    parser.add_argument("--appends", type=int, default=2_000)
    return parser.parse_args()


if __name__ == "__main__":
    main()
