"""Celery tasks. What is due is recorded in PostgreSQL: a lost task only delays it until the next one."""

from functools import partial

import structlog
from celery import current_app, shared_task
from django.db import transaction
from kombu.exceptions import OperationalError

from conversations.principals import SYSTEM
from retention.services.audit import sealing
from retention.services.erasures.execution import follow_cases
from retention.services.exports.evidence import make_pending_evidence
from retention.services.exports.file_store import expire_exports
from retention.services.purges.schedule import purge_due
from retention.services.tenant_removal import follow_removals

log = structlog.get_logger(__name__)

SECONDS = 45.0  # of one task, far below the time after which a broker delivers it again


@shared_task(name="retention.purge", ignore_result=True, expires=600)
def purge() -> None:
    """Purge what is due in every tenant and class for a limited time; what is left goes into a next task at once."""
    if not purge_due(actor=SYSTEM, seconds=SECONDS):
        purge.delay()


@shared_task(name="retention.follow_erasures", ignore_result=True, expires=60)
def follow_erasures() -> None:
    follow_cases(seconds=SECONDS)
    follow_removals()


@shared_task(name="retention.expire_exports", ignore_result=True, expires=600)
def end_exports() -> None:
    expire_exports()


@shared_task(name="retention.seal_audit", ignore_result=True, expires=60)
def seal_audit(*, thorough: bool = False) -> None:
    sealing.seal_audit(thorough=thorough)


@shared_task(name="retention.export_evidence", ignore_result=True, expires=600)
def export_evidence() -> None:
    make_pending_evidence()


def wake_purge() -> None:
    """Ask for a purge after the commit. Best effort: beat asks again."""
    transaction.on_commit(partial(_send, "retention.purge"))


def _send(name: str) -> None:
    try:
        current_app.send_task(name, ignore_result=True, retry=False)
    except (OSError, OperationalError) as error:
        log.info("purge.wake_failed", error=type(error).__name__)
