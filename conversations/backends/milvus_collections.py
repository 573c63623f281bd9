"""Collections behind an alias: created when missing, rebuilt beside the live one, switched in one step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pymilvus import MilvusClient
    from pymilvus.orm.schema import CollectionSchema

ID_LENGTH = 36
KEY_LENGTH = 2 * ID_LENGTH + 1
CODE_LENGTH = 35

FIELDS = (
    "pk",
    "tenant_id",
    "id",
    "kind",
    "session_id",
    "customer_id",
    "role",
    "language",
    "memory_kind",
    "created_at",
    "row_version",
    "expires_at",
    "vector",
)


class CollectionFamily:
    """The collections `<alias>_1`, `<alias>_2`, ... of which the alias names the one in use."""

    def __init__(self, client: MilvusClient, alias: str, dimension: int, seconds: float) -> None:
        self._client = client
        self.alias = alias
        self._dimension = dimension
        self._seconds = seconds

    def current(self) -> str | None:
        """The collection in use; None when there is none."""
        return self._named(self.alias)

    @property
    def next_alias(self) -> str:
        """Names the collection that a rebuild fills."""
        return f"{self.alias}_next"

    def ensure(self) -> bool:
        """Make the collection if it is missing, and load it; whether it was made."""
        name = self.current()
        if name is None:
            name = self.create_next()
            self._client.create_alias(name, self.alias, timeout=self._seconds)
            self.drop_others(name)
            return True
        self._client.load_collection(name, timeout=self._seconds)
        return False

    def create_next(self) -> str:
        """A new empty collection, loaded, that nobody reads yet."""
        numbers = [int(name.rsplit("_", 1)[1]) for name in self._ours()]
        name = f"{self.alias}_{max(numbers, default=0) + 1}"
        self._client.create_collection(
            name, schema=_schema(self._dimension), index_params=self._indexes(), timeout=self._seconds
        )
        self._client.load_collection(name, timeout=self._seconds)
        return name

    def switch(self, name: str) -> None:
        """Let the alias name this collection, and drop all others."""
        if self.current() is None:
            self._client.create_alias(name, self.alias, timeout=self._seconds)
        else:
            self._client.alter_alias(name, self.alias, timeout=self._seconds)
        self.drop_others(name)

    def targets(self) -> list[str]:
        """The aliases that writes go to now."""
        return [alias for alias in (self.alias, self.next_alias) if alias in self._aliases()]

    def begin(self) -> str:
        """A new collection that writes reach too; a rebuild that was interrupted is dropped first."""
        self.abandon()
        name = self.create_next()
        self._client.create_alias(name, self.next_alias, timeout=self._seconds)
        return name

    def finish(self) -> str:
        """Let the alias name the collection that was built, and drop the old one."""
        name = self._named(self.next_alias)
        if name is None:
            raise LookupError(f"No rebuild of {self.alias} is under way.")
        self._client.drop_alias(self.next_alias, timeout=self._seconds)
        self.switch(name)
        return name

    def abandon(self) -> None:
        """Drop what a rebuild has made so far."""
        if (name := self._named(self.next_alias)) is not None:
            self._client.drop_alias(self.next_alias, timeout=self._seconds)
            self._client.drop_collection(name, timeout=self._seconds)

    def drop_others(self, kept: str | None) -> None:
        """Drop our collections but one, and but one being built: what a rebuild or its interruption has left."""
        building = self._named(self.next_alias)
        for name in self._ours():
            if name not in (kept, building):
                self._client.drop_collection(name, timeout=self._seconds)

    def drop(self) -> None:
        """Drop everything under this alias."""
        self.abandon()
        if self.current() is not None:
            self._client.drop_alias(self.alias, timeout=self._seconds)
        self.drop_others(None)

    def is_lite(self) -> bool:
        """Whether it is the small server in one process, which searches exactly and never compacts."""
        return "lite" in self._client.get_server_version(timeout=self._seconds)

    def _aliases(self) -> list[str]:
        return list(self._client.list_aliases(timeout=self._seconds)["aliases"])

    def _named(self, alias: str) -> str | None:
        """The collection that an alias names; None when there is no such alias."""
        if alias not in self._aliases():
            return None
        return str(self._client.describe_alias(alias, timeout=self._seconds)["collection_name"])

    def _ours(self) -> list[str]:
        names = self._client.list_collections(timeout=self._seconds)
        return [
            name
            for name in names
            if name.rpartition("_")[0] == self.alias and name.rpartition("_")[2].isdigit()
        ]

    def _indexes(self) -> Any:
        params = self._client.prepare_index_params()
        if self.is_lite():
            # At the size it is made for, an exact scan is faster than any graph index, and misses nothing.
            params.add_index("vector", index_type="FLAT", metric_type="COSINE")
            return params
        params.add_index("vector", index_type="AUTOINDEX", metric_type="COSINE")
        for field in ("customer_id", "session_id", "created_at"):
            params.add_index(field, index_type="INVERTED")
        return params


def _schema(dimension: int) -> CollectionSchema:
    # Loading it costs two seconds and 140 MB, which processes without vectors should not pay.
    from pymilvus import DataType, MilvusClient  # noqa: PLC0415

    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("pk", DataType.VARCHAR, max_length=KEY_LENGTH, is_primary=True)
    schema.add_field("tenant_id", DataType.VARCHAR, max_length=ID_LENGTH, is_partition_key=True)
    for name in ("id", "session_id", "customer_id"):
        schema.add_field(name, DataType.VARCHAR, max_length=ID_LENGTH)
    for name in ("kind", "role", "language", "memory_kind"):
        schema.add_field(name, DataType.VARCHAR, max_length=CODE_LENGTH)
    for name in ("created_at", "row_version", "expires_at"):
        schema.add_field(name, DataType.INT64)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
    return schema
