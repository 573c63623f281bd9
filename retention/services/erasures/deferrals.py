"""Describes what an erasure had to defer: because of which hold or law, until when, how many records."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connection

from conversations.ports import Target
from retention.enums import Verdict
from retention.law import parameters
from retention.models import DeferredRecords, ErasureCase, LegalHold
from retention.services.erasures.deferring import (
    EVIDENCE,
    HELD,
    VERDICT,
    Evidence,
    Law,
    as_hold,
    as_record,
    condition_of,
)
from retention.services.holds import HOLDS, SESSION_HELD

ONE_HOLD = f"{HOLDS[:-1]} AND id = %(hold)s)"
BY_ONE_HOLD = HELD.replace(HOLDS, ONE_HOLD)

_HIDDEN = "x.tenant_id = %(tenant)s AND {condition} AND x.hidden_at IS NOT NULL"
_BY_HOLD = f"SELECT count(*) FROM {{table}} x WHERE {_HIDDEN} AND {{held}}"
_BY_MINIMUM = (
    f"SELECT count(*), max(x.created_at) FROM {{table}} x"
    f" WHERE {_HIDDEN} AND NOT {{held}} AND {{verdict}} <> %(destroy)s"
)
# Sessions without messages: the others are covered by their messages.
_SESSIONS_BY_HOLD = """
    SELECT count(*) FROM conversations_session s
    WHERE s.tenant_id = %(tenant)s AND {condition} AND s.hidden_at IS NOT NULL AND s.cleared_at IS NULL AND {held}
      AND NOT EXISTS (SELECT FROM conversations_message m WHERE m.tenant_id = s.tenant_id AND m.session_id = s.id)
"""


def describe_deferrals(case: ErasureCase, target: Target, law: Law) -> list[dict[str, Any]]:
    """As the API shows them; empty when the law lets everything go. Runs inside a tenant scope."""
    if not law.can_defer:
        return []
    packed = list(DeferredRecords.objects.for_tenant(case.tenant_id).filter(case=case))
    found = [_of_hold(hold, target, law, packed) for hold in law.holds]
    return [deferral for deferral in (*found, _of_minimum(target, law, packed)) if deferral is not None]


def _of_hold(
    hold: LegalHold, target: Target, law: Law, packed: list[DeferredRecords]
) -> dict[str, Any] | None:
    mine = [row for row in packed if as_hold(hold).binds(as_record(row), law.now)]
    records = sum(row.records for row in mine) + _sessions_held(hold, target, law)
    for evidence in EVIDENCE:
        ((count,),) = _ask(_BY_HOLD, evidence, target, law, held=BY_ONE_HOLD, hold=hold.id)
        records += count
    if not records and not mine:
        return None
    return {
        "kind": "hold",
        "hold_id": str(hold.id),
        "matter": hold.matter,
        "basis": None,
        "until": _instant(hold.grace_until),
        "records": records,
    }


def _of_minimum(target: Target, law: Law, packed: list[DeferredRecords]) -> dict[str, Any] | None:
    if not law.policy.legal_minimum:
        return None
    mine = [row for row in packed if not any(as_hold(h).binds(as_record(row), law.now) for h in law.holds)]
    records, newest = sum(row.records for row in mine), [row.since for row in mine]
    for evidence in EVIDENCE:
        ((count, latest),) = _ask(_BY_MINIMUM, evidence, target, law, held=HELD)
        records += count
        newest += [latest] if latest is not None else []
    if not newest:
        return None
    return {
        "kind": "legal_minimum",
        "hold_id": None,
        "matter": None,
        "basis": law.policy.legal_basis,
        "until": _instant(law.policy.minimum_ends_at(max(newest))),
        "records": records,
    }


def _sessions_held(hold: LegalHold, target: Target, law: Law) -> int:
    if target.message_ids:
        return 0
    column = "customer_id" if target.customer_id is not None else "id"
    values: dict[str, Any] = {"tenant": law.tenant_id, "now": law.now, "hold": hold.id}
    values |= {"subject": target.customer_id or target.session_id}
    held = SESSION_HELD.replace(HOLDS, ONE_HOLD)
    with connection.cursor() as cursor:
        cursor.execute(_SESSIONS_BY_HOLD.format(condition=f"s.{column} = %(subject)s", held=held), values)
        (count,) = cursor.fetchone()
    return int(count)


def _ask(
    statement: str, evidence: Evidence, target: Target, law: Law, *, held: str, **values: Any
) -> list[tuple[Any, ...]]:
    condition, chosen = condition_of(target)
    asked: Mapping[str, Any] = {
        **parameters(evidence.record_class, law.policy, law.now),
        **chosen,
        **values,
        "tenant": law.tenant_id,
        "destroy": str(Verdict.DESTROY.value),
    }
    with connection.cursor() as cursor:
        cursor.execute(
            statement.format(table=evidence.table, condition=condition, held=held, verdict=VERDICT),
            asked,
        )
        return list(cursor.fetchall())


def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")
