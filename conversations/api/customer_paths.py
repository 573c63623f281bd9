"""Customers in paths: by their own external id, percent-encoded, with whatever characters it has."""

from django.urls import register_converter


class CustomerIdConverter:
    """WSGI servers decode a path before they hand it over, so an id's own `/` cannot be told from the path's.

    Routes are matched in order: those with something behind the id come before the bare one.
    """

    regex = "(?s:.+)"

    def to_python(self, value: str) -> str:
        if "\x00" in value:
            raise ValueError("not an external id")
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(CustomerIdConverter, "customer")
