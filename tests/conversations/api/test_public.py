"""The pages without a key: alive, ready, measured."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.test import Client

from config.embedded.process import free_port
from conversations.api.metrics import Reading, ReadingsCollector, gauges
from conversations.backends import configured
from conversations.backends.values import StoreUnavailable
from conversations.services.accounts import api_keys
from conversations.services.operations.readiness import StoreState, StoreStatus, read_readiness

pytestmark = pytest.mark.usefixtures("sample_api")


@pytest.fixture
def lost_database(database: str) -> Iterator[None]:
    """PostgreSQL is somewhere where nothing listens."""
    settings = connections["default"].settings_dict
    kept = settings["HOST"], settings["PORT"]
    connections["default"].close()
    settings["HOST"], settings["PORT"] = "127.0.0.1", free_port()
    yield
    connections["default"].close()
    settings["HOST"], settings["PORT"] = kept


def fail() -> None:
    raise StoreUnavailable("milvus", "circuit open")


def test_health_asks_nobody() -> None:
    response = Client().get("/healthz")

    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert "no-cache" in response["Cache-Control"]


@pytest.mark.usefixtures("database")
def test_readiness_names_every_store() -> None:
    readiness = read_readiness({"redis": lambda: None, "milvus": fail, "elasticsearch": None})

    assert readiness.is_ready
    assert readiness.status == "degraded"
    assert readiness.stores == {
        "postgresql": StoreState(StoreStatus.OK),
        "redis": StoreState(StoreStatus.OK),
        "milvus": StoreState(StoreStatus.DEGRADED, "circuit open"),
        "elasticsearch": StoreState(StoreStatus.OFF),
    }


@pytest.mark.usefixtures("database")
def test_readiness_does_not_wait_for_hanging_stores() -> None:
    started = time.perf_counter()

    stores = read_readiness({name: lambda: time.sleep(1.5) for name in ("redis", "milvus")}).stores

    assert time.perf_counter() - started < 1.4
    assert stores["milvus"] == stores["redis"] == StoreState(StoreStatus.DEGRADED, "no answer in time")


@pytest.fixture
def stores_off(settings: Any) -> Iterator[None]:
    settings.REDIS_URL = settings.MILVUS_URI = settings.ELASTICSEARCH_URL = ""
    configured.forget_stores()
    yield
    configured.forget_stores()


@pytest.mark.usefixtures("database", "stores_off")
def test_readiness_as_answered(redis_server: str, settings: Any) -> None:
    alone = Client().get("/readyz")
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    configured.forget_stores()
    without = Client().get("/readyz")
    settings.REDIS_URL = redis_server
    configured.forget_stores()
    together = Client().get("/readyz")

    off = {"elasticsearch": {"status": "off"}, "milvus": {"status": "off"}}
    assert alone.json() == {
        "status": "ok",
        "stores": {"postgresql": {"status": "ok"}, "redis": {"status": "off"}, **off},
    }
    assert (without.status_code, without.json()["status"]) == (200, "degraded")
    assert without.json()["stores"]["redis"]["status"] == "degraded"
    assert together.json()["stores"]["redis"] == {"status": "ok"}


@pytest.mark.usefixtures("lost_database", "stores_off")
def test_readiness_without_postgresql_is_503() -> None:
    response = Client().get("/readyz")

    assert response.status_code == 503
    assert response.json()["status"] == "degraded"
    assert response.json()["stores"]["postgresql"]["status"] == "degraded"


@pytest.mark.usefixtures("lost_database")
@pytest.mark.parametrize("path", ["/api/v1/customers", "/api/v1/bypassing"])
def test_key_check_without_postgresql_is_503(path: str) -> None:
    well_formed = api_keys._format("ABCDEFGHJKLM", "s" * 43)

    response = Client(headers={"authorization": f"Bearer {well_formed}"}).post(path, {}, "application/json")

    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert "Retry-After" in response


@pytest.mark.usefixtures("lost_database")
def test_health_and_metrics_do_without_postgresql() -> None:
    assert Client().get("/healthz").status_code == 200
    assert Client().get("/metrics").status_code == 200


@pytest.mark.usefixtures("database")
def test_metrics_are_in_prometheus_format() -> None:
    Client().get("/healthz")

    response = Client().get("/metrics")

    assert response["Content-Type"].startswith("text/plain; version=")
    assert (
        'remembrancer_http_requests_total{method="GET",route="/healthz",status="200"}'
        in response.content.decode()
    )


def test_gauges_are_read_at_each_scrape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauges, "_gauges", [])
    lag = [1.5]
    gauges.register(lambda: [Reading("remembrancer_mirror_lag_seconds", "Lag.", lag[0], {"sink": "milvus"})])

    first = Client().get("/metrics").content.decode()
    lag[0] = 2.5
    second = Client().get("/metrics").content.decode()

    assert 'remembrancer_mirror_lag_seconds{sink="milvus"} 1.5' in first
    assert 'remembrancer_mirror_lag_seconds{sink="milvus"} 2.5' in second


def test_gauge_that_cannot_be_read_is_left_out() -> None:
    collector = ReadingsCollector()

    def unreadable() -> list[Reading]:
        raise OperationalError

    collector.register(unreadable)
    collector.register(lambda: [Reading("b", "B.", 1, {"x": "1"}), Reading("b", "B.", 2, {"x": "2"})])

    (family,) = collector.collect()

    assert [(sample.labels, sample.value) for sample in family.samples] == [({"x": "1"}, 1), ({"x": "2"}, 2)]
