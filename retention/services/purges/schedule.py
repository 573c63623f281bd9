"""Schedules purges: each class of each tenant once a day, and whatever was left unfinished."""

from collections.abc import Iterator
from datetime import timedelta
from time import monotonic
from uuid import UUID

import structlog
from django.db import DatabaseError

from conversations import ids
from conversations.exceptions import RemembrancerError
from conversations.principals import Actor
from conversations.services.accounts.tenants import all_tenants
from conversations.services.idempotency import forget_answers
from retention.enums import RecordClass, RunState
from retention.models import PurgeRun
from retention.services.audit.pruning import prune_audit
from retention.services.purges.expired_records import remove_expired_records
from retention.services.purges.partition_drops import DROPPABLE, drop_ended_partitions
from retention.services.purges.runs import purge

log = structlog.get_logger(__name__)

EVERY = timedelta(days=1)
SOON = timedelta(minutes=30)  # a day after the last run, give or take: a schedule must not creep


def purge_due(*, actor: Actor, seconds: float) -> bool:
    """Run what is due, for about that long; whether everything due was looked at.

    A tenant whose purge fails stops no other; the failed run says so, and it is due again in a day.
    """
    deadline = monotonic() + seconds
    forget_answers()
    for droppable in DROPPABLE:
        drop_ended_partitions(record_class=droppable, actor=actor)
    prune_audit(actor=actor)
    remove_expired_records()
    for tenant_id, record_class in _due():
        left = deadline - monotonic()
        if left <= 0:
            return False
        try:
            run = purge(tenant_id=tenant_id, record_class=record_class, actor=actor, seconds=left)
        except (DatabaseError, RemembrancerError) as error:
            log.error("purge.failed", tenant=str(tenant_id), error=type(error).__name__)
            continue
        if run is not None and run.state == RunState.RUNNING:
            return False
    return True


def _due() -> Iterator[tuple[UUID, RecordClass]]:
    """Unfinished runs that may go on, and classes whose last run is a day old."""
    since = ids.now() - EVERY + SOON
    for tenant in all_tenants():
        for record_class in RecordClass:
            runs = PurgeRun.objects.using("ops").filter(tenant_id=tenant.id, record_class=record_class)
            last = runs.order_by("-id").first()
            if last is None or last.state == RunState.RUNNING or last.judged_at <= since:
                yield tenant.id, record_class
