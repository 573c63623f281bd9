from django.apps import AppConfig


class PortraitsConfig(AppConfig):
    name = "portraits"
    verbose_name = "Portraits"

    def ready(self) -> None:
        # Models can be imported only now.
        from conversations.ports import registry  # noqa: PLC0415
        from portraits.checks import register_checks  # noqa: PLC0415
        from portraits.services import holdings, querying  # noqa: PLC0415
        from portraits.services.context_parts import PortraitPart, PreferencesPart  # noqa: PLC0415
        from portraits.services.portrait_transfer import PortraitTransfer  # noqa: PLC0415
        from portraits.services.summary_transfer import SummaryTransfer  # noqa: PLC0415
        from portraits.triggers import COUNT_DROPPED  # noqa: PLC0415

        register_checks()
        querying.register()
        registry.add_part(PortraitPart())
        registry.add_part(PreferencesPart())
        holdings.register(registry)
        registry.add_transfer(PortraitTransfer())
        registry.add_transfer(SummaryTransfer())
        registry.add_drop_statement(COUNT_DROPPED)
