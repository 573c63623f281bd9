"""`/query`, `/count` and `/exists` of each kind: Mongo's filters over what agents may see."""

from typing import Annotated, Any
from uuid import UUID

from django.http import HttpResponse
from django.urls import URLPattern, path
from msgspec import Meta, Struct

from conversations.api.answers import answer
from conversations.api.operations import operation
from conversations.api.pagination import LARGEST_PAGE, ListOf, PageQuery, paginate
from conversations.api.shapes import JSONObject
from conversations.api.views import TenantView
from conversations.enums import Scope
from conversations.filters import Kind, parse_filter, parse_order
from conversations.services import querying


class FilterBody(Struct, forbid_unknown_fields=True, kw_only=True):
    filter: JSONObject


class QueryBody(FilterBody, forbid_unknown_fields=True, kw_only=True):
    order_by: list[str] | None = None
    limit: Annotated[int, Meta(ge=1, le=LARGEST_PAGE)] = 50
    after: UUID | None = None


class CountOut(Struct):
    count: int


class ExistsOut(Struct):
    exists: bool


def query_routes(kind: Kind, shape: Any) -> list[URLPattern]:
    """`<kind>/query`, `/count` and `/exists` of a registered queryable; a list is made of `shape`s."""

    class Query(TenantView):
        @operation(Scope.READ, body=QueryBody, answers={200: ListOf[shape]})
        def post(self, body: QueryBody) -> HttpResponse:
            """List what a filter describes."""
            tenant_id = self.principal.tenant_id
            tree = parse_filter(body.filter, kind)
            order = querying.by_index(parse_order(body.order_by, kind))
            with querying.selecting(kind, tenant_id, tree) as found:
                page = paginate(
                    found.rows,
                    PageQuery(limit=body.limit, after=body.after),
                    order=order,
                    cursors=found.cursors,
                )
            return answer(page.of(querying.show(kind, tenant_id, page.rows)))

    class Count(TenantView):
        @operation(Scope.READ, body=FilterBody, answers={200: CountOut})
        def post(self, body: FilterBody) -> HttpResponse:
            """Count what a filter describes."""
            tree = parse_filter(body.filter, kind)
            with querying.selecting(kind, self.principal.tenant_id, tree) as found:
                return answer(CountOut(found.rows.count()))

    class Exists(TenantView):
        @operation(Scope.READ, body=FilterBody, answers={200: ExistsOut})
        def post(self, body: FilterBody) -> HttpResponse:
            """Say whether there is anything that a filter describes."""
            tree = parse_filter(body.filter, kind)
            with querying.selecting(kind, self.principal.tenant_id, tree) as found:
                return answer(ExistsOut(found.rows.exists()))

    views = {"query": Query, "count": Count, "exists": Exists}
    return [path(f"{kind}/{name}", view.as_view()) for name, view in views.items()]
