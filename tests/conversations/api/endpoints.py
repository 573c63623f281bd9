"""Every method of every route below `/api/v1`, read from the URL configuration: a new one is tested by itself.

What cannot be read from there is named here once: a thing for each kind of id in a path, and a body where `{}` is not
a good one. An endpoint for which something is missing fails its tests and says what.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
from django.db import connections
from django.urls import URLPattern, URLResolver, get_resolver

from conversations import ids
from conversations.api.operations import Operation, operation_of
from conversations.api.views import TenantView
from conversations.principals import SYSTEM
from retention.enums import RecordClass
from retention.services.purges.runs import purge
from tests.conversations.api.conftest import Caller

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
BASE = "api/v1/"
PLACEHOLDER = re.compile(r"<(?:(?P<converter>\w+):)?(?P<name>\w+)>")

REASON = {"reason": "A test asks."}
POLICY = {"messages": "P90D", "summaries": "P2Y", "archive": "P7Y", "archive_mode": "sealed"}
BODIES: Mapping[str, Any] = {
    "AppendIn": {"role": "user", "content": "Where is my parcel?"},
    "ApprovalIn": {"version": 1},
    "ArchiveSearchIn": {"query": "parcel"},
    "PreferenceIn": {"value": "green"},
    "PreferencesIn": {"preferences": {"colour": "green"}},
    "ErasureIn": {"session_id": str(ids.new_id(ids.now())), "basis": "A request.", **REASON},
    "FilterBody": {"filter": {}},
    "FindIn": {"identifier": "ada@example.com", **REASON},
    "HoldIn": {"matter": "Case 7", **REASON},
    "MemoriesBulkBody": {"create": [{"content": "Likes green parcels."}]},
    "MemoryIn": {"content": "Likes green parcels."},
    "MemorySearch": {"query": "parcel"},
    "MessagesBulkBody": {"delete": [str(ids.new_id(ids.now()))]},
    "PolicyIn": POLICY,
    "QueryBody": {"filter": {}},
    "ReasonBody": REASON,
    "SearchBody": {"query": "parcel"},
    "SessionsBulkBody": {"create": [{}]},
}
QUERIES: Mapping[str, str] = {"AnswersQuery": "query=parcel", "GroupsQuery": "group_by=day"}


@dataclass(frozen=True)
class Endpoint:
    """One method of one route; `template` is below `/api/v1`."""

    method: str
    template: str
    view: type[TenantView]
    operation: Operation

    def __str__(self) -> str:
        return f"{self.method} {self.template}"

    @property
    def names(self) -> list[str]:
        """What its path names, `session_id` for one."""
        return [found["name"] for found in PLACEHOLDER.finditer(self.template)]

    @property
    def id_names(self) -> list[str]:
        return [f["name"] for f in PLACEHOLDER.finditer(self.template) if f["converter"] == "id"]

    @property
    def is_stable(self) -> bool:
        """A GET that answers the same as long as its thing stays as it is."""
        last = self.template.rpartition("/")[2]
        return self.method == "GET" and last not in {
            "stats",
            "capabilities",
            "verify",
            "audit-events",
            "proof",
            "events",
        }

    def path(self, things: Mapping[str, Any]) -> str:
        """With each placeholder filled by the thing of that name."""
        unknown = set(self.names) - set(things)
        assert not unknown, f"{self}: `World` has no {', '.join(unknown)}"
        return PLACEHOLDER.sub(lambda found: str(things[found["name"]]), self.template)

    def body(self) -> Any:
        """A body that is accepted, if only the things it speaks of are there."""
        if self.operation.body is None:
            return None
        name = self.operation.body.__name__
        body = BODIES.get(name, {})
        try:
            msgspec.convert(body, self.operation.body)
        except msgspec.ValidationError as error:
            raise AssertionError(f"{self}: `BODIES` has no good {name}: {error}") from error
        return body

    def call(
        self, caller: Caller, things: Mapping[str, Any], *, body: Any = None, query: str = "", **headers: str
    ) -> Any:
        """The answer to this caller, with the good body unless another is given, and the parameters it needs."""
        sent = self.body() if body is None else body
        asked = "&".join(filter(None, (QUERIES.get(self.operation.query.__name__), query)))
        path = self.path(things) + (f"?{asked}" if asked else "")
        response = caller(self.method, path, sent, **headers)
        response.close()  # a stream goes on otherwise
        return response


def endpoints() -> list[Endpoint]:
    """Reads first, deletes last, so that what a test still needs is there as long as it can be."""
    found = [
        Endpoint(method, f"/{route.removeprefix(BASE)}", view, operation_of(getattr(view, method.lower())))
        for route, view in _views(get_resolver().url_patterns)
        for method in METHODS
        if hasattr(view, method.lower())
    ]
    return sorted(found, key=lambda endpoint: METHODS.index(endpoint.method))


def _views(patterns: list[Any], prefix: str = "") -> Iterator[tuple[str, type[TenantView]]]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _views(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern) and route.startswith(BASE):
            callback: Any = pattern.callback
            yield route, callback.cls


@dataclass(frozen=True)
class World:
    """A tenant that has one of everything a path can name."""

    caller: Caller
    things: Mapping[str, Any]
    secret: str  # what its texts say

    @property
    def spoken_of(self) -> Mapping[str, Any]:
        """What a body or a filter can name."""
        return {name: self.things[name] for name in ("session_id", "message_id", "memory_id", "customer_id")}


def build_world(caller: Caller, customer: str) -> World:
    """Through the API, and by a purge for what only that makes."""

    def make(path: str, body: Any) -> dict[str, Any]:
        response: Any = caller("POST", path, body)
        assert response.status_code in (200, 201, 202), response.content
        return dict(response.json())

    def first(path: str) -> Any:
        response: Any = caller("GET", path)
        return response.json()["data"][0]["id"]

    secret = f"the parcel of {customer} {uuid4().hex}"
    session = make("/sessions", {"customer_id": customer, "external_id": f"{customer}-1"})["id"]
    held, erased = (make("/sessions", {})["id"] for _ in range(2))
    messages = f"/sessions/{session}/messages"
    old = {
        "role": "user",
        "content": secret,
        "created_at": (ids.now() - timedelta(days=100)).isoformat(),
    }
    make(messages, {"messages": [old, {"role": "user", "content": f"{secret}, please"}]})
    purge(tenant_id=caller.tenant_id, record_class=RecordClass.MESSAGES, actor=SYSTEM)
    caller("PUT", f"/customers/{customer}/preferences/colour", {"value": "green"})
    things: dict[str, Any] = {
        "customer_id": customer,
        "key": "colour",
        "session_id": session,
        "message_id": first(messages),
        "receipt_id": make(f"/sessions/{session}/context", {})["receipt_id"],
        "memory_id": make("/memories", {"content": secret, "customer_id": customer})["id"],
        "hold_id": make("/holds", {"matter": "Case 7", "session_id": held, **REASON})["id"],
        "event_id": first("/audit-events"),
        "run_id": first("/purge-runs"),
        "record_id": first("/archive"),
        "case_id": make("/erasures", {"session_id": erased, "basis": "A request.", **REASON})["id"],
        "export_id": make(f"/customers/{customer}/export", {})["id"],
    }
    return World(caller, things, secret)


def unknown_things(world: World) -> dict[str, Any]:
    """For each kind of thing one that nobody has."""
    return {
        name: ids.new_id(ids.now()) if _is_id(thing) else f"{thing}-of-nobody"
        for name, thing in world.things.items()
    }


def without_request_id(response: Any) -> tuple[int, Any]:
    """What two answers must share to be the same to a client."""
    if "json" not in response.get("Content-Type", ""):
        return response.status_code, response.content
    return response.status_code, {k: v for k, v in response.json().items() if k != "request_id"}


def count_rows() -> dict[str, int]:
    """How many rows every table has, whoever owns them."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
            " AND relnamespace = 'public'::regnamespace"
        )
        names = [name for (name,) in cursor.fetchall()]
        cursor.execute("SELECT " + ", ".join(f'(SELECT count(*) FROM "{name}")' for name in names))
        return dict(zip(names, cursor.fetchone(), strict=True))


Differs = Callable[[Endpoint], object]


def those_that(differs: Differs, among: Callable[[Endpoint], bool] = lambda _: True) -> dict[str, object]:
    """What is wrong with each endpoint; empty when the contract holds for all of them."""
    return {
        str(endpoint): wrong
        for endpoint in endpoints()
        if among(endpoint) and (wrong := differs(endpoint)) not in (None, "", [], {})
    }


def _is_id(thing: Any) -> bool:
    try:
        UUID(str(thing))
    except ValueError:
        return False
    return True
