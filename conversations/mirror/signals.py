"""Django's signals wake the mirror; they never decide what is mirrored (the triggers do)."""

from typing import Any

from django.db import DEFAULT_DB_ALIAS, models, transaction
from django_elasticsearch_dsl.registries import registry
from django_elasticsearch_dsl.signals import BaseSignalProcessor

from conversations.mirror.waking import wake


class WakingSignalProcessor(BaseSignalProcessor):  # type: ignore[misc]
    """django-elasticsearch-dsl's hook, reduced to a wake-up after commit.

    The library's own processors index before the commit and lose failed deletes.
    """

    def setup(self) -> None:
        models.signals.post_save.connect(self._wake)
        models.signals.post_delete.connect(self._wake)

    def teardown(self) -> None:
        models.signals.post_save.disconnect(self._wake)
        models.signals.post_delete.disconnect(self._wake)

    def _wake(self, sender: type[models.Model], using: str = DEFAULT_DB_ALIAS, **kwargs: Any) -> None:
        if sender in registry.get_models():
            transaction.on_commit(wake, using=using)
