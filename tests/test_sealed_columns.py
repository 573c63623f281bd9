"""What PostgreSQL itself says about every column of bytes: a new one is sealed by name, or named here with its reason."""

from django.db import connections

from conversations.sealed_columns import sealed_columns

NOT_SEALED = {
    "conversations_apikey.digest": "SHA-256 of a secret",
    "conversations_auditleaf.leaf_hash": "a hash",
    "conversations_contextreceipt.query_hash": "keyed hash",
    "conversations_datakey.wrapped": "a wrapped key: rotation wraps it anew",
    "conversations_idempotencyrecord.fingerprint": "a hash",
    "conversations_memory.embedding": "a vector",
    "conversations_memory.features": "of scrubbed text",
    "conversations_messageindex.features": "of scrubbed text",
    "conversations_importedrecord.key": "keyed hash",
    "conversations_tombstone.digest": "keyed hash",
    "retention_archiverecord.digest": "keyed hash",
    "retention_auditcheckpoint.frontier": "hashes",
    "retention_auditcheckpoint.root_hash": "a hash",
    "retention_erasurecase.receipt": "public by its nature",
    "retention_purgebatch.merkle_root": "a hash",
    "retention_purgedrange.merkle_root": "a hash",
    "retention_purgerun.frontier": "hashes",
}


def test_every_column_of_bytes_is_sealed_or_has_a_reason(database):
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
            " WHERE a.atttypid = 'bytea'::regtype AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
            " AND c.relnamespace = 'public'::regnamespace AND NOT a.attisdropped"
        )
        found = {name for (name,) in cursor.fetchall()}

    assert found - NOT_SEALED.keys() == {str(column) for column in sealed_columns()}
    assert NOT_SEALED.keys() <= found
