"""How long statistics take over a million messages, from PostgreSQL alone.

    uv run python -m benchmarks.analytics [--messages 1000000] [--turns 10]

Starts an installation without Elasticsearch and fills a tenant's tables with statements of its own, triggers off: what the
statistics read is what appends and closings would have left. Then every grouping is asked for over HTTP, seven times.
"""

import argparse
import statistics
import time

import psycopg

from benchmarks.appends import call
from benchmarks.installation import Installation, installation

GROUPINGS = ("day", "language", "channel", "outlet_id", "intent", "issue_type", "entity", "tool", "success")
TIMES = 7

# Ids carry their row's time (RFC 9562): a year of sessions, one after the other.
_ID = (
    "(lpad(to_hex(floor(extract(epoch FROM {at}) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(({n} %% 4096)::int), 3, '0')"
    " || '8' || lpad(to_hex({n}), 15, '0'))::uuid"
)
_SESSIONS = """
    INSERT INTO conversations_session (id, created_at, updated_at, earliest_at, last_message_at, tenant_id, channel, language,
        outlet_id, status, closed_at, outcome, intents, intent_counts, context, metadata, message_count, last_position, epoch)
    SELECT {id}, at, at, at, at + interval '5 minutes', %(tenant)s, (ARRAY['whatsapp', 'web', 'phone'])[1 + n %% 3],
        (ARRAY['en', 'zh', 'ms', 'ta'])[1 + n %% 4], (n %% 50)::text, 'closed', at + interval '1 hour',
        jsonb_build_object('success', n %% 3 > 0, 'issue_type', 'issue ' || n %% 40, 'resolution_seconds', n %% 3600,
            'entities', jsonb_build_array('device ' || n %% 500, 'device ' || n %% 333),
            'tools_used', jsonb_build_array('tool ' || n %% 12)),
        '{{}}', jsonb_build_object('intent ' || n %% 30, 6, 'intent ' || n %% 7, 4), '{{}}', '{{}}', %(turns)s, %(turns)s, 1
    FROM (SELECT n, date_trunc('milliseconds', now() - interval '365 days' + n * (interval '364 days' / %(sessions)s)) AS at
          FROM generate_series(1, %(sessions)s) n) s
""".format(id=_ID.format(at="at", n="n"))
_MESSAGES = """
    INSERT INTO conversations_message (id, created_at, tenant_id, session_id, role, position, sealed, scrubbed,
        scrubbed_attachments, pii, identifiers, metadata, intent)
    SELECT {id}, s.created_at, %(tenant)s, s.id, 'user', p, '\\x00', 'seeded', '', '[]', '{{}}', '{{}}', 'intent'
    FROM (SELECT id, created_at, row_number() OVER () AS n FROM conversations_session WHERE tenant_id = %(tenant)s) s
    CROSS JOIN generate_series(1, %(turns)s) p
""".format(id=_ID.format(at="s.created_at", n="(s.n * 1000 + p)"))


def seed(installed: Installation, messages: int, turns: int) -> None:
    session = call(installed, "POST", "/sessions", {})["id"]
    with psycopg.connect(installed.environment["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        row = connection.execute(
            "SELECT tenant_id FROM conversations_session WHERE id = %s", [session]
        ).fetchone()
        if row is None:
            raise RuntimeError("the session is not there")
        values = {"tenant": row[0], "sessions": messages // turns, "turns": turns}
        for statement in (_SESSIONS, _MESSAGES):
            connection.execute(statement, values)
        connection.execute("ANALYZE conversations_session")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=10)
    options = parser.parse_args()
    with installation(without=("ELASTICSEARCH_URL",)) as installed:
        started = time.perf_counter()
        seed(installed, options.messages, options.turns)
        print(
            f"{options.messages:,} messages of {options.messages // options.turns:,} sessions, "
            f"seeded in {time.perf_counter() - started:.0f} s"
        )
        for grouping in GROUPINGS:
            seconds = []
            for _ in range(TIMES):
                at = time.perf_counter()
                data = call(installed, "GET", f"/analytics/sessions?group_by={grouping}")["data"]
                seconds.append(time.perf_counter() - at)
            print(
                f"{grouping}: {statistics.median(seconds):.3f} s (worst {max(seconds):.3f}), {len(data)} groups"
            )


if __name__ == "__main__":
    main()
