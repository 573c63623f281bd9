"""`/api/schema` and `/api/docs`: public, and without requests to other hosts."""

from functools import lru_cache
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer
from drf_spectacular.views import SpectacularSwaggerSplitView

from conversations import strict_json
from conversations.api.routes import safe_only
from conversations.exceptions import Invalid


@safe_only
def schema(request: HttpRequest) -> HttpResponse:
    """The OpenAPI 3.1 document: JSON, or YAML with `?format=yaml`."""
    unknown = set(request.GET) - {"format"}
    if unknown:
        raise Invalid.field(min(unknown), "There is no such parameter.", code="unknown_parameter")
    match request.GET.get("format", "json"):
        case "json":
            return HttpResponse(strict_json.encode(_document()), content_type="application/json")
        case "yaml":
            return HttpResponse(OpenApiYamlRenderer().render(_document()), content_type="application/yaml")
        case _:
            raise Invalid.field("format", "`json` or `yaml`.")


class Documentation(SpectacularSwaggerSplitView):
    """Swagger's page from our own static files; no inline script, as the content security policy requires."""

    url_name = "schema"
    http_method_names: ClassVar[list[str]] = ["get", "head"]  # type: ignore[misc]
    authentication_classes: Any = ()
    permission_classes: Any = ()
    throttle_classes: Any = ()


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    """It depends on the code alone."""
    document: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return document
