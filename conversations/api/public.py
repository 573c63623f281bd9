"""The routes without a key: health, readiness and metrics."""

from http import HTTPStatus

import msgspec
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from prometheus_client import CONTENT_TYPE_LATEST

from conversations.api import gauges, metrics
from conversations.api.answers import answer
from conversations.api.routes import safe_only
from conversations.services.operations.readiness import StoreState, StoreStatus, read_readiness


class Health(msgspec.Struct):
    status: StoreStatus


class StoreReport(msgspec.Struct, omit_defaults=True):
    status: StoreStatus
    detail: str | None = None


class ReadinessReport(msgspec.Struct):
    status: StoreStatus
    stores: dict[str, StoreReport]


@never_cache
@safe_only
def healthz(request: HttpRequest) -> HttpResponse:
    """This process answers; nothing else is asked."""
    return answer(Health(StoreStatus.OK))


@never_cache
@safe_only
def readyz(request: HttpRequest) -> HttpResponse:
    """Every store's state; 503 only without PostgreSQL."""
    readiness = read_readiness()
    report = ReadinessReport(readiness.status, {name: _report(s) for name, s in readiness.stores.items()})
    status = HTTPStatus.OK if readiness.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
    return answer(report, status)


@never_cache
@safe_only
def metrics_page(request: HttpRequest) -> HttpResponse:
    """Prometheus's text format."""
    return HttpResponse(metrics.exposition(), content_type=CONTENT_TYPE_LATEST)


metrics.gauges.register(gauges.read_mirror)
metrics.gauges.register(gauges.read_partitions)


def _report(state: StoreState) -> StoreReport:
    return StoreReport(state.status, state.detail)
