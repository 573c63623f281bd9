"""Which site Django's admin is: ours."""

from django.contrib.admin.apps import AdminConfig


class BackOfficeConfig(AdminConfig):
    default_site = "conversations.staff.site.BackOffice"

    def ready(self) -> None:
        super().ready()
        from conversations.staff.sign_in import connect_signals  # noqa: PLC0415  (models are ready only now)

        connect_signals()
