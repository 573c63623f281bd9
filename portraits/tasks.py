"""Celery's doors. A task carries no work: what is to be done is written in PostgreSQL, so a lost one costs a second."""

import time

from celery import shared_task

from portraits.services.folding import fold_all
from portraits.services.refreshing import describe_due, learn_due
from portraits.services.sweeping import mark_expired

SECONDS = 10.0  # a task's share of a worker


@shared_task(name="portraits.follow", ignore_result=True, expires=30)
def follow() -> None:
    """Fold what was counted, and bring level the portraits of whom it was counted."""
    until = time.monotonic() + SECONDS
    fold_all()
    while learn_due() and time.monotonic() < until:
        fold_all()


@shared_task(name="portraits.describe", ignore_result=True, expires=60)
def describe() -> None:
    """Let the language model read what is new."""
    until = time.monotonic() + SECONDS
    while describe_due() and time.monotonic() < until:
        pass


@shared_task(name="portraits.sweep", ignore_result=True, expires=600)
def sweep() -> None:
    """Find what expired without a word."""
    mark_expired()
