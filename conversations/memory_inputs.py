"""Request bodies of memories as types: unknown fields are refused, and nothing is converted."""

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from django.conf import settings
from msgspec import UNSET, Meta, Struct, UnsetType

from conversations.exceptions import FieldError, Invalid
from conversations.inputs import JSONObject, Moment, Name, ShortText

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
        if self.customer_id is not None and self.user_id is not None and self.customer_id != self.user_id:
            problems.append(
                FieldError("user_id", "conflict", "Another name of `customer_id`, and they differ.")
            )
        self.customer_id, self.user_id = self.customer_id or self.user_id, None
        _check_content(problems, self.content)
        _check_metadata(problems, self.metadata)
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
        if self.customer_id is not None and self.user_id is not None and self.customer_id != self.user_id:
            raise Invalid.field("user_id", "Another name of `customer_id`, and they differ.", code="conflict")
        self.customer_id, self.user_id = self.customer_id or self.user_id, None
        if self.query is not None and not self.query.strip():
            raise Invalid.field("query", "A query needs at least one word.")
        if self.query is None and self.embedding is None:
            raise Invalid.field("query", "Give a query, an embedding, or both.", code="required")
        return self


def _check_content(problems: list[FieldError], content: str) -> None:
    size = len(content.encode())
    if not content.strip():
        problems.append(FieldError("content", "required", "A memory needs at least one word."))
    elif size > settings.MAX_CONTENT:
        problems.append(
            FieldError("content", "too_large", f"At most {settings.MAX_CONTENT} bytes; this is {size}.")
        )


def _check_metadata(problems: list[FieldError], metadata: JSONObject | None) -> None:
    size = len(msgspec.json.encode(metadata)) if metadata else 0
    if size > settings.MAX_METADATA:
        problems.append(
            FieldError("metadata", "too_large", f"At most {settings.MAX_METADATA} bytes; this is {size}.")
        )
