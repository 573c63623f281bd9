"""Milvus Lite's own command, with searches that are a third faster.

For every hit the original reads the whole row, vector included, before it looks at which fields were asked for. For
searches that ask for keys only, as ours do, that is a third of the time.
"""

from typing import Any

from milvus_lite.cmdline import main
from milvus_lite.engine import collection
from milvus_lite.storage.segment import Segment

_search = collection.execute_search_with_index


class _Keys:
    """A segment whose rows have nothing but their key."""

    def __init__(self, segment: Segment, field: str) -> None:
        self._segment = segment
        self._field = field

    def __getattr__(self, name: str) -> Any:
        return getattr(self._segment, name)

    def row_to_dict(self, row: int) -> dict[str, Any]:
        return {self._field: self._segment.pks[row]}


def search(*, segments: Any, pk_field: str, output_fields: list[str] | None, **others: Any) -> Any:
    """As Milvus Lite does it, but rows are not read for a search that wants their keys."""
    if output_fields == [pk_field]:
        segments = [_Keys(segment, pk_field) for segment in segments]
    return _search(segments=segments, pk_field=pk_field, output_fields=output_fields, **others)


if __name__ == "__main__":
    collection.execute_search_with_index = search
    main()
