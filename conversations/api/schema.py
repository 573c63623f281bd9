"""OpenAPI 3.1 from what endpoints declare: drf-spectacular walks the routes, msgspec describes the types."""

import re
from collections.abc import Iterable, Sequence
from enum import Enum
from http import HTTPStatus
from typing import Any

import msgspec
from drf_spectacular.drainage import error, warn
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ComponentRegistry, ResolvedComponent

from conversations.api.operations import JSON, Operation, operation_of
from conversations.api.parameters import parameters_of
from conversations.api.problems import CONTENT_TYPE as PROBLEM
from conversations.api.problems import Problem
from conversations.exceptions import Forbidden

JSONSchema = dict[str, Any]

_PLACEHOLDER = re.compile(r"<(?:(?P<converter>\w+):)?(?P<name>\w+)>")
_ALWAYS = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_WITH_BODY = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
_WITH_CHANGE = (HTTPStatus.CONFLICT, HTTPStatus.GONE)


class ContractSchema(AutoSchema):
    """One operation as its `@operation` declares it."""

    def get_operation(
        self, path: str, path_regex: str, path_prefix: str, method: str, registry: ComponentRegistry
    ) -> JSONSchema | None:
        if self.is_excluded():
            return None
        self.registry = registry
        handler = getattr(self.view, method.lower())
        try:
            declared = operation_of(handler)
        except Forbidden:
            error(f"{method} {path} is not declared: nobody may call it")
            return None
        described = {
            "operationId": _operation_id(path, method),
            "summary": _summary(handler),
            "tags": [path.removeprefix("/api/v1/").partition("/")[0]],
            "parameters": [*_path_parameters(path_regex), *self._query(declared), *_headers(declared)],
            "security": [self._bearer()],
            "x-scope": declared.scope.value,
            "responses": self._responses(declared, method),
        }
        if declared.body is not None:
            described["requestBody"] = {
                "required": not declared.body_optional,
                "content": {JSON: {"schema": self._of(declared.body)}},
            }
        return described

    def _of(self, kind: Any) -> JSONSchema:
        """The schema of a type, or of any of several; its structs become components."""
        kinds: Sequence[Any] = kind if isinstance(kind, tuple) else (kind,)
        schemas, components = msgspec.json.schema_components(
            kinds, schema_hook=_choices, ref_template="#/components/schemas/{name}"
        )
        for name, schema in components.items():
            self._register(name, schema)
        return schemas[0] if len(schemas) == 1 else {"anyOf": list(schemas)}

    def _register(self, name: str, schema: JSONSchema) -> None:
        component = ResolvedComponent(name, ResolvedComponent.SCHEMA, schema=schema, object=name)
        if component in self.registry and self.registry[component].schema != schema:
            warn(f"two different structs are called {name}")
        self.registry.register_on_missing(component)

    def _bearer(self) -> JSONSchema:
        scheme = {"type": "http", "scheme": "bearer", "description": "An API key; it decides the tenant."}
        self.registry.register_on_missing(
            ResolvedComponent("ApiKey", ResolvedComponent.SECURITY_SCHEMA, schema=scheme, object="ApiKey")
        )
        return {"ApiKey": []}

    def _query(self, declared: Operation) -> Iterable[JSONSchema]:
        for parameter in parameters_of(declared.query).values():
            yield {
                "in": "query",
                "name": parameter.name,
                "required": parameter.required,
                "schema": self._of(parameter.type),
            }

    def _responses(self, declared: Operation, method: str) -> JSONSchema:
        responses: JSONSchema = {}
        for status, kind in sorted(declared.answers.items()):
            responses[str(status)] = {"description": HTTPStatus(status).phrase}
            if kind is not None:
                content = {
                    media: {"schema": {"type": "string"}} for media in declared.media_types if media != JSON
                }
                if JSON in declared.media_types:
                    content = {JSON: {"schema": self._of(kind)}, **content}
                responses[str(status)]["content"] = content
        for status in sorted(_problem_statuses(declared, method)):
            responses[str(status.value)] = self._problem(status)
        return responses

    def _problem(self, status: HTTPStatus) -> JSONSchema:
        described = {"description": status.phrase, "content": {PROBLEM: {"schema": self._of(Problem)}}}
        name = re.sub(r"\W", "", status.phrase)
        response = ResolvedComponent(name, ResolvedComponent.RESPONSE, schema=described, object=name)
        self.registry.register_on_missing(response)
        reference: JSONSchema = response.ref
        return reference


def _problem_statuses(declared: Operation, method: str) -> set[HTTPStatus]:
    statuses = {*_ALWAYS, *declared.problems}
    if declared.body is not None:
        statuses.update(_WITH_BODY)
    if method.upper() not in ("GET", "HEAD"):
        statuses.update(_WITH_CHANGE)
    if declared.idempotent:
        statuses.add(HTTPStatus.UNPROCESSABLE_ENTITY)
    if declared.conditional:
        statuses.add(HTTPStatus.PRECONDITION_FAILED)
    return statuses


def _path_parameters(path_regex: str) -> Iterable[JSONSchema]:
    for placeholder in _PLACEHOLDER.finditer(path_regex):
        schema = {"type": "string"}
        if placeholder["converter"] == "id":
            schema["format"] = "uuid"
        yield {"in": "path", "name": placeholder["name"], "required": True, "schema": schema}


def _headers(declared: Operation) -> Iterable[JSONSchema]:
    if declared.idempotent:
        key = {"type": "string", "minLength": 1, "maxLength": 255}
        yield {"in": "header", "name": "Idempotency-Key", "required": False, "schema": key}
    if declared.conditional:
        yield {"in": "header", "name": "If-Match", "required": False, "schema": {"type": "string"}}
    if declared.resumable:
        yield {"in": "header", "name": "Last-Event-ID", "required": False, "schema": {"type": "string"}}


def _operation_id(path: str, method: str) -> str:
    words = re.sub(r"\W+", "_", path.removeprefix("/api/v1/")).strip("_")
    return f"{method.lower()}_{words}"


def _summary(handler: Any) -> str:
    return (handler.__doc__ or "").strip().partition("\n")[0]


def _choices(kind: type) -> JSONSchema:
    """Django's choices, whose metaclass hides from msgspec that they are enumerations."""
    if issubclass(kind, Enum):
        return {"enum": [member.value for member in kind]}
    raise NotImplementedError(f"no schema for {kind}")
