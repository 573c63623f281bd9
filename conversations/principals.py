"""Who acts: the API key behind a request, and the name recorded in the audit trail."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from conversations.enums import Scope


class ActorKind(StrEnum):
    AGENT = "agent"
    STAFF = "staff"
    OPERATOR = "operator"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something. `claimed` is a name an operator gave (`--as`), recorded beside the one we know."""

    kind: ActorKind
    name: str
    claimed: str | None = None

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


SYSTEM = Actor(ActorKind.SYSTEM, "remembrancer")


@dataclass(frozen=True, slots=True)
class Principal:
    """What a valid API key stands for: the tenant, the key, the person it was issued to, and its scopes."""

    tenant_id: UUID
    key_id: UUID
    person: str
    scopes: frozenset[Scope]

    @property
    def actor(self) -> Actor:
        return Actor(ActorKind.AGENT, self.person)

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes
