from django.apps import AppConfig


class RetentionConfig(AppConfig):
    name = "retention"
    verbose_name = "Retention"

    def ready(self) -> None:
        # Models can be imported only now.
        from conversations.api import metrics  # noqa: PLC0415
        from conversations.ports import registry  # noqa: PLC0415
        from conversations.services.operations import partitions  # noqa: PLC0415
        from conversations.services.statistics import usage  # noqa: PLC0415
        from retention.api.gauges import read_promises  # noqa: PLC0415
        from retention.projections import ArchiveProjection  # noqa: PLC0415
        from retention.services import archive, holdings  # noqa: PLC0415
        from retention.services.lifecycle import RetentionLifecycle  # noqa: PLC0415

        registry.lifecycle = RetentionLifecycle()
        registry.add_projection(ArchiveProjection())
        holdings.register(registry)
        partitions.register("retention_archiverecord", "month")
        metrics.gauges.register(read_promises)
        usage.register_count("archived", archive.count_archived)
