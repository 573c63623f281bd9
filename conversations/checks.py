"""Start-up checks, each with a number: settings under which this installation could not keep its promises."""

from collections.abc import Sequence
from typing import Any

import phonenumbers
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError, connections

from conversations.crypto import MasterKeys
from conversations.ports import registry
from conversations.signing import InvalidKey, SigningKey

WEAK_SECRET = 32  # characters
ROLES = {"default": "app", "ops": "ops"}


def register_checks() -> None:
    """Called once the apps are ready."""
    register(check_keys, Tags.security)
    register(check_exposure, Tags.security)
    register(check_region, Tags.security)
    register(check_ports)
    register(check_database_roles, Tags.database)


def check_keys(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    try:
        MasterKeys.parse(settings.MASTER_KEYS)
    except ValueError as error:
        found.append(Error(f"MASTER_KEYS cannot be read: {error}.", hint=_NEW_MASTER, id="remembrancer.E001"))
    try:
        SigningKey.from_seed(settings.SIGNING_KEY)
    except InvalidKey:
        found.append(
            Error(
                "SIGNING_KEY is not the base64 of 32 bytes.",
                hint="openssl rand -base64 32",
                id="remembrancer.E002",
            )
        )
    if len(settings.SECRET_KEY) < WEAK_SECRET or settings.SECRET_KEY.startswith("django-insecure"):
        found.append(Error("SECRET_KEY is too weak.", hint="openssl rand -base64 48", id="remembrancer.E003"))
    return found


def check_exposure(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if "*" not in settings.ALLOWED_HOSTS:
        return []
    return [Error("ALLOWED_HOSTS accepts any host.", hint="Name your hosts.", id="remembrancer.E004")]


def cautions() -> list[CheckMessage]:
    """What `doctor` warns of. Not registered: every command would print it each time."""
    found: list[CheckMessage] = []
    if settings.DEBUG:
        found.append(Warning("DEBUG is on: errors show settings and code.", id="remembrancer.W001"))
    if not settings.BROKER_URL:
        found.append(
            Warning(
                "There is no broker: nothing is mirrored or purged automatically.",
                hint="Set REDIS_URL, or run drain_mirror and purge yourself.",
                id="remembrancer.W002",
            )
        )
    return found


def check_region(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Of a region that nobody knows, phone numbers without a country code would pass unseen."""
    if settings.PII_REGION in phonenumbers.SUPPORTED_REGIONS:
        return []
    return [
        Error("PII_REGION is no region.", hint="Two capital letters, such as SG.", id="remembrancer.E009")
    ]


def check_ports(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The core needs a retention law; without one, nothing would ever expire."""
    if registry.lifecycle is None:
        return [
            Error(
                "No Lifecycle is registered.",
                hint="INSTALLED_APPS needs `retention`.",
                id="remembrancer.E005",
            )
        ]
    return []


def check_database_roles(
    app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Refuses a request role that row-level security would not bind."""
    found: list[CheckMessage] = []
    for alias in set(databases or ()) & set(ROLES):
        try:
            found += [Error(problem, id=number) for number, problem in role_problems(alias)]
        except DatabaseError:
            return found  # an unreachable database is not unsafe: readiness reports it
    return found


def role_problems(alias: str) -> list[tuple[str, str]]:
    """(number, sentence) for each way in which the alias's role could see more than it may."""
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT r.rolname, r.rolsuper, r.rolbypassrls, "
            "(SELECT count(*) FROM pg_class c WHERE c.relowner = r.oid) FROM pg_roles r WHERE r.rolname = current_user"
        )
        name, is_superuser, bypasses, owned = cursor.fetchone()
    problems = []
    if is_superuser:
        problems.append(("remembrancer.E006", f"The database role {name} is a superuser."))
    if bypasses:
        problems.append(("remembrancer.E007", f"The database role {name} has BYPASSRLS."))
    if owned:
        problems.append(("remembrancer.E008", f"The database role {name} owns {owned} relations."))
    return problems


_NEW_MASTER = 'echo "m1:$(openssl rand -base64 32)"'
