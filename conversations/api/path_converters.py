"""Path converters: our ids, and external ids of customers, percent-encoded."""

from django.urls import register_converter
from django.urls.converters import UUIDConverter


class IdConverter(UUIDConverter):
    """A UUID in either case, as RFC 9562 has it read; Django's own converter takes lower case only."""

    regex = UUIDConverter.regex.replace("a-f", "a-fA-F")


class CustomerIdConverter:
    """Whatever characters the id has. WSGI servers decode a path before they hand it over, so an id's own `/` cannot
    be told from the path's.

    Routes are matched in order: those with something behind the id come before the bare one.
    """

    regex = "(?s:.+)"

    def to_python(self, value: str) -> str:
        if "\x00" in value:
            raise ValueError("not an external id")
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(IdConverter, "id")
register_converter(CustomerIdConverter, "customer")
