"""Indices behind aliases: created when missing, rebuilt beside the live ones, switched in one step."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from elasticsearch import BadRequestError, Elasticsearch

from conversations.backends.values import Kind
from conversations.documents import index_body


@dataclass(frozen=True, slots=True)
class IndexState:
    """Our indices, and which of them are behind each alias."""

    indices: list[str]
    behind: dict[str, list[str]]

    def numbers(self, alias: str) -> dict[str, int]:
        """The indices made for this alias, and the number each has in its name."""
        made = (name for name in self.indices if _is_numbered(name, {alias}))
        return {name: int(name.rpartition("-")[2]) for name in made}


class IndexFamily:
    """The indices of one installation, one alias per kind; `<alias>-next` marks a rebuild under way."""

    def __init__(self, client: Elasticsearch, prefix: str, index_settings: Mapping[str, Any]) -> None:
        self._client = client
        self._prefix = prefix
        self._settings = index_settings

    def alias(self, kind: Kind) -> str:
        """What searches and writes address."""
        return f"{self._prefix}-{kind}"

    def next_alias(self, kind: Kind) -> str:
        """What writes address too while this kind is rebuilt."""
        return f"{self._prefix}-{kind}-next"

    def targets(self) -> dict[Kind, list[str]]:
        """The aliases that writes of each kind go to now; none when its index is missing."""
        seen = self._look()
        return {
            kind: [name for name in (self.alias(kind), self.next_alias(kind)) if name in seen.behind]
            if self.alias(kind) in seen.behind
            else []
            for kind in Kind
        }

    def missing(self) -> list[str]:
        """Aliases that should be there and are not."""
        seen = self._look()
        return [self.alias(kind) for kind in Kind if self.alias(kind) not in seen.behind]

    def ensure(self) -> list[str]:
        """Make what is missing; names of the indices made."""
        seen = self._look()
        absent = [kind for kind in Kind if self.alias(kind) not in seen.behind]
        for kind in absent:
            self._remove_impostor(self.alias(kind), seen)
        return [self._create(kind, self.alias(kind), seen) for kind in absent]

    def begin(self, kind: Kind) -> str:
        """A new index that writes reach too; a rebuild that was interrupted is dropped first."""
        self.abandon(kind)
        seen = self._look()
        self._remove_impostor(self.next_alias(kind), seen)
        return self._create(kind, self.next_alias(kind), seen)

    def switch(self, kind: Kind) -> str:
        """Let searches and writes address the new index alone; the old one is there, without an alias."""
        seen = self._look()
        (new,) = seen.behind[self.next_alias(kind)]
        self._client.indices.refresh(index=new)
        self._client.indices.update_aliases(
            actions=[
                {"add": {"index": new, "alias": self.alias(kind)}},
                {"remove": {"index": new, "alias": self.next_alias(kind)}},
                *(
                    {"remove": {"index": old, "alias": self.alias(kind)}}
                    for old in seen.behind.get(self.alias(kind), [])
                ),
            ]
        )
        return new

    def abandon(self, kind: Kind) -> None:
        """Drop what a rebuild has made so far, and what an earlier one has replaced."""
        seen = self._look()
        kept = seen.behind.get(self.alias(kind), [])
        for index in seen.numbers(self.alias(kind)):
            if index not in kept:
                self._client.indices.delete(index=index)

    def drop(self) -> None:
        """Drop every index of this installation."""
        for index in self._look().indices:
            self._client.indices.delete(index=index, ignore_unavailable=True)

    def _remove_impostor(self, alias: str, seen: IndexState) -> None:
        # A write or delete without its alias makes an index of that name, its mapping guessed by the server.
        if alias in seen.indices:
            self._client.indices.delete(index=alias)

    def _look(self) -> IndexState:
        """One look at all our indices, closed ones included."""
        answer = self._client.indices.get(
            index=f"{self._prefix}-*", features="aliases", expand_wildcards=["open", "closed"]
        )
        # Another installation's prefix may begin with ours.
        ours = {alias for kind in Kind for alias in (self.alias(kind), self.next_alias(kind))}
        seen = IndexState([name for name in answer if name in ours or _is_numbered(name, ours)], {})
        for index in seen.indices:
            for alias in answer[index]["aliases"]:
                seen.behind.setdefault(alias, []).append(index)
        return seen

    def _create(self, kind: Kind, alias: str, seen: IndexState) -> str:
        # Numbered after what was seen when the index was missing: who else saw that takes the same name.
        number = max(seen.numbers(self.alias(kind)).values(), default=0) + 1
        index = f"{self.alias(kind)}-{number:06}"
        try:
            self._client.indices.create(index=index, aliases={alias: {}}, **index_body(kind, self._settings))
        except BadRequestError as error:
            # Another process was faster: the index exists, which is all that was wanted.
            if error.error != "resource_already_exists_exception":
                raise
        return index


def _is_numbered(name: str, aliases: set[str]) -> bool:
    alias, _, number = name.rpartition("-")
    return alias in aliases and number.isdigit()


def schema_of(index_settings: Mapping[str, Any]) -> str:
    """Changes when the mappings or settings do, and then the indices want a rebuild."""
    bodies = [index_body(kind, index_settings) for kind in Kind]
    return hashlib.sha256(msgspec.json.encode(bodies, order="deterministic")).hexdigest()[:16]
