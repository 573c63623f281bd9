"""Mappings and settings of the search indices.

django-elasticsearch-dsl provides the field classes and ties documents to their models. It never writes: the drain
does, with external versions. Metadata, names and originals are not mapped, so they cannot get here.
"""

from collections.abc import Mapping
from typing import Any, NoReturn

from django.conf import settings
from django_elasticsearch_dsl import Document, fields
from django_elasticsearch_dsl.registries import registry
from elasticsearch.dsl import MetaField, analyzer, token_filter

from conversations.analysis.languages import LIGHT_STOP_WORDS, STOP_WORDS
from conversations.backends.values import Kind
from conversations.models import Memory, Message, Session

# Lucene's BM25 with the constants that the ranking was measured with.
SIMILARITY = {"default": {"type": "BM25", "k1": 0.9, "b": 0.4}}
DEFAULT_SETTINGS = {
    "number_of_shards": 3,
    "number_of_replicas": 1,
    "refresh_interval": "1s",
    "max_result_window": 10_000,
    # How long a delete is remembered, so that an older write still in flight cannot bring a document back.
    "gc_deletes": "1h",
}
LONGEST_LABEL = 512


def _recall_analyzer(name: str, stop_words: frozenset[str]) -> Any:
    """The analysis of the recall recipe; Chinese, Japanese and Korean become pairs of characters."""
    return analyzer(
        name,
        tokenizer="standard",
        filter=[
            token_filter("possessive", type="stemmer", language="possessive_english"),
            "lowercase",
            "asciifolding",
            "cjk_width",
            "cjk_bigram",
            token_filter(f"{name}_stop", type="stop", stopwords=sorted(stop_words)),
            # Snowball's English, whose stems the ranking computes too.
            token_filter("english", type="stemmer", language="porter2"),
        ],
    )


# A turn is found by what it says; in a whole session names and small words still tell something.
TURN = _recall_analyzer("turn", STOP_WORDS)
WHOLE = _recall_analyzer("whole", LIGHT_STOP_WORDS)


class MirroredDocument(Document):  # type: ignore[misc]  # the library has no types
    """What every index holds of an entry: whose it is, and which version of the row was written."""

    id = fields.KeywordField()
    tenant_id = fields.KeywordField()
    customer_id = fields.KeywordField()
    row_version = fields.LongField()
    fingerprint = fields.LongField()
    created_at = fields.DateField()

    class Meta:
        dynamic = MetaField("strict")
        # Without it a delete that forgets its routing would look into the wrong shard and find nothing to do.
        routing = MetaField(required=True)

    def _bulk(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError("Only the mirror's drain writes to the indices: see `drain_mirror`.")


@registry.register_document
class MessageDocument(MirroredDocument):
    session_id = fields.KeywordField()
    role = fields.KeywordField()
    language = fields.KeywordField()
    position = fields.IntegerField()
    text = fields.TextField(analyzer=TURN)
    context = fields.TextField(analyzer=TURN)

    class Meta:
        # The predecessors' words are in their own documents.
        source = MetaField(excludes=["context"])

    class Index:
        name = f"{settings.ELASTICSEARCH_PREFIX}-{Kind.MESSAGES}"

    class Django:
        model = Message
        ignore_signals = True


class ChapterDocument(MirroredDocument):
    """Fifty messages of a session. Its `id` is the session's."""

    session_id = fields.KeywordField()
    part = fields.IntegerField()
    text = fields.TextField(analyzer=WHOLE)

    class Index:
        name = f"{settings.ELASTICSEARCH_PREFIX}-{Kind.CHAPTERS}"


@registry.register_document
class SessionDocument(MirroredDocument):
    """What is counted about sessions."""

    channel = fields.KeywordField()
    language = fields.KeywordField()
    outlet_id = fields.KeywordField()
    status = fields.KeywordField()
    closed_at = fields.DateField()
    message_count = fields.IntegerField()
    # What clients write freely is counted up to a length, and never a reason to refuse the document.
    intents = fields.KeywordField(ignore_above=LONGEST_LABEL)
    issue_type = fields.KeywordField(ignore_above=LONGEST_LABEL)
    entities = fields.KeywordField(ignore_above=LONGEST_LABEL)
    tools = fields.KeywordField(ignore_above=LONGEST_LABEL)
    success = fields.BooleanField()
    resolution_seconds = fields.DoubleField()
    knowledge = fields.TextField(analyzer=TURN)

    class Index:
        name = f"{settings.ELASTICSEARCH_PREFIX}-{Kind.SESSIONS}"

    class Django:
        model = Session
        ignore_signals = True


@registry.register_document
class MemoryDocument(MirroredDocument):
    kind = fields.KeywordField()
    expires_at = fields.DateField()
    text = fields.TextField(analyzer=TURN)

    class Index:
        name = f"{settings.ELASTICSEARCH_PREFIX}-{Kind.MEMORIES}"

    class Django:
        model = Memory
        ignore_signals = True


class ArchiveDocument(MirroredDocument):
    """The scrubbed text of an archived message. Its model belongs to an app above this one."""

    session_id = fields.KeywordField()
    role = fields.KeywordField()
    expires_at = fields.DateField()
    text = fields.TextField(analyzer=TURN)

    class Index:
        name = f"{settings.ELASTICSEARCH_PREFIX}-{Kind.ARCHIVE}"


DOCUMENTS: dict[Kind, type[MirroredDocument]] = {
    Kind.MESSAGES: MessageDocument,
    Kind.CHAPTERS: ChapterDocument,
    Kind.SESSIONS: SessionDocument,
    Kind.MEMORIES: MemoryDocument,
    Kind.ARCHIVE: ArchiveDocument,
}


def index_body(kind: Kind, index_settings: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings and settings to create an index of this kind with."""
    body = DOCUMENTS[kind]._index.to_dict()
    return {
        "mappings": body["mappings"],
        "settings": {
            "index": {**DEFAULT_SETTINGS, **index_settings, "similarity": SIMILARITY},
            "analysis": body["settings"]["analysis"],
        },
    }
