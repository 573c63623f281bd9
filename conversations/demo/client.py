"""A client of the public API, as any agent developer would write one: keep-alive, patient, strict."""

from __future__ import annotations

import re
import time
from collections.abc import Collection
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
import msgspec

PATIENCE = 60.0  # seconds to wait for a server that says 429 or 503
TIMEOUT = httpx.Timeout(30.0, connect=5.0)
PARAMETER = re.compile(r"\{[^}]*\}")


class DemoError(Exception):
    """The server answered what the contract does not say; the message names the call and the answer."""


class NotInThisVersion(Exception):
    """The endpoint is not in the server's own schema."""


class DemoClient:
    """Calls one tenant's API with one key; not to be shared between threads."""

    def __init__(self, url: str, key: str) -> None:
        self._http = httpx.Client(
            base_url=url.rstrip("/"),
            headers={"Authorization": f"Bearer {key}"},
            timeout=TIMEOUT,
            transport=httpx.HTTPTransport(retries=3),
        )
        self._schema: frozenset[tuple[str, str]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def is_accepted(self) -> bool:
        """Whether the server knows the key; DemoError where there is no server, or not one of ours."""
        status = self._send("GET", "/api/v1/sessions", {"limit": "1"}, None).status_code
        if status not in (httpx.codes.OK, httpx.codes.UNAUTHORIZED):
            raise DemoError(f"GET /sessions answered {status}")
        return status == httpx.codes.OK

    def call(
        self,
        method: str,
        template: str,
        *ids: str,
        body: object = None,
        query: dict[str, str] | None = None,
        expect: Collection[int] = (200,),
    ) -> tuple[int, Any]:
        """Status and decoded answer of `template` (with `{}` for each id).

        NotInThisVersion where the schema does not list it; DemoError on any status not expected.
        """
        path = "/api/v1" + template.format(*(quote(identifier, safe="") for identifier in ids))
        answer = self._send(method, path, query, body)
        if answer.status_code in expect:
            return answer.status_code, msgspec.json.decode(answer.content) if answer.content else None
        if answer.status_code in (404, 405) and not self._lists(method, "/api/v1" + template):
            raise NotInThisVersion(template)
        raise DemoError(f"{method} {template} answered {answer.status_code}: {answer.text[:400]}")

    def _send(self, method: str, path: str, query: dict[str, str] | None, body: object) -> httpx.Response:
        content = None if body is None else msgspec.json.encode(body)
        headers = {"Content-Type": "application/json"} if content else {}
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                answer = self._http.request(method, path, params=query, content=content, headers=headers)
            except httpx.TransportError as error:
                raise DemoError(f"{method} {path}: {error or type(error).__name__}") from error
            if answer.status_code not in (429, 503) or time.monotonic() > give_up:
                return answer
            time.sleep(min(float(answer.headers.get("Retry-After", "1")), 5.0))

    def _lists(self, method: str, template: str) -> bool:
        if self._schema is None:
            self._schema = self._read_schema()
        return (method, PARAMETER.sub("{}", template).rstrip("/")) in self._schema

    def _read_schema(self) -> frozenset[tuple[str, str]]:
        answer = self._send("GET", "/api/schema", None, None)
        if answer.status_code != httpx.codes.OK:
            raise DemoError(f"GET /api/schema answered {answer.status_code}")
        paths: dict[str, dict[str, Any]] = msgspec.json.decode(answer.content)["paths"]
        return frozenset(
            (method.upper(), PARAMETER.sub("{}", path).rstrip("/"))
            for path, methods in paths.items()
            for method in methods
        )
