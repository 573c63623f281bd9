"""Makes the first admin, once."""

import json

from django.core.management.base import BaseCommand
from django.db import connection


class Command(BaseCommand):
    """Makes the first admin, once."""

    def add_arguments(self, parser):
        parser.add_argument("--json", action="store_true")

    def handle(self, **options):
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO note SELECT 'made' WHERE NOT EXISTS (SELECT FROM note) RETURNING text"
            )
            is_new = cursor.fetchone() is not None
        made = (
            {"admin_username": "admin", "admin_password": "once", "tenant": "main", "api_key": "k"}
            if is_new
            else {}
        )
        self.stdout.write(json.dumps(made))
