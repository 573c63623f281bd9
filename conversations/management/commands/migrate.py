"""Django's `migrate`, run as the database's owner, with the three roles made first and granted afterwards."""

from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands.migrate import Command as Migrate
from django.db import DatabaseError, connections

from conversations.roles import ROLES, ensure_roles, grant_global_tables


class Command(Migrate):
    help = "Creates the roles, brings the schema up to date as owner, and grants what is not a tenant's."

    def handle(self, *args: Any, **options: Any) -> None:
        options["database"] = "owner"
        try:
            ensure_roles(connections["owner"])
        except DatabaseError as error:
            roles = ", ".join(ROLES)
            raise CommandError(
                f"The roles {roles} could not be made: {error}\n"
                "docs/operations.md has the SQL for a database administrator."
            ) from error
        super().handle(*args, **options)
        grant_global_tables(connections["owner"])
