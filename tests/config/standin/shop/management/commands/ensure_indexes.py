"""Fails as it does when a store is away."""

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    """Fails as it does when a store is away."""

    def handle(self, **options):
        raise CommandError("a store is away")
