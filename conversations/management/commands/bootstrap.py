import secrets
from pathlib import Path
from typing import Any

import msgspec
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from conversations.enums import Scope
from conversations.exceptions import NotFound, Unauthenticated
from conversations.models import Staff, Tenant
from conversations.services.accounts.api_keys import authenticate, create_key
from conversations.services.accounts.tenants import create_tenant, get_tenant

ADMIN = "admin"
TENANT = "default"


class Command(BaseCommand):
    help = "Creates the first administrator, tenant and API key. Idempotent: it keeps a key and a password in use."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, json: bool, **options: Any) -> None:
        made = {
            "admin_username": ADMIN,
            "admin_password": _password(),
            "tenant": TENANT,
            "api_key": _kept_key() or create_key(tenant=_tenant(), scopes=Scope.values, person=ADMIN).key,
        }
        if json:
            self.stdout.write(msgspec.json.encode(made).decode())
        else:
            self.stdout.write("\n".join(f"{name}: {value or 'as it was'}" for name, value in made.items()))


def _tenant() -> Tenant:
    try:
        return get_tenant(TENANT)
    except NotFound:
        return create_tenant(name=TENANT)


def _kept_key() -> str | None:
    """The key of an earlier start, if it is in force: otherwise each start would leave one more behind."""
    file = Path(settings.DATA_DIR) / "credentials.json"
    kept = msgspec.json.decode(file.read_bytes()).get("api_key") if file.exists() else None
    try:
        if kept:
            authenticate(kept)
    except Unauthenticated:
        return None
    return kept


def _password() -> str | None:
    """A one-time password for the administrator; None for one who has signed in before."""
    admin = Staff.objects.using("ops").filter(username=ADMIN).first()
    if admin is not None and admin.last_login is not None:
        return None
    password = secrets.token_urlsafe(12)
    admin = admin or Staff(username=ADMIN, is_staff=True, is_superuser=True)
    admin.set_password(password)
    admin.save(using="ops")
    return password
