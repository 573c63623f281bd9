"""Switching stores on and off, as the settings name them.

Events are written only for a sink that is on. Switching one on enqueues every row there is, after every writer has
ended that may not have known; switching it off forgets its events. A store that is merely unreachable stays on.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from django.db import connections
from django.db.models.functions import Now

from conversations.backends.configured import search_store, vector_store
from conversations.backends.embedders import EmbeddingProfile, configured_profiles
from conversations.backends.values import StoreUnavailable
from conversations.enums import Reason, Sink
from conversations.indexing.sources import sources
from conversations.mirror import outbox
from conversations.mirror.profiles import MessageProfiles, read_message_profiles
from conversations.mirror.rebuilding import Advance, RebuildFailed, leave_profile, rebuild_search
from conversations.mirror.verifying import remove_extras
from conversations.models import MirrorSink, Tenant

log = structlog.get_logger(__name__)

PATIENCE = 60.0  # seconds for transactions that began before a sink was switched on


@dataclass(frozen=True)
class Ensured:
    """What was changed for one store."""

    sink: Sink
    enabled: bool
    made: list[str] = field(default_factory=list)  # indices or collections that were missing
    enqueued: int = 0  # rows on their way to it
    rebuilt: bool = False  # because its mappings or settings have changed
    unreachable: str = ""  # why nothing could be made


def ensure_sinks(advance: Advance) -> list[Ensured]:
    """Bring every store into the state that the settings ask for. Idempotent."""
    return [_ensure_search(advance), _ensure_vectors()]


def _ensure_search(advance: Advance) -> Ensured:
    """Elasticsearch: on where it has a URL, every index made, with today's mappings."""
    store = search_store()
    if store is None:
        return _switch_off(Sink.ELASTICSEARCH)

    def renew() -> None:
        rebuild_search(store, advance)

    return _switch_on(Sink.ELASTICSEARCH, store.schema, store.ensure_indexes, renew)


def _ensure_vectors() -> Ensured:
    """Milvus: on where it has an address, a collection made for every profile.

    Messages stay in the profile that has them until `reembed` has filled another, unless the settings have
    dropped that profile.
    """
    profiles = configured_profiles()
    if vector_store(profiles[0]) is None:
        return _switch_off(Sink.MILVUS)
    known = read_message_profiles()
    wanted = known if known.served in profiles else MessageProfiles(profiles[0])

    def renew() -> None:
        MirrorSink.objects.using("ops").filter(id=Sink.MILVUS).update(schema=str(wanted))
        enqueue_everything(Sink.MILVUS)
        leave_profile(known.served)

    return _switch_on(Sink.MILVUS, str(wanted), lambda: _make_collections((*wanted.all, *profiles)), renew)


def _make_collections(profiles: tuple[EmbeddingProfile, ...]) -> list[str]:
    stores = (vector_store(profile) for profile in dict.fromkeys(profiles))
    return [store.collection for store in stores if store is not None and store.ensure_collection()]


def enqueue_everything(sink: Sink) -> int:
    """An event for every row that the sink shows, in place of those of an earlier rebuild; how many."""
    outbox.discard(sink, Reason.REBUILD)
    entities = MirrorSink.objects.using("ops").values_list("entities", flat=True).get(id=sink)
    return sum(outbox.enqueue_all(sink, source, Reason.REBUILD) for source in sources(entities))


def _switch_on(sink: Sink, schema: str, make: Callable[[], list[str]], renew: Callable[[], None]) -> Ensured:
    before = MirrorSink.objects.using("ops").get(id=sink)
    enqueued = 0
    if not before.enabled:
        _update(sink, enabled=True)
        _wait_for_older_writers()
        enqueued = enqueue_everything(sink)
    try:
        made = make()
        if made and before.enabled:
            enqueued = enqueue_everything(sink)
        outdated = before.schema not in ("", schema) and not made
        if outdated:
            renew()
        elif before.enabled_at is None and not made:
            # It held entries before, but has missed every change since.
            remove_extras(sink, Tenant.objects.using("ops").values_list("id", flat=True))
    except (StoreUnavailable, RebuildFailed) as error:
        return Ensured(sink, True, enqueued=enqueued, unreachable=str(error))
    _update(sink, schema=schema, **({"enabled_at": Now()} if before.enabled_at is None else {}))
    log.info("mirror.ensured", sink=sink.name, made=made, enqueued=enqueued, rebuilt=outdated)
    return Ensured(sink, True, made, enqueued, outdated)


def _switch_off(sink: Sink) -> Ensured:
    row = MirrorSink.objects.using("ops").filter(id=sink, enabled=True)
    # Vectors keep the name of their profile, which may not be the first of the settings.
    forgotten = {} if sink is Sink.MILVUS else {"schema": ""}
    if row.update(enabled=False, enabled_at=None, **forgotten):
        _wait_for_older_writers()
        log.info("mirror.switched_off", sink=sink.name, discarded=outbox.discard(sink))
    return Ensured(sink, False)


def _update(sink: Sink, **values: object) -> None:
    MirrorSink.objects.using("ops").filter(id=sink).update(**values)


def _wait_for_older_writers() -> None:
    """Return when every transaction has ended that may have written rows under the old switch.

    A trigger reads the switch again with each statement, so only what wrote before now can have missed it.
    """
    deadline = time.monotonic() + PATIENCE
    with connections["ops"].cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text::numeric")
        (here,) = cursor.fetchone()
        while time.monotonic() < deadline:
            cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::numeric >= %s", [here])
            if cursor.fetchone()[0]:
                return
            time.sleep(0.05)
    log.warning("mirror.writers_linger", waited=PATIENCE)
