"""API keys: `rmb_<12 characters to look up>_<43 of secret><6 of checksum>`, shown once."""

import hashlib
import hmac
import secrets
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from conversations import ids
from conversations.enums import Scope
from conversations.exceptions import Conflict, Invalid, NotFound, Unauthenticated
from conversations.models import ApiKey, Tenant
from conversations.principals import SYSTEM, Actor, Principal
from conversations.services import audit
from conversations.tenancy import tenant_scope
from conversations.timed_cache import TimedCache

PREFIX = "rmb"
LIFETIME = 5.0  # seconds a verified key is cached: the time in which a revocation takes effect
TOUCH_INTERVAL = timedelta(minutes=1)

_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789"


@dataclass(frozen=True)
class IssuedKey:
    """A new key with its secret, for the one moment it can be shown."""

    id: UUID
    key: str


def create_key(
    *,
    tenant: Tenant,
    scopes: list[str],
    person: str | None = None,
    expires_at: datetime | None = None,
    actor: Actor = SYSTEM,
) -> IssuedKey:
    """Issue a key to a person. Several may be valid at once, so that one can be replaced without downtime."""
    unknown = sorted(set(scopes) - set(Scope.values))
    if unknown or not scopes:
        raise Invalid.field(
            "scopes", f"Scopes are {', '.join(Scope.values)}; not {', '.join(unknown) or 'none'}."
        )
    now = ids.now()
    if expires_at is not None and expires_at <= now:
        raise Invalid.field("expires_at", "A key cannot expire in the past.")
    lookup = "".join(secrets.choice(_ALPHABET) for _ in range(12))
    secret = secrets.token_urlsafe(32)
    row = ApiKey(
        id=ids.new_id(now),
        created_at=now,
        tenant_id=tenant.id,
        lookup=lookup,
        digest=_digest(secret),
        scopes=sorted(set(scopes)),
        expires_at=expires_at,
    )
    row.person = person or str(row.id)
    with tenant_scope(tenant.id):
        row.save(force_insert=True)
        audit.record(
            tenant_id=tenant.id,
            actor=actor,
            action="api_key.created",
            object_type="api_key",
            object_id=row.id,
            details={"scopes": row.scopes, "person": row.person},
        )
    return IssuedKey(row.id, _format(lookup, secret))


def revoke_key(*, key_id: UUID, actor: Actor = SYSTEM) -> None:
    """Revoke a key, everywhere within `LIFETIME` seconds; NotFound, or Conflict when it is already revoked."""
    row = ApiKey.objects.using("ops").filter(id=key_id).first()
    if row is None:
        raise NotFound("There is no such key.")
    with tenant_scope(row.tenant_id):
        changed = (
            ApiKey.objects.for_tenant(row.tenant_id)
            .filter(id=key_id, revoked_at__isnull=True)
            .update(revoked_at=ids.now())
        )
        if not changed:
            raise Conflict("The key is already revoked.")
        audit.record(
            tenant_id=row.tenant_id,
            actor=actor,
            action="api_key.revoked",
            object_type="api_key",
            object_id=key_id,
        )
    _verified.clear()


def authenticate(token: str) -> Principal:
    """Who holds this key; Unauthenticated when it is unknown, altered, revoked or expired."""
    verified = _verified.get(token)
    if verified is not None:
        return verified
    lookup, secret = _parse(token)
    row = _look_up(lookup)
    # Compared in constant time, and also when there is no row, so that timing does not tell which it was.
    matches = hmac.compare_digest(row.digest if row else bytes(32), _digest(secret))
    now = ids.now()
    if row is None or not matches or row.revoked_at is not None or (row.expires_at and row.expires_at <= now):
        raise Unauthenticated()
    principal = Principal(row.tenant_id, row.id, row.person, frozenset(Scope(s) for s in row.scopes))
    seconds = LIFETIME if row.expires_at is None else min(LIFETIME, (row.expires_at - now).total_seconds())
    _verified.put(token, principal, seconds)
    if row.last_used_at is None or now - row.last_used_at > TOUCH_INTERVAL:
        _touch(row, now)
    return principal


@dataclass(frozen=True)
class _Row:
    id: UUID
    tenant_id: UUID
    digest: bytes
    person: str
    scopes: list[str]
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


_verified: TimedCache[str, Principal] = TimedCache()


def _look_up(lookup: str) -> _Row | None:
    columns = "id, tenant_id, digest, person, scopes, expires_at, revoked_at, last_used_at"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM api_key_lookup(%s)", [lookup])
        row = cursor.fetchone()
    return _Row(row[0], row[1], bytes(row[2]), *row[3:]) if row else None


def _touch(row: _Row, now: datetime) -> None:
    with tenant_scope(row.tenant_id):
        ApiKey.objects.for_tenant(row.tenant_id).filter(id=row.id).update(last_used_at=now)


def _format(lookup: str, secret: str) -> str:
    return f"{PREFIX}_{lookup}_{secret}{_checksum(lookup + secret)}"


def _parse(token: str) -> tuple[str, str]:
    """The look-up part and the secret; refuses truncated or mistyped keys before the database is asked."""
    prefix, _, rest = token.partition("_")
    lookup, _, tail = rest.partition("_")
    secret, checksum = tail[:-6], tail[-6:]
    if prefix != PREFIX or len(lookup) != 12 or not token.isascii() or _checksum(lookup + secret) != checksum:
        raise Unauthenticated()
    return lookup, secret


def _checksum(text: str) -> str:
    value = zlib.crc32(text.encode())
    digits = []
    for _ in range(6):
        value, digit = divmod(value, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
