"""Archiving: turns a message into a sealed record, and opens a record as the message it was."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import structlog
from django.conf import settings

from conversations import crypto, keyring, presenters
from conversations.analysis import lexemes
from conversations.backends.postgres_lexical import tsvector
from conversations.crypto import DataKeyMaterial
from conversations.enums import KeyOwner
from conversations.exceptions import KeyDestroyed, SealBroken
from conversations.pii import scrub_json
from conversations.services.messages.contents import Scrubber, message_aad
from retention.compression import compress, decompress
from retention.enums import ArchiveMode
from retention.models import ArchiveRecord

log = structlog.get_logger(__name__)

TABLE = ArchiveRecord._meta.db_table
JSON_COLUMNS = ("usage", "agent_responses", "metadata", "pii")
SLICE = 100  # messages that are packed while PostgreSQL stores those before them


class ArchivedContent(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a record says beyond its columns. JSON stays the text it was; new fields go to the end."""

    said: msgspec.Raw  # msgpack [content, attachments], byte for byte what the message had sealed
    name: str | None
    external_id: str | None
    language: str | None
    intent: str | None
    intent_confidence: float | None
    turn_id: str | None
    model: str | None
    usage: str | None
    agent_responses: str | None
    metadata: str
    pii: str
    occurred_at: datetime | None


class Source(msgspec.Struct, frozen=True, gc=False):
    """A message as it leaves the live table; JSON as text."""

    id: UUID
    row_version: int
    session_id: UUID
    hidden: bool
    sealed: bytes
    scrubbed: str
    scrubbed_attachments: str
    name: str | None
    external_id: str | None
    language: str | None
    intent: str | None
    intent_confidence: float | None
    turn_id: str | None
    model: str | None
    usage: str | None
    agent_responses: str | None
    metadata: str
    pii: str
    occurred_at: datetime | None


class PackedMessage(msgspec.Struct, frozen=True, gc=False):
    """What an archive record has beside the columns it copies from its message."""

    id: UUID
    sealed: bytes
    scrubbed: str
    digest: bytes
    document: str


@dataclass(frozen=True)
class Packing:
    """Records to write. A message whose key was destroyed is unreadable and in neither list."""

    records: list[PackedMessage] = field(default_factory=list)
    broken: set[UUID] = field(
        default_factory=set
    )  # cannot be decrypted although the key exists: kept as evidence


def pack(tenant_id: UUID, sources: Sequence[Source], mode: ArchiveMode) -> Iterator[Packing]:
    """The records of these messages, slice by slice, sealed under the keys that sealed the messages.

    Runs inside a tenant scope, and continues in the background while the caller uses the connection.
    """
    if not sources:
        return iter(())
    packer = _Packer(tenant_id, sources, mode)
    thread = ThreadPoolExecutor(1, thread_name_prefix="packer")
    slices = [sources[first : first + SLICE] for first in range(0, len(sources), SLICE)]
    packings = thread.map(packer.pack, slices)
    thread.shutdown(wait=False)  # finish what has been submitted
    return packings


def open_record(record: ArchiveRecord, *, customer: str | None) -> dict[str, Any]:
    """The message as it was, field by field; of a `scrubbed` record what was left of it."""
    sealed = bytes(record.sealed)
    plain = decompress(keyring.unseal(record.tenant_id, sealed, archive_aad(record.tenant_id, record.id)))
    kept = msgspec.msgpack.decode(plain, type=ArchivedContent)
    content, attachments = msgspec.msgpack.decode(kept.said)
    row = _Row(record, kept)
    return presenters.message(row, content=content, attachments=attachments, customer=customer)


def archive_aad(tenant_id: UUID, record_id: UUID) -> bytes:
    return crypto.row_aad(tenant_id, TABLE, "sealed", record_id)


class _Row:
    """A record and what it keeps, read like the row of the message."""

    def __init__(self, record: ArchiveRecord, kept: ArchivedContent) -> None:
        self._record, self._kept = record, kept

    def __getattr__(self, name: str) -> Any:
        if name in JSON_COLUMNS:
            text = getattr(self._kept, name)
            return None if text is None else msgspec.json.decode(text)
        return getattr(self._kept if hasattr(self._kept, name) else self._record, name)


class _Packer:
    """Packs messages of one tenant, with the placeholders that the tenant's messages have. Needs no database."""

    def __init__(self, tenant_id: UUID, sources: Iterable[Source], mode: ArchiveMode) -> None:
        self._tenant_id, self._mode = tenant_id, mode
        self._keys = _keys(tenant_id, {crypto.key_id(source.sealed) for source in sources})
        self._digest_key = keyring.sealing_key(tenant_id, KeyOwner.INDEX, tenant_id).secret
        self._scrubber = Scrubber(tenant_id)
        self._scrubber.load()

    def pack(self, sources: Iterable[Source]) -> Packing:
        packing = Packing()
        for source in sources:
            if (key := self._keys.get(crypto.key_id(source.sealed))) is None:
                continue
            try:
                packing.records.append(self._record(source, key))
            except SealBroken:
                log.error("archive.message_unreadable", tenant=str(self._tenant_id), message=str(source.id))
                packing.broken.add(source.id)
        return packing

    def _record(self, source: Source, key: DataKeyMaterial) -> PackedMessage:
        """SealBroken when the message does not open."""
        said = crypto.unseal(source.sealed, key=key, aad=message_aad(self._tenant_id, source.id))
        kept = _kept(source, said) if self._mode is ArchiveMode.SEALED else self._scrubbed(source)
        plain = msgspec.msgpack.encode(kept)
        scrubbed = "\n".join(filter(None, (source.scrubbed, source.scrubbed_attachments)))
        return PackedMessage(
            id=source.id,
            sealed=crypto.seal(compress(plain), key=key, aad=archive_aad(self._tenant_id, source.id)),
            scrubbed=scrubbed,
            digest=crypto.hmac_digest(self._digest_key, "archive", plain),
            document=tsvector(lexemes(scrubbed)),
        )

    def _scrubbed(self, source: Source) -> ArchivedContent:
        """Without a name and ids of the customer's making, with placeholders for every identifier."""
        text = source.scrubbed_attachments
        attachments = [{"kind": "file", "text": text}] if text else None
        return msgspec.structs.replace(
            _kept(source, msgspec.msgpack.encode([source.scrubbed, attachments])),
            name=None,
            external_id=None,
            turn_id=None,
            agent_responses=self._scrubbed_json(source.agent_responses),
            metadata=self._scrubbed_json(source.metadata) or "{}",
            pii="[]",
        )

    def _scrubbed_json(self, text: str | None) -> str | None:
        if text is None:
            return None
        value = scrub_json(msgspec.json.decode(text), region=settings.PII_REGION, tag=self._tag)
        return msgspec.json.encode(value).decode()

    def _tag(self, kind: str, normalised: str) -> str:
        return self._scrubber.digest(kind, normalised)[:3].hex()


def _kept(source: Source, said: bytes) -> ArchivedContent:
    return ArchivedContent(
        said=msgspec.Raw(said),
        name=source.name,
        external_id=source.external_id,
        language=source.language,
        intent=source.intent,
        intent_confidence=source.intent_confidence,
        turn_id=source.turn_id,
        model=source.model,
        usage=source.usage,
        agent_responses=source.agent_responses,
        metadata=source.metadata,
        pii=source.pii,
        occurred_at=source.occurred_at,
    )


def _keys(tenant_id: UUID, key_ids: Iterable[UUID]) -> Mapping[UUID, DataKeyMaterial]:
    """Those of the keys that still are."""
    wanted = list(key_ids)
    try:
        return keyring.opening_keys(tenant_id, wanted)
    except KeyDestroyed:
        return (
            {} if len(wanted) == 1 else {k: v for one in wanted for k, v in _keys(tenant_id, [one]).items()}
        )
