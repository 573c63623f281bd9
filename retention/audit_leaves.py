"""The leaf data of audit events, which is hashed: canonical JSON (RFC 8785) with the tenant and the sequence number.

    leaf hash = SHA-256(0x00 || leaf data)                       RFC 6962, section 2.1

The row that keeps a leaf hash is authenticated too: its id is a MAC over its other columns, which only the
installation's key makes. So an event that was rewritten together with its hash is detected, row by row.
"""

import hmac
from typing import Any, Literal

import msgspec

from conversations.canonical import NotCanonical, canonical

_LARGEST = 2**53 - 1  # the integers that every reader of JSON reads alike

# As text, where PostgreSQL writes it faster than Python would. `leaf_data` unpacks it in this order.
EVENT_SQL = """e.action, e.actor, e.actor_kind,
    to_char(e.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    e.details::text, e.id::text, e.object_id, e.object_type, e.outcome, e.request_id"""


class _Leaf(msgspec.Struct):
    """Fields in the order of their names, which is the canonical one."""

    action: str
    actor: str
    actor_kind: str
    at: str
    details: msgspec.Raw
    id: str
    object: Literal["audit_event"]
    object_id: str | None
    object_type: str
    outcome: str
    request_id: str | None
    sequence: int
    tenant: str


_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.decode
_EMPTY = msgspec.Raw(b"{}")


def leaf_data(tenant: str, sequence: int, event: tuple[Any, ...]) -> bytes:
    """The bytes whose hash is in the tree; `event` is a row of `EVENT_SQL`, `tenant` its id."""
    action, actor, actor_kind, at, details, event_id, object_id, object_type, outcome, request_id = event
    return _encode(
        _Leaf(
            action,
            actor,
            actor_kind,
            at,
            _EMPTY if details == "{}" else msgspec.Raw(_canonical_details(details)),
            event_id,
            "audit_event",
            object_id,
            object_type,
            outcome,
            request_id,
            sequence,
            tenant,
        )
    )


def leaf_mac(key: bytes, tenant: bytes, sequence: int, event: bytes, leaf_hash: bytes) -> bytes:
    """The 16 bytes of the id of the row that keeps this leaf hash; only the installation's key makes them."""
    mac = bytearray(hmac.digest(key, tenant + sequence.to_bytes(8) + event + leaf_hash, "sha256")[:16])
    mac[6] = mac[6] & 0x0F | 0x80  # UUIDv8: the layout is ours (RFC 9562, 5.8)
    mac[8] = mac[8] & 0x3F | 0x80
    return bytes(mac)


def _canonical_details(text: str) -> bytes:
    """JSON text as PostgreSQL keeps it, in canonical form. Twenty times faster where nothing is out of the ordinary."""
    try:
        value = _decode(text)
        return _encode_sorted(value) if _is_plain(value) else canonical(_readable(value))
    except (msgspec.MsgspecError, NotCanonical, RecursionError):
        return canonical(text)  # as a string: no detail, however odd, may prevent sealing


def _is_plain(value: Any) -> bool:
    """Whether sorting by code points and writing integers as they are is already canonical."""
    if value is None or isinstance(value, str | bool):
        return True
    if isinstance(value, int):
        return -_LARGEST <= value <= _LARGEST
    if isinstance(value, dict):
        return all(key.isascii() and _is_plain(member) for key, member in value.items())
    return isinstance(value, list) and all(map(_is_plain, value))


def _readable(value: Any) -> Any:
    """Integers that canonical JSON does not know, as text."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST:
        return str(value)
    if isinstance(value, dict):
        return {key: _readable(member) for key, member in value.items()}
    return [_readable(member) for member in value] if isinstance(value, list) else value
