"""The rows that belong in the mirrors, by entity."""

from collections.abc import Collection
from dataclasses import dataclass

from conversations.backends.values import Kind
from conversations.enums import Entity
from conversations.ports import registry


@dataclass(frozen=True, slots=True)
class Source:
    """Rows with `id`, `tenant_id` and `row_version`; each is mirrored while `condition` holds."""

    entity: int
    kind: Kind
    table: str
    condition: str = "true"


_LIVE = "hidden_at IS NULL"
_CORE = (
    Source(Entity.MESSAGE, Kind.MESSAGES, "conversations_message", _LIVE),
    Source(Entity.SESSION, Kind.SESSIONS, "conversations_session", _LIVE),
    Source(Entity.MEMORY, Kind.MEMORIES, "conversations_memory", _LIVE),
)


def sources(entities: Collection[int]) -> list[Source]:
    """The tables of these entities, those of other apps' projections included."""
    theirs = (Source(p.entity, Kind(p.kind), p.table, p.condition) for p in registry.projections.values())
    return [source for source in (*_CORE, *theirs) if source.entity in entities]
