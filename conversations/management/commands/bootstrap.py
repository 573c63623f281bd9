import secrets
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandParser

from conversations.enums import Scope
from conversations.exceptions import NotFound
from conversations.models import Staff, Tenant
from conversations.services.api_keys import create_key
from conversations.services.tenants import create_tenant, get_tenant

ADMIN = "admin"
TENANT = "default"


class Command(BaseCommand):
    help = "Makes the first administrator, tenant and API key; again: a new key, and a password if none was ever used."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, json: bool, **options: Any) -> None:
        issued = create_key(tenant=_tenant(), scopes=Scope.values, person=ADMIN)
        made = {
            "admin_username": ADMIN,
            "admin_password": _password(),
            "tenant": TENANT,
            "api_key": issued.key,
        }
        if json:
            self.stdout.write(msgspec.json.encode(made).decode())
        else:
            self.stdout.write("\n".join(f"{name}: {value}" for name, value in made.items()))


def _tenant() -> Tenant:
    try:
        return get_tenant(TENANT)
    except NotFound:
        return create_tenant(name=TENANT)


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
