"""Finds evidence that ended without a changed row: it expired, or its whole partition was dropped."""

from typing import Any

from django.db import connections

from conversations import ids
from conversations.models import Tenant
from conversations.ports import lifecycle
from conversations.tenancy import tenant_scope
from portraits.enums import Work

_MARK = """
    INSERT INTO portraits_refreshmark AS old (tenant_id, customer_id, work)
    SELECT DISTINCT tenant_id, customer_id, %(work)s FROM (
        SELECT tenant_id, customer_id, evidence FROM portraits_portrait WHERE tenant_id = %(tenant)s
        UNION ALL SELECT tenant_id, customer_id, evidence FROM portraits_portraitversion WHERE tenant_id = %(tenant)s) p
    WHERE EXISTS (SELECT FROM unnest(p.evidence) e WHERE e < %(oldest)s)
    ON CONFLICT (tenant_id, customer_id, work) DO UPDATE SET marks = old.marks + 1
"""


def mark_expired() -> int:
    """Mark the portraits that rest on expired messages, of all tenants; how many.

    Reads leave such evidence out by themselves; this takes it out of the tables.
    """
    marked = 0
    for tenant_id in list(
        Tenant.objects.using("ops").filter(removed_at__isnull=True).values_list("id", flat=True)
    ):
        with tenant_scope(tenant_id):
            oldest = ids.floor_id(lifecycle().expiry(tenant_id).surely_alive_since(ids.now()))
        with connections["ops"].cursor() as cursor:
            values: dict[str, Any] = {"tenant": tenant_id, "oldest": oldest, "work": Work.LEARN.value}
            cursor.execute(_MARK, values)
            marked += cursor.rowcount
    return marked
