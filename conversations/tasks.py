"""Celery tasks. A task carries no work: what is to be done is recorded in PostgreSQL, so a lost one costs a second."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from celery import shared_task

from conversations.enums import Sink
from conversations.mirror.drain import drain
from conversations.principals import Actor, ActorKind
from conversations.services.keys.rotation import finish_rotations
from conversations.services.mirrors.checks import verify_mirrors
from conversations.services.operations.partitions import ensure_partitions

# The drain is woken twice a second under load: new threads would open new connections every time, which cost more
# than the work.
_threads = ThreadPoolExecutor(2 * len(Sink), thread_name_prefix="drain")


@shared_task(name="conversations.drain_mirror", ignore_result=True, expires=60)
def drain_mirror() -> None:
    drain(seconds=20, threads=_threads)


@shared_task(name="conversations.ensure_partitions", ignore_result=True)
def make_partitions() -> None:
    ensure_partitions()


@shared_task(name="conversations.finish_rotations", ignore_result=True)
def finish_key_rotations() -> None:
    finish_rotations()


@shared_task(name="conversations.check_mirrors", ignore_result=True, expires=600)
def check_mirrors(tenant_id: str, username: str, *, repair: bool) -> None:
    """Run a check that a person requested in the back office; the result is recorded as an audit event."""
    verify_mirrors(tenant_id=UUID(tenant_id), repair=repair, actor=Actor(ActorKind.STAFF, username))
