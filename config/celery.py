"""The Celery application: tasks are wake-ups that carry ids only; what must be done is written in PostgreSQL."""

import os
from typing import Any

from celery import Celery, signals
from django.db import close_old_connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("remembrancer")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["conversations", "portraits", "retention"])


@signals.task_prerun.connect
@signals.task_postrun.connect
def leave_broken_connections(**told: Any) -> None:
    close_old_connections()
