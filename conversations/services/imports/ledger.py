"""The ledger of imports: each record's identity in the source, hashed under the tenant's key, and its row here."""

from collections.abc import Iterable, Mapping
from functools import cache
from uuid import UUID

from django.db import connection

from conversations import keyring
from conversations.models import ImportedRecord
from conversations.statements import execute, fetch_all

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('import ' || %(tenant)s::text, 0))"
_FIND = """
    SELECT key, object_id FROM conversations_importedrecord
    WHERE tenant_id = %(tenant)s AND key = ANY (%(keys)b::bytea[])
"""
_NOTE = f"""
    INSERT INTO {ImportedRecord._meta.db_table} (key, tenant_id, object_id)
    SELECT u.key, %(tenant)s, u.object_id FROM unnest(%(keys)b::bytea[], %(ids)b::uuid[]) AS u (key, object_id)
    ON CONFLICT DO NOTHING
"""


class Ledger:
    """The ledger of one tenant, for one transaction. Created inside a tenant scope."""

    def __init__(self, tenant_id: UUID) -> None:
        self._tenant_id = tenant_id
        hashed = keyring.hasher(tenant_id)
        self._key = cache(lambda identity: hashed("imported", identity.hex()))  # looked up, then noted
        self._noted: dict[bytes, UUID] = {}

    def lock(self) -> None:
        """Let one import of the tenant write at a time, so that `find` sees what others stored."""
        with connection.cursor() as cursor:
            # Another import's batch may take longer than requests wait.
            cursor.execute("SET LOCAL lock_timeout = '120s'")
            cursor.execute(_LOCK, {"tenant": self._tenant_id})

    def find(self, identities: Iterable[bytes]) -> Mapping[bytes, UUID]:
        """The ids of the rows of known records, by identity."""
        by_key = {self._key(one): one for one in set(identities)}
        values = {"tenant": self._tenant_id, "keys": list(by_key)}
        return {by_key[key]: object_id for key, object_id in fetch_all(_FIND, values)}

    def note(self, identity: bytes, object_id: UUID) -> None:
        """Record an entry, stored by the next `write`."""
        self._noted[self._key(identity)] = object_id

    def write(self) -> None:
        if not self._noted:
            return
        keys = sorted(self._noted)  # in the order of the index
        ids = [self._noted[key] for key in keys]
        execute(_NOTE, {"tenant": self._tenant_id, "keys": keys, "ids": ids})
        self._noted.clear()
