"""A whole installation, as `manage.py up` starts it: real servers, a Celery worker, granian, nothing shared."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from benchmarks.installation import Installation, installation
from tests.waiting import eventually

# What this test process uses itself must not leak into the installation, which starts its own.
OURS = (
    "DATABASE_URL",
    "REDIS_URL",
    "MILVUS_URI",
    "SECRET_KEY",
    "MASTER_KEYS",
    "SIGNING_KEY",
    "DATA_DIR",
    "BROKER_URL",
)


@pytest.fixture(scope="session")
def installed(elasticsearch_url: str) -> Iterator[Installation]:
    """One installation for all flows, with Elasticsearch beside what `up` starts."""
    with installation(
        without=OURS,
        ELASTICSEARCH_URL=elasticsearch_url,
        ELASTICSEARCH_PREFIX=f"flows-{uuid4().hex[:8]}",
        ELASTICSEARCH_SHARDS="1",
        ELASTICSEARCH_REPLICAS="0",
    ) as running:
        yield running


class Agent:
    """Somebody with a key, over HTTP."""

    def __init__(self, url: str, key: str) -> None:
        self.http = httpx.Client(
            base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {key}"}, timeout=30
        )

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return self.http.request(method, path, json=body, headers=headers)

    def patiently(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """As a client does: the same call again while nobody answers or the service is away."""

        def attempt() -> httpx.Response | None:
            try:
                response = self(method, path, body)
            except httpx.TransportError:
                return None
            return None if response.status_code == 503 else response

        return eventually(lambda: [r] if (r := attempt()) is not None else None, 30)[0]

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        """The answer of a call that must succeed."""
        response = self(method, path, body)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        return response.json() if response.content else None


@pytest.fixture
def new_tenant(installed: Installation) -> Callable[..., Agent]:
    """A tenant of its own for a flow, and an agent of it."""

    def make(*scopes: str) -> Agent:
        name = f"flow {uuid4().hex[:8]}"
        installed.manage("create_tenant", name)
        key = installed.json(
            "create_key", name, "--scopes", ",".join(scopes or ("read", "write", "import", "compliance"))
        )
        agent = Agent(installed.url, key["key"])
        agent.tenant = name  # type: ignore[attr-defined]
        return agent

    return make


def mirrored(agent: Agent) -> bool:
    """Whether every store has followed this tenant's writes."""
    return agent.ok("GET", "/stats")["mirror"]["pending"] == 0
