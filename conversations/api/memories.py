"""`/memories`: facts, notes, materials and runbooks that are kept beside the conversations."""

from typing import Literal
from uuid import UUID

from django.http import HttpResponse
from msgspec import Struct

from conversations.api.answers import answer, no_content
from conversations.api.bulk import check_lists, only
from conversations.api.operations import operation
from conversations.api.pagination import ListOf, PageQuery, paginate
from conversations.api.search import SearchOut
from conversations.api.shapes import MemoryOut
from conversations.api.views import TenantView
from conversations.enums import Scope
from conversations.inputs import ShortText
from conversations.memory_inputs import MemoryIn, MemoryKindName, MemoryPatch, MemorySearch
from conversations.models import Memory
from conversations.services.idempotency import Shown
from conversations.services.memories import changes, reading
from conversations.services.memories.contents import memory_owner
from conversations.services.recall.memory_search import search_memories
from conversations.tenancy import tenant_scope


class MemoriesQuery(PageQuery, frozen=True, kw_only=True):
    customer_id: ShortText | None = None
    kind: MemoryKindName | None = None
    external_id: ShortText | None = None

    aliases = {"user_id": "customer_id"}


class MemoryUpdate(MemoryPatch, forbid_unknown_fields=True, kw_only=True):
    id: UUID


class MemoriesBulkBody(Struct, forbid_unknown_fields=True, kw_only=True):
    create: list[MemoryIn] = []
    update: list[MemoryUpdate] = []
    delete: list[UUID] = []


class MemoriesBulkOut(Struct, kw_only=True):
    """Each list in the order of what was asked."""

    object: Literal["bulk"]
    created: list[MemoryOut]
    updated: list[MemoryOut]
    deleted: list[UUID]


class Memories(TenantView):
    @operation(Scope.READ, query=MemoriesQuery, answers={200: ListOf[MemoryOut]})
    def get(self, query: MemoriesQuery) -> HttpResponse:
        """List memories, newest first."""
        tenant_id = self.principal.tenant_id
        with tenant_scope(tenant_id):
            rows = reading.list_memories(
                tenant_id, customer_id=query.customer_id, kind=query.kind, external_id=query.external_id
            )
            page = paginate(rows, query)
            return answer(page.of(reading.present_memories(tenant_id, page.rows)))

    @operation(Scope.WRITE, body=MemoryIn, answers={201: MemoryOut, 200: MemoryOut}, idempotent=True)
    def post(self, body: MemoryIn) -> HttpResponse:
        """Create a memory, or get the one that has this external id."""
        tenant_id = self.principal.tenant_id
        with tenant_scope(tenant_id):
            rows, new = changes.create_memories(tenant_id=tenant_id, given=[body])
            shown = reading.present_memories(tenant_id, rows)[0]
            return answer(shown, 201 if new else 200, shown=_shown(rows[0]))


class OneMemory(TenantView):
    @operation(Scope.READ, answers={200: MemoryOut})
    def get(self, memory_id: UUID) -> HttpResponse:
        """Get a memory."""
        tenant_id = self.principal.tenant_id
        with tenant_scope(tenant_id):
            row = reading.get_memory(tenant_id, memory_id)
            return answer(reading.present_memories(tenant_id, [row])[0])

    @operation(Scope.WRITE, body=MemoryPatch, answers={200: MemoryOut})
    def patch(self, body: MemoryPatch, memory_id: UUID) -> HttpResponse:
        """Change a memory (JSON merge patch)."""
        tenant_id = self.principal.tenant_id
        with tenant_scope(tenant_id):
            row = changes.update_memory(tenant_id=tenant_id, memory_id=memory_id, patch=body)
            return answer(reading.present_memories(tenant_id, [row])[0])

    @operation(Scope.WRITE, answers={204: None})
    def delete(self, memory_id: UUID) -> HttpResponse:
        """Delete a memory, everywhere at once."""
        changes.delete_memories(tenant_id=self.principal.tenant_id, memory_ids=[memory_id])
        return no_content()


class MemoriesBulk(TenantView):
    @operation(Scope.WRITE, body=MemoriesBulkBody, answers={200: MemoriesBulkOut}, idempotent=True)
    def post(self, body: MemoriesBulkBody) -> HttpResponse:
        """Create, update and delete memories in one transaction."""
        check_lists(create=body.create, update=body.update, delete=body.delete)
        wanted = changes.MemoryChanges(
            create=body.create,
            update=[(one.id, only(MemoryPatch, one)) for one in body.update],
            delete=body.delete,
        )
        changed = changes.change_memories(tenant_id=self.principal.tenant_id, changes=wanted)
        return answer(
            {
                "object": "bulk",
                "created": changed.created,
                "updated": changed.updated,
                "deleted": changed.deleted,
            }
        )


class MemoriesSearch(TenantView):
    @operation(Scope.READ, body=MemorySearch, answers={200: SearchOut})
    def post(self, body: MemorySearch) -> HttpResponse:
        """Search memories by text, by vector, or by both."""
        return answer(search_memories(self.principal.tenant_id, body))


def _shown(row: Memory) -> Shown:
    return Shown(*memory_owner(row.tenant_id, row.customer_id), (row.id,))
