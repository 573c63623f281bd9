import gc

from django.apps import AppConfig


class ConversationsConfig(AppConfig):
    name = "conversations"
    verbose_name = "Conversations"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Models can be imported only now.
        from conversations.checks import register_checks  # noqa: PLC0415
        from conversations.ports import registry  # noqa: PLC0415
        from conversations.services import holdings  # noqa: PLC0415

        register_checks()
        holdings.register(registry)
        # The code itself is some 180,000 objects and never garbage: to look at them stops every thread for 150 ms.
        gc.freeze()
