"""Asks the web server, as the real one does."""

from urllib.request import urlopen

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Asks the web server, as the real one does."""

    def add_arguments(self, parser):
        parser.add_argument("--url")

    def handle(self, **options):
        with urlopen(options["url"] + "/notes") as answer:
            self.stdout.write(f"demo sees {answer.read().decode()} notes")
