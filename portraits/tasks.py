"""Celery tasks. A task carries no work: what is to be done is recorded in PostgreSQL, so a lost one costs a second."""

import time

from celery import shared_task

from portraits.services.folding import fold_all
from portraits.services.refreshing import describe_due, learn_due
from portraits.services.sweeping import mark_expired

SECONDS = 10.0  # a task's share of a worker


@shared_task(name="portraits.follow", ignore_result=True, expires=30)
def follow() -> None:
    """Fold counters, and refresh the portraits of the customers concerned."""
    until = time.monotonic() + SECONDS
    fold_all()
    while learn_due() and time.monotonic() < until:
        fold_all()


@shared_task(name="portraits.describe", ignore_result=True, expires=60)
def describe() -> None:
    """Let the language model describe customers who said something new."""
    until = time.monotonic() + SECONDS
    while describe_due() and time.monotonic() < until:
        pass


@shared_task(name="portraits.sweep", ignore_result=True, expires=600)
def sweep() -> None:
    """Mark portraits whose evidence has expired."""
    mark_expired()
