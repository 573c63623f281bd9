"""How long each page of the back office takes over a million messages.

    uv run python -m benchmarks.back_office [--messages 1000000] [--requests 20]

Starts a PostgreSQL of its own and puts rows in by SQL, ten messages to a conversation and four conversations to a
customer, over the 89 days that the default policy keeps them. Pages are asked for in this process, so what is measured
is the work of the application and of PostgreSQL. Prints the median, p95 and the statements of each page.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from benchmarks.databases import empty_database

EACH = 10
ID = """(lpad(to_hex(floor(extract(epoch FROM {at}) * 1000)::bigint), 12, '0')
    || '7' || substr(md5({seed}), 1, 3) || '8' || substr(md5({seed} || 'x'), 1, 15))::uuid"""
AT = "date_trunc('milliseconds', now() - interval '1 hour' - {n} * interval '88 days' / {of})"
CUSTOMERS = f"""
    INSERT INTO conversations_customer (id, tenant_id, created_at, external_id, identifiers, metadata,
        last_interaction_at, updated_at)
    SELECT {ID.format(at="at", seed="'c' || n")}, %(tenant)s, at, 'customer-' || n, '{{}}', '{{}}', at, at
    FROM generate_series(1, %(customers)s) n, LATERAL (SELECT {AT.format(n="n", of="%(customers)s")} AS at) t
"""
SESSIONS = f"""
    INSERT INTO conversations_session (id, tenant_id, created_at, earliest_at, last_message_at, updated_at, status,
        customer_id, channel, language, title, intents, intent_counts, context, metadata, message_count, last_position,
        epoch)
    SELECT {ID.format(at="at", seed="'s' || n")}, %(tenant)s, at, at, at + interval '9 seconds', at,
        CASE WHEN n %% 50 = 0 THEN 'open' ELSE 'closed' END, c.id, (ARRAY['web', 'app', 'phone'])[1 + n %% 3],
        (ARRAY['en', 'zh', 'ar'])[1 + n %% 3], 'About parcel ' || n, '{{"primary": "order_status"}}',
        CASE WHEN n %% 1000 = 0 THEN '{{"rare": 1}}'::jsonb ELSE '{{"order_status": 10}}'::jsonb END,
        '{{}}', '{{}}', {EACH}, {EACH}, 1
    FROM generate_series(1, %(sessions)s) n, LATERAL (SELECT {AT.format(n="n", of="%(sessions)s")} AS at) t
    JOIN LATERAL (SELECT id FROM numbered WHERE number = 1 + n %% %(customers)s) c ON true
"""
MESSAGES = f"""
    INSERT INTO conversations_message (id, tenant_id, created_at, session_id, customer_id, role, position, sealed,
        scrubbed, scrubbed_attachments, pii, identifiers, metadata, intent)
    SELECT {ID.format(at="t.at", seed="s.id::text || n")}, %(tenant)s, t.at, s.id, s.customer_id,
        CASE WHEN n %% 2 = 1 THEN 'user' ELSE 'assistant' END, n, sha512(s.id::text::bytea),
        'the parcel number ' || n || ' has not arrived, the courier says tomorrow', '', '[]', '{{}}', '{{}}',
        'order_status'
    FROM (SELECT id, customer_id, created_at FROM conversations_session WHERE tenant_id = %(tenant)s
          ORDER BY id OFFSET %(done)s LIMIT %(some)s) s,
         generate_series(1, {EACH}) n,
         LATERAL (SELECT date_trunc('milliseconds', s.created_at + n * interval '1 second') AS at) t
"""
INDEX = """
    INSERT INTO conversations_messageindex (message_id, tenant_id, session_id, customer_id, role, position, created_at,
        row_version, features, context)
    SELECT id, tenant_id, session_id, customer_id, role, position, created_at, row_version, %(features)s,
        to_tsvector('simple', scrubbed) FROM conversations_message WHERE tenant_id = %(tenant)s
"""

CHAPTERS = f"""
    INSERT INTO conversations_chapterindex (id, tenant_id, created_at, session_id, customer_id, chapter, started_at,
        row_version, document)
    SELECT {ID.format(at="s.created_at", seed="'k' || s.id::text")}, s.tenant_id, s.created_at, s.id, s.customer_id, 0,
        s.created_at, 1, to_tsvector('simple', 'the parcel number has not arrived, the courier says tomorrow')
    FROM conversations_session s WHERE s.tenant_id = %(tenant)s
"""
# Sent by a button; nothing of it changes what is stored but the trail.
SHORTER = {
    "preview": "yes",
    "messages": "30 days",
    "summaries": "2 years",
    "archive": "7 years",
    "archive_mode": "sealed",
    "zone": "UTC",
}
PRESSED: dict[str, dict[str, str]] = {"retention/": SHORTER, "purge-runs/": {}}


def main() -> None:
    options = _options()
    with empty_database(
        "pages", REQUIRE_MFA="false", STATIC_FROM_PACKAGES="true", ALLOWED_HOSTS="testserver"
    ):
        _measure(options)


def _measure(options: argparse.Namespace) -> None:
    # Our own modules need the settings.
    from datetime import timedelta  # noqa: PLC0415

    from django.test import Client  # noqa: PLC0415

    from conversations import ids  # noqa: PLC0415
    from conversations.services.accounts.staff import create_staff  # noqa: PLC0415
    from conversations.services.accounts.tenants import create_tenant  # noqa: PLC0415
    from conversations.services.operations.partitions import ensure_partitions  # noqa: PLC0415

    ensure_partitions(since=ids.now() - timedelta(days=96))
    tenant = create_tenant(name="large")
    officer = create_staff(username="dora", tenant=tenant, group="data protection officer").staff
    started = time.perf_counter()
    fill(tenant, options.messages)
    print(f"{options.messages} messages put in within {time.perf_counter() - started:.0f} s")
    client = Client()
    client.force_login(officer)
    print(f"{'page':44}{'median':>10}{'p95':>10}{'statements':>12}")
    for path in _paths(tenant):
        _show(path, *_asked(lambda: client.get(path), options.requests))  # noqa: B023  (called at once)
    for page, sent in PRESSED.items():
        path = f"/admin/{page}"
        _show(f"{path} Preview", *_asked(lambda: client.post(path, sent), options.requests))  # noqa: B023


def _show(page: str, times: list[float], count: int) -> None:
    p95 = statistics.quantiles(times, n=20)[-1]
    print(f"{page[:43]:44}{statistics.median(times):8.0f} ms{p95:7.0f} ms{count:12}")


def _asked(ask: Callable[[], Any], requests: int) -> tuple[list[float], int]:
    times, count = [], 0
    ask()
    for _ in range(requests):
        with _statements() as seen:
            started = time.perf_counter()
            answer = ask()
            times.append(1000 * (time.perf_counter() - started))
        assert answer.status_code == 200, (answer.request["PATH_INFO"], answer.status_code)
        count = len(seen)
    return times, count


def _paths(tenant: Any) -> list[str]:
    from conversations.models import Session  # noqa: PLC0415  (settings first)
    from conversations.tenancy import tenant_scope  # noqa: PLC0415

    with tenant_scope(tenant.id):
        sessions = list(Session.objects.order_by("-id")[: 1_000 + 1])
    middle = sessions[-1]
    pages = [
        "",
        "?charts=yes",
        "conversations/",
        f"conversations/?older={middle.id}",
        "conversations/?words=parcel",
        "conversations/?words=parcel+courier+zebra",
        "conversations/?words=parcel&intent=rare",
        "conversations/?intent=rare",
        "conversations/?intent=unheard-of",
        "conversations/?customer=customer-77",
        "conversations/?language=zh&status=open",
        "conversations/?outlet=nowhere",
        f"conversations/{middle.id}/",
        f"conversations/{middle.id}/erase/",
        "customers/",
        f"customers/{middle.customer_id}/",
        f"customers/{middle.customer_id}/?held=yes",
        f"customers/{middle.customer_id}/erase/",
        f"customers/{middle.customer_id}/export/",
        f"exports/evidence/?session={middle.id}",
        "retention/",
        "purge-runs/",
        "archive/",
        "holds/",
        "erasures/",
        "exports/",
        "audit/",
        "people/",
    ]
    return [f"/admin/{page}" for page in pages]


@contextmanager
def _statements() -> Iterator[list[str]]:
    from django.db import connections  # noqa: PLC0415  (settings first)

    seen: list[str] = []

    def watch(execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        seen.append(str(sql))
        return execute(sql, params, many, context)

    with ExitStack() as stack:
        for alias in connections:
            stack.enter_context(connections[alias].execute_wrapper(watch))
        yield seen


def fill(tenant: Any, messages: int) -> None:
    from django.db import connections  # noqa: PLC0415  (settings first)

    from conversations.analysis.features import analyse, encode_features  # noqa: PLC0415

    sessions = messages // EACH
    values = {
        "tenant": tenant.id,
        "sessions": sessions,
        "customers": max(sessions // 4, 1),
        "some": 5_000,
        "features": encode_features(
            analyse("the parcel number 7 has not arrived, the courier says tomorrow")
        ),
    }
    with connections["owner"].cursor() as cursor:
        cursor.execute(CUSTOMERS, values)
        cursor.execute(
            "CREATE TEMP TABLE numbered AS SELECT row_number() OVER () AS number, id FROM conversations_customer"
        )
        cursor.execute("CREATE INDEX ON numbered (number)")
        cursor.execute("ANALYZE numbered")
        cursor.execute(SESSIONS, values)
        for done in range(0, sessions, values["some"]):
            cursor.execute(MESSAGES, {**values, "done": done})
            cursor.execute("TRUNCATE conversations_mirrorevent")
        cursor.execute(INDEX, values)
        cursor.execute(CHAPTERS, values)
        cursor.execute("ANALYZE")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.back_office")
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=20)
    return parser.parse_args()


if __name__ == "__main__":
    main()
