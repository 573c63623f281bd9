"""Waking the drain: rare, never waited for, and never needed."""

import time

from celery import current_app
from django.conf import settings as django_settings
from django.utils.module_loading import import_string

from conversations.enums import Sink
from conversations.mirror.waking import INTERVAL, Waker
from conversations.tasks import drain_mirror
from tests.builders import make_session, make_tenant, say
from tests.conversations.mirror.conftest import events


def test_the_drain_is_looked_for_every_second_whether_or_not_anybody_wakes_it(settings):
    entry = settings.CELERY_BEAT_SCHEDULE["drain"]

    assert entry["schedule"] == 1.0
    assert entry["task"] == drain_mirror.name


def test_the_task_follows_what_is_due(lexical_only):
    tenant = make_tenant()
    say(tenant, make_session(tenant), "hello")

    drain_mirror()

    assert events(Sink.LEXICAL) == 0


def test_a_wake_up_returns_at_once_though_the_broker_is_away(monkeypatch):
    def refuse(*args, **options):
        raise OSError("no broker")

    monkeypatch.setattr(current_app, "send_task", refuse)
    waker = Waker("conversations.drain_mirror")

    began = time.monotonic()
    for _ in range(1_000):
        waker.wake()

    assert time.monotonic() - began < 0.5


def test_what_warms_up_a_process_is_there():
    assert callable(import_string(django_settings.WARM_UP))


def test_a_thousand_wake_ups_are_a_few_messages(monkeypatch):
    sent = []
    monkeypatch.setattr(current_app, "send_task", lambda *args, **options: sent.append(args))
    waker = Waker("conversations.drain_mirror")

    began = time.monotonic()
    while time.monotonic() - began < 3 * INTERVAL:
        waker.wake()
        time.sleep(0.001)
    time.sleep(2 * INTERVAL)

    assert 1 <= len(sent) <= 6
