"""The OpenAPI document says what the code does, and every route says who may call it."""

import re
from io import StringIO
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from conversations.api import schema_views
from conversations.api.operations import Operation, operation_of
from conversations.api.views import TenantView

METHODS = ("get", "post", "put", "patch", "delete")
PUBLIC = {"healthz", "readyz", "metrics", "api/schema", "api/docs", ""}
BROWSER = ("admin/", "accounts/", "static/")


def routes(patterns: list[Any], prefix: str = "") -> list[tuple[str, Any]]:
    found = []
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            found += routes(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            found.append((route, pattern.callback))
    return found


def api_routes() -> list[tuple[str, Any]]:
    every = routes(get_resolver().url_patterns)
    return [(route, view) for route, view in every if route not in PUBLIC and not route.startswith(BROWSER)]


def document() -> dict[str, Any]:
    return Client().get("/api/schema").json()


@pytest.mark.parametrize(
    ("route", "view"), api_routes(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_route_declares_the_scope_of_every_method(route: str, view: Any) -> None:
    assert route.startswith("api/v1/")
    assert issubclass(view.cls, TenantView)
    handlers = [getattr(view.cls, method) for method in METHODS if hasattr(view.cls, method)]
    assert handlers
    assert all(isinstance(operation_of(handler), Operation) for handler in handlers)


@pytest.mark.parametrize(
    ("route", "view"), api_routes(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_route_without_a_key_is_refused(route: str, view: Any) -> None:
    path = "/" + re.sub(r"<id:\w+>", "0198c0de-0000-7000-8000-000000000001", route)
    path = re.sub(r"<(\w+:)?\w+>", "x", path)

    for method in METHODS:
        response = Client().generic(method.upper(), path, b"{}", "application/json")
        assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")


def test_schema_is_valid_and_nothing_in_it_is_guessed() -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=StringIO())


def test_schema_has_every_route_and_method() -> None:
    described = {(path, method) for path, methods in document()["paths"].items() for method in methods}

    declared = {
        ("/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route), method)
        for route, view in api_routes()
        for method in METHODS
        if hasattr(view.cls, method)
    }
    assert described == declared


def test_schema_in_yaml_says_the_same() -> None:
    response = Client().get("/api/schema?format=yaml")

    assert response["Content-Type"] == "application/yaml"
    assert yaml.safe_load(response.content) == document()


@pytest.mark.parametrize("query", ["format=xml", "formt=yaml"])
def test_schema_refuses_what_it_does_not_know(query: str) -> None:
    response = Client().get(f"/api/schema?{query}")

    assert (response.status_code, response.json()["code"]) == (400, "invalid")


def test_schema_is_openapi_3_1_with_bearer_keys() -> None:
    described = document()

    assert described["openapi"].startswith("3.1")
    assert described["components"]["securitySchemes"]["ApiKey"]["scheme"] == "bearer"


@pytest.mark.usefixtures("sample_api")
def test_schema_describes_an_operation_as_declared() -> None:
    schema_views._document.cache_clear()
    described = document()["paths"]["/api/v1/customers"]
    schema_views._document.cache_clear()

    listing, creating = described["get"], described["post"]
    assert listing["summary"] == "List customers."
    assert listing["x-scope"] == "read"
    assert {parameter["name"]: parameter["in"] for parameter in listing["parameters"]} == {
        "limit": "query",
        "after": "query",
        "before": "query",
        "order": "query",
        "language": "query",
        "held": "query",
    }
    assert creating["requestBody"] == {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/CustomerIn"}}},
    }
    assert [parameter["name"] for parameter in creating["parameters"]] == ["Idempotency-Key"]
    assert set(creating["responses"]) == {
        *("201", "400", "401", "403", "404", "409", "410", "413", "415", "422", "429", "503")
    }
    assert creating["responses"]["400"] == {"$ref": "#/components/responses/BadRequest"}


def test_docs_need_nobody_else(settings: Any) -> None:
    as_in_up = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": as_in_up}
    page = Client().get("/api/docs")
    script = Client().get("/api/docs?script=")

    assert page.status_code == script.status_code == 200
    for content in (page.content, script.content):
        assert b"https://" not in content
        assert b"//cdn" not in content
    assert b"<script>" not in page.content
    assert b"/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js" in page.content
    assert b"/api/schema" in script.content
    assert "script-src" not in page["Content-Security-Policy"]
    assert "default-src 'self'" in page["Content-Security-Policy"]


def test_capabilities_name_profiles_limits_and_stores(caller: Any) -> None:
    response = caller("GET", "/capabilities")

    assert response.status_code == 200
    answered = response.json()
    assert answered["embedding"] == answered["profiles"][0]
    assert answered["embedding"]["dimension"] == 256
    assert answered["embedding"]["metric"] == "cosine"
    assert answered["limits"]["body"] == 4 * 1024 * 1024
    assert answered["limits"]["throttle"] == "1000/s"
    assert answered["stores"]["postgresql"] == "ok"
    assert set(answered["stores"]) == {"postgresql", "redis", "milvus", "elasticsearch"}
