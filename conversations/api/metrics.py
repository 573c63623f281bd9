"""Prometheus measures of this process, and gauges that others register to be read at each scrape."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import structlog
from django.db import DatabaseError, InterfaceError
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

log = structlog.get_logger(__name__)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_requests = Counter(
    "remembrancer_http_requests", "Requests answered, by route template.", ["method", "route", "status"]
)
_latency = Histogram(
    "remembrancer_http_request_seconds",
    "Time to the first byte of an answer, by route template.",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)


@dataclass(frozen=True, slots=True)
class Reading:
    """The value of a gauge at this moment. Readings of one name share their documentation and label names."""

    name: str
    documentation: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


Gauge = Callable[[], Iterable[Reading]]


class ReadingsCollector(Collector):
    """Reads every registered gauge at scrape time; one whose store is down is left out."""

    def __init__(self) -> None:
        self._gauges: list[Gauge] = []

    def register(self, gauge: Gauge) -> None:
        """Called once per process, by an app's wiring."""
        if gauge not in self._gauges:
            self._gauges.append(gauge)

    def collect(self) -> Iterator[Metric]:
        families: dict[str, GaugeMetricFamily] = {}
        for gauge in self._gauges:
            try:
                readings = list(gauge())
            except (DatabaseError, InterfaceError) as error:
                log.warning("metrics.gauge_unreadable", error=type(error).__name__)
                continue
            for reading in readings:
                family = families.setdefault(
                    reading.name,
                    GaugeMetricFamily(reading.name, reading.documentation, labels=list(reading.labels)),
                )
                family.add_metric(list(reading.labels.values()), reading.value)
        yield from families.values()


gauges = ReadingsCollector()
REGISTRY.register(gauges)


def observe_request(method: str, route: str, status: int, seconds: float) -> None:
    _requests.labels(method, route, str(status)).inc()
    _latency.labels(method, route).observe(seconds)


def exposition() -> bytes:
    """Everything in the text format; of all processes where `PROMETHEUS_MULTIPROC_DIR` lets them share."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    shared = CollectorRegistry()
    MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
    shared.register(gauges)
    return generate_latest(shared)
