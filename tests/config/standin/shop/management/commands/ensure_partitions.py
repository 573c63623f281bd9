"""Makes the one table."""

from django.core.management.base import BaseCommand
from django.db import connection


class Command(BaseCommand):
    """Makes the one table."""

    def handle(self, **options):
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS note (text text)")
        self.stdout.write("words that are no JSON")
