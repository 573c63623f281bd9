"""The last messages of a session, from Redis when it provably has them all, else from PostgreSQL.

Redis is asked while no transaction is open; what it holds is opened and judged inside one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal
from uuid import UUID

import msgspec
import structlog
from django.conf import settings

from conversations import crypto, ids, keyring
from conversations.backends.configured import window_store
from conversations.backends.values import StoreUnavailable, WindowEntry, WindowKey
from conversations.crypto import DataKeyMaterial
from conversations.enums import Role
from conversations.exceptions import KeyDestroyed, SealBroken
from conversations.models import Session
from conversations.ports import lifecycle
from conversations.services.messages.contents import key_owner
from conversations.services.messages.reading import last_messages, with_processing
from conversations.services.messages.window_writer import writer
from conversations.tenancy import tenant_scope

log = structlog.get_logger(__name__)

MAX_LIMIT = 200
# The usual rule of thumb for a budget; an exact count would need the model's own tokeniser.
CHARACTERS_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4  # role and separators

Source = Literal["redis", "postgresql"]
Messages = list[dict[str, Any]]


@dataclass(frozen=True)
class Window:
    messages: Messages
    source: Source
    degraded: list[str]
    refill: list[WindowEntry] | None = None  # what Redis should hold from now on

    @property
    def stores(self) -> list[str]:
        """Redis if it answered, even if it had nothing."""
        return ["redis"] if self.source == "redis" or self.refill is not None else []


@dataclass(frozen=True)
class CachedWindow:
    """The window in Redis; `entries` of None is a miss."""

    entries: Sequence[WindowEntry] | None
    degraded: list[str]


def seal_entries(
    tenant_id: UUID, session_id: UUID, key: DataKeyMaterial, messages: Sequence[dict[str, Any]]
) -> list[WindowEntry]:
    """The newest messages as Redis may hold them, sealed under the key of the session's content."""
    aad = _aad(tenant_id, session_id)
    return [
        WindowEntry(message["position"], crypto.seal(msgspec.msgpack.encode(message), key=key, aad=aad))
        for message in messages[-settings.WINDOW_SIZE :]
    ]


def announce(tenant_id: UUID, session_id: UUID) -> None:
    """Wake the session's listeners. Best effort: they also poll."""
    _attempt("announce", lambda redis: redis.wake(WindowKey(tenant_id, session_id)))


def forget(tenant_id: UUID, session_id: UUID) -> None:
    """Drop a window; its session's epoch has been raised, so that it is ignored even if this fails."""
    key = WindowKey(tenant_id, session_id)
    writer.flush(key)  # a later push would bring it back
    _attempt("forget", lambda redis: redis.forget(key))


def read_window(
    *, session: Session, limit: int = 20, max_tokens: int | None = None, include_system: bool = False
) -> Window:
    """The last `limit` messages, oldest first, within `max_tokens` (newest kept).

    A tool's result whose call was cut off is left out with it. System and developer messages count only when
    asked for. Opens a tenant scope of its own, after Redis has answered.
    """
    cached = look_up_window(session, limit)
    with tenant_scope(session.tenant_id):
        window = open_window(session, cached, limit, max_tokens=max_tokens, include_system=include_system)
        shown = with_processing(session.tenant_id, window.messages)
    keep_window(session, window)
    return replace(window, messages=shown)


def look_up_window(session: Session, limit: int) -> CachedWindow:
    """What Redis holds. To be asked while no transaction is open."""
    return CachedWindow(*_ask_redis(session, limit))


def open_window(
    session: Session,
    cached: CachedWindow,
    limit: int,
    *,
    max_tokens: int | None = None,
    include_system: bool = False,
) -> Window:
    """The window, without `processing`; from PostgreSQL what Redis did not have. Runs inside a tenant scope."""
    messages = _opened(session, cached.entries, limit, include_system)
    source: Source = "postgresql" if messages is None else "redis"
    refill: list[WindowEntry] | None = None
    if messages is None:
        messages, refill = _from_postgresql(session, limit, include_system)
    chosen = _without_orphans(_within(messages, max_tokens))
    return Window(chosen, source, cached.degraded, None if cached.degraded else refill)


def keep_window(session: Session, window: Window) -> None:
    """Refill Redis after a miss. After the transaction; best effort."""
    if window.refill is not None:
        _refill(session, window.refill)


def estimate_tokens(content: Any) -> int:
    """About how many tokens of a language model a content costs; a wide character (Chinese) counts as one."""
    text = content if isinstance(content, str) else " ".join(part["text"] for part in content)
    wide = sum(1 for character in text if character > "\u2e7f")
    return wide + math.ceil((len(text) - wide) / CHARACTERS_PER_TOKEN) + TOKENS_PER_MESSAGE


def _ask_redis(session: Session, limit: int) -> tuple[Sequence[WindowEntry] | None, list[str]]:
    """What Redis holds of the session, whole up to its last position; None is a miss."""
    redis = window_store()
    if redis is None or limit > settings.WINDOW_SIZE or not session.message_count:
        return None, []
    wanted = min(settings.WINDOW_SIZE, session.message_count)
    if not writer.flush(_key(session)):
        return None, ["redis"]
    try:
        return redis.read(_key(session), session.epoch, session.last_position, wanted), []
    except StoreUnavailable:
        return None, ["redis"]


def _opened(
    session: Session, entries: Sequence[WindowEntry] | None, limit: int, include_system: bool
) -> Messages | None:
    """The entries' messages if they are enough and none can have expired, else None."""
    if entries is None:
        return None
    aad = _aad(session.tenant_id, session.id)
    try:
        packed = keyring.unseal_many(session.tenant_id, [(entry.sealed, aad) for entry in entries])
        messages: Messages = [msgspec.msgpack.decode(one) for one in packed]
    except (KeyDestroyed, SealBroken, msgspec.DecodeError):
        return None
    shown = [m for m in messages if include_system or _is_spoken(m)]
    if len(shown) < limit and len(messages) < session.message_count:
        return None
    # Near the end of its life a message is judged by PostgreSQL, to the microsecond.
    surely_alive = lifecycle().expiry(session.tenant_id).surely_alive_since(ids.now())
    if any(message["created_at"] <= surely_alive for message in shown):
        return None
    return shown[-limit:]


def _from_postgresql(
    session: Session, limit: int, include_system: bool
) -> tuple[Messages, list[WindowEntry] | None]:
    """The window, and what Redis should hold from now on."""
    latest = last_messages(session, max(limit, settings.WINDOW_SIZE), include_system=True)
    shown = [m for m in latest if include_system or _is_spoken(m)]
    if len(shown) < limit and len(latest) < session.message_count:
        shown = last_messages(session, limit, include_system=False)
    if window_store() is None:
        return shown[-limit:], None
    key = keyring.sealing_key(session.tenant_id, *key_owner(session.customer_id, session.id))
    return shown[-limit:], seal_entries(session.tenant_id, session.id, key, latest)


def _refill(session: Session, entries: Sequence[WindowEntry]) -> None:
    complete = len(entries) >= session.message_count
    _attempt(
        "refill",
        lambda redis: redis.refill(
            _key(session), session.epoch, session.last_position, entries, complete=complete
        ),
    )


def _attempt(what: str, work: Any) -> None:
    redis = window_store()
    if redis is None:
        return
    try:
        work(redis)
    except StoreUnavailable as error:
        log.info("window.not_written", step=what, reason=error.reason)


def _key(session: Session) -> WindowKey:
    return WindowKey(session.tenant_id, session.id)


def _aad(tenant_id: UUID, session_id: UUID) -> bytes:
    return crypto.row_aad(tenant_id, "window", "entry", session_id)


def _is_spoken(message: dict[str, Any]) -> bool:
    return message["role"] not in (Role.SYSTEM, Role.DEVELOPER)


def _within(messages: Messages, max_tokens: int | None) -> Messages:
    """The newest messages that fit the budget."""
    if max_tokens is None:
        return messages
    kept = 0
    used = 0
    for message in reversed(messages):
        used += estimate_tokens(message["content"])
        if used > max_tokens:
            break
        kept += 1
    return messages[len(messages) - kept :]


def _without_orphans(messages: Messages) -> Messages:
    """Without leading tool results whose call was cut off, which models refuse."""
    start = 0
    while start < len(messages) and messages[start]["role"] == Role.TOOL:
        start += 1
    return messages[start:]
