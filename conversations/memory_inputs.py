"""Request bodies of memories as types: unknown fields are refused, and nothing is converted."""

from typing import Annotated, Literal
from uuid import UUID

from django.conf import settings
from msgspec import UNSET, Meta, Struct, UnsetType

from conversations.exceptions import FieldError, Invalid
from conversations.inputs import JSONObject, Moment, Name, ShortText, check_size, fold_alias, fold_customer

MemoryKindName = Literal["fact", "note", "material", "runbook"]
Embedding = Annotated[list[float], Meta(min_length=1, max_length=99_999)]
Sources = Annotated[list[UUID], Meta(max_length=1000)]

MOST_FOUND = 100


class MemoryIn(Struct, forbid_unknown_fields=True, kw_only=True):
    """Something to be remembered, of a customer or of the whole tenant."""

    content: str
    kind: MemoryKindName = "fact"
    customer_id: ShortText | None = None
    user_id: ShortText | None = None
    external_id: ShortText | None = None
    expires_at: Moment | None = None
    embedding: Embedding | None = None
    profile: Name | None = None
    metadata: JSONObject | None = None
    source_message_ids: Sources = []

    def normal(self) -> "MemoryIn":
        """Without aliases, checked against the limits; Invalid names every broken field."""
        problems: list[FieldError] = []
        self.customer_id = fold_alias(self.customer_id, self.user_id, "customer_id", "user_id", problems)
        self.user_id = None
        _check_content(problems, self.content)
        check_size(problems, "metadata", self.metadata, settings.MAX_METADATA)
        if problems:
            raise Invalid(problems)
        return self


class MemoryPatch(Struct, forbid_unknown_fields=True, kw_only=True):
    """A merge patch. Whose memory it is does not change: its seal is under that person's key."""

    content: str | UnsetType = UNSET
    kind: MemoryKindName | UnsetType = UNSET
    external_id: ShortText | UnsetType | None = UNSET
    expires_at: Moment | UnsetType | None = UNSET
    embedding: Embedding | UnsetType | None = UNSET
    profile: Name | UnsetType | None = UNSET
    metadata: JSONObject | UnsetType | None = UNSET
    source_message_ids: Sources | UnsetType | None = UNSET

    def check(self) -> None:
        problems: list[FieldError] = []
        if self.content is not UNSET:
            _check_content(problems, self.content)
        if problems:
            raise Invalid(problems)


class MemorySearch(Struct, forbid_unknown_fields=True, kw_only=True):
    """What is looked for: words, a vector, or both."""

    query: Annotated[str, Meta(min_length=1, max_length=8192)] | None = None
    embedding: Embedding | None = None
    profile: Name | None = None
    top_k: Annotated[int, Meta(ge=1, le=MOST_FOUND)] = 5
    customer_id: ShortText | None = None
    user_id: ShortText | None = None
    kind: MemoryKindName | None = None

    def normal(self) -> "MemorySearch":
        """Without aliases; Invalid when nothing is looked for."""
        self.customer_id, self.user_id = fold_customer(self.customer_id, self.user_id), None
        if self.query is not None and not self.query.strip():
            raise Invalid.field("query", "A query needs at least one word.")
        if self.query is None and self.embedding is None:
            raise Invalid.field("query", "Give a query, an embedding, or both.", code="required")
        return self


def _check_content(problems: list[FieldError], content: str) -> None:
    if not content.strip():
        problems.append(FieldError("content", "required", "A memory needs at least one word."))
    check_size(problems, "content", content, settings.MAX_CONTENT)
