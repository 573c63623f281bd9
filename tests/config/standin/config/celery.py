"""The worker's application."""

from celery import Celery

app = Celery("standin")
app.config_from_object("django.conf:settings", namespace="CELERY")
