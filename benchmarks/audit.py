"""The audit trail: what it adds to an audited write, and how long a million events take to seal and to verify.

    taskset -c 0 uv run python -m benchmarks.audit [--events 1000000] [--writes 500]

Starts a PostgreSQL of its own, with durable commits, and does everything on the core it is bound to. Events are put in
as the request path would have written them, a hundred thousand a statement.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.databases import empty_database

FILL = """
    INSERT INTO conversations_auditevent (id, created_at, tenant_id, actor, actor_kind, action, object_type, object_id,
        outcome, request_id, details)
    SELECT (lpad(to_hex(floor(extract(epoch FROM t.at) * 1000)::bigint), 12, '0')
            || '7' || lpad(to_hex(n %% 4096), 3, '0') || '8' || substr(md5(n::text), 1, 15))::uuid,
        t.at, %(tenant)s, 'person ' || n %% 50, 'agent', 'message.revealed', 'message', md5(n::text)::uuid::text, 'ok',
        md5(n::text), jsonb_build_object('reason_given', true, 'messages', n %% 7, 'channel', 'WhatsApp')
    FROM generate_series(%(first)s::int, %(last)s) n,
         LATERAL (SELECT now() - interval '20 days' + n * interval '1 second' AS at) t
"""


def main() -> None:
    options = _options()
    with empty_database("audit"):
        _measure(options)


def _measure(options: argparse.Namespace) -> None:
    # Our own modules need the settings.
    from django.core.management import call_command  # noqa: PLC0415

    from conversations.services.accounts.tenants import create_tenant  # noqa: PLC0415
    from retention.services.audit.sealing import seal_audit  # noqa: PLC0415
    from retention.services.audit.verifying import verify_audit  # noqa: PLC0415

    call_command("ensure_partitions", verbosity=0)
    tenant = create_tenant(name="bench")
    print(f"audited write: {_write_cost(tenant, options.writes)}")
    _fill(tenant, options.events)
    sealed, seconds = _timed(seal_audit)
    print(
        f"sealed   {sealed.events:>9,} events in {seconds:6.1f} s, {sealed.events / seconds:>9,.0f} a second"
    )
    verified, seconds = _timed(verify_audit)
    print(
        f"verified {verified.events:>9,} events in {seconds:6.1f} s, {verified.events / seconds:>9,.0f} a second"
    )
    if not verified.ok:
        sys.exit(f"{len(verified.findings)} findings in an untouched trail: {verified.findings[:3]}")


def _write_cost(tenant: Any, writes: int) -> str:
    """The same small change with and without its event, A B A B; medians in ms."""
    from conversations.models import Customer  # noqa: PLC0415  (settings first)
    from conversations.principals import SYSTEM  # noqa: PLC0415
    from conversations.services import audit  # noqa: PLC0415
    from conversations.tenancy import tenant_scope  # noqa: PLC0415

    with tenant_scope(tenant.id):
        row = Customer.objects.create(tenant_id=tenant.id, external_id="c")

    calls = []

    def record() -> None:
        started = time.perf_counter()
        audit.record(
            tenant_id=tenant.id,
            actor=SYSTEM,
            action="customer.changed",
            object_type="customer",
            object_id=row.id,
            details={"fields": ["language"]},
        )
        calls.append(1000 * (time.perf_counter() - started))

    def write(*, audited: bool) -> float:
        started = time.perf_counter()
        with tenant_scope(tenant.id):
            Customer.objects.for_tenant(tenant.id).filter(id=row.id).update(language="en")
            if audited:
                record()
        return 1000 * (time.perf_counter() - started)

    pairs = [(write(audited=False), write(audited=True)) for _ in range(writes)]
    plain, audited = (statistics.median(times) for times in zip(*pairs, strict=True))
    called = statistics.median(calls)
    return f"{plain:.2f} ms without its event, {audited:.2f} ms with it; the call {called:.2f} ms (medians of {writes})"


def _fill(tenant: Any, events: int) -> None:
    from django.db import connections  # noqa: PLC0415  (settings first)

    step = 100_000
    with connections["owner"].cursor() as cursor:
        for first in range(1, events + 1, step):
            values = {"tenant": tenant.id, "first": first, "last": min(events, first + step - 1)}
            cursor.execute(FILL, values)
        cursor.execute("ANALYZE conversations_auditevent")


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--writes", type=int, default=500)
    return parser.parse_args()


if __name__ == "__main__":
    main()
