"""Customers' own ids in paths, through a real web server: it decodes a path before we see it."""

from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.conversations.api.conftest import Caller
from tests.conversations.api.serving import serving

IDS = [
    "a/b",
    "a//b",
    "org/7/ann",
    "50%",
    "a%2Fb",
    "李/雷",
    "a b+c",
    "?#&=",
    "../x",
    "x/portrait",
    "é/ü.json",
    "a/",
]


@pytest.fixture
def http(database: str, tmp_path: Path, caller: Caller):
    with (
        serving(database, tmp_path / "server.log") as server,
        httpx.Client(
            base_url=f"http://127.0.0.1:{server.port}/api/v1",
            headers={"Authorization": f"Bearer {caller.key}"},
            timeout=60,
        ) as client,
    ):
        yield client


def test_any_id_works_in_every_path(http: httpx.Client) -> None:
    for name in IDS:
        path = f"/customers/{quote(name, safe='')}"
        session = http.post("/sessions", json={"customer_id": name}).json()
        assert session["customer_id"] == name

        assert http.patch(f"{path}/portrait", json={"summary": name}).json()["summary"] == name
        http.put(f"{path}/preferences/{quote('k/1', safe='')}", json={"value": name})
        assert http.get(f"{path}/preferences").json()["preferences"] == {"k/1": name}
        assert http.get(f"{path}/summary").json()["session_count"] == 1
        assert [one["id"] for one in http.get(f"{path}/sessions").json()["data"]] == [session["id"]]
        assert http.get(f"{path}/portrait/history").json()["data"][0]["customer_id"] == name
        if name != "x/portrait":  # see docs/decisions
            assert http.get(path).json()["customer_id"] == name

    assert http.get("/customers/x%2Fportrait").status_code == 404  # the portrait of `x`, whom nobody knows
    found = http.post("/summaries/query", json={"filter": {"customer_id": {"$in": IDS}}, "limit": 200}).json()
    assert {one["customer_id"] for one in found["data"]} == set(IDS)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/customers/%ff"),
        ("GET", "/customers/an%C3"),
        ("PUT", "/customers/ann/preferences/%e4"),
        ("GET", "/sessions?customer_id=%ff"),
        ("GET", "/sessions?%ff=1"),
    ],
)
def test_bytes_that_are_no_text_are_invalid(http: httpx.Client, method: str, path: str) -> None:
    refused = http.request(method, path, json={"value": 1} if method == "PUT" else None)

    assert (refused.status_code, refused.json()["code"]) == (400, "invalid")
    assert refused.headers["content-type"] == "application/problem+json"
    assert http.get("/customers").json()["data"] == []  # neither `%FF` nor a replacement character was made
