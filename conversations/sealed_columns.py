"""Every column that holds sealed bytes, found by its name: a new one cannot be forgotten when keys are rotated.

The convention: a BinaryField whose name begins with `sealed` holds what `keyring.seal` made, bound by
`crypto.row_aad` to its tenant, table, column and row; nothing else has such a name.
`tests/test_sealed_columns.py` checks this.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from django.apps import apps
from django.db.models import BinaryField

PREFIX = "sealed"
KEY_COLUMN = (
    "subject_key_id"  # beside some of them: by which key they are sealed, so that a key's rows are found
)


@dataclass(frozen=True)
class SealedColumn:
    table: str
    column: str
    key_column: str | None

    def __str__(self) -> str:
        return f"{self.table}.{self.column}"


@lru_cache(maxsize=1)
def sealed_columns() -> Sequence[SealedColumn]:
    """Those of all apps, by table."""
    found = []
    for model in apps.get_models():
        names = [field.name for field in model._meta.local_fields if isinstance(field, BinaryField)]
        key_column = KEY_COLUMN if KEY_COLUMN in {field.name for field in model._meta.local_fields} else None
        found += [SealedColumn(model._meta.db_table, n, key_column) for n in names if n.startswith(PREFIX)]
    return sorted(found, key=str)
