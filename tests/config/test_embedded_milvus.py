from pathlib import Path

import numpy as np
import pytest
from milvus_lite.db import MilvusLite
from milvus_lite.engine import collection
from milvus_lite.schema.types import CollectionSchema, DataType, FieldSchema
from milvus_lite.storage.segment import Segment

from config.embedded.milvus_server import search


@pytest.mark.parametrize("fields", [["key"], ["key", "owner"], []])
def test_a_search_finds_what_milvus_lite_finds(
    fields: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = CollectionSchema(
        fields=[
            FieldSchema("key", DataType.VARCHAR, max_length=9, is_primary=True),
            FieldSchema("owner", DataType.VARCHAR, max_length=9),
            FieldSchema("vector", DataType.FLOAT_VECTOR, dim=4),
        ]
    )
    vectors = np.random.default_rng(1).normal(size=(60, 4)).tolist()
    rows = [{"key": f"k{i}", "owner": f"o{i % 3}", "vector": vector} for i, vector in enumerate(vectors)]
    with MilvusLite(str(tmp_path)) as server:
        made = server.create_collection("c", schema)
        made.insert(rows[:50])
        made.flush()  # into a segment; the others stay in memory
        made.insert(rows[50:])
        made.load()

        asked = {"top_k": 20, "expr": 'owner == "o1"', "output_fields": fields}
        expected = made.search([vectors[0]], **asked)
        monkeypatch.setattr(collection, "execute_search_with_index", search)
        if fields == ["key"]:
            monkeypatch.setattr(
                Segment, "row_to_dict", lambda *row: pytest.fail("a row was read for its key")
            )
        found = made.search([vectors[0]], **asked)

    assert len(found[0]) == 20
    assert found == expected
