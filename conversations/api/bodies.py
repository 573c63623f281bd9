"""Reading request bodies: bounded, JSON in UTF-8 only, decoded strictly into a declared struct."""

from contextlib import suppress
from typing import TypeVar

from django.conf import settings
from django.http import HttpRequest
from django.http.request import UnreadablePostError

from conversations import strict_json
from conversations.exceptions import MalformedJSON, TooLarge, UnsupportedMediaType

T = TypeVar("T")

# How much more than a body may have is taken from a client before the answer; a connection is closed on what is left.
_DISCARDED = 4
_CHUNK = 64 * 1024

MEDIA_TYPES = frozenset({"application/json", "application/merge-patch+json"})


def decode_body(request: HttpRequest, kind: type[T], *, optional: bool = False) -> T:
    """The body decoded as `kind`. With `optional`, an absent body counts as `{}`."""
    body = read_body(request)
    if body:
        _check_media_type(request)
    elif optional:
        body = b"{}"
    return strict_json.decode(body, kind, max_depth=settings.MAX_DEPTH)


def read_body(request: HttpRequest) -> bytes:
    """The whole body, read once and never more than `MAX_BODY` bytes of it."""
    if hasattr(request, "_body"):
        return request.body
    limit: int = settings.MAX_BODY
    announced = _announced_length(request)
    if announced is not None and announced > limit:
        _discard(request, min(announced, _DISCARDED * limit))
        raise TooLarge(f"A body may have at most {limit} bytes.")
    body = request.body if announced is not None else _read_chunked(request, limit)
    if announced is not None and len(body) < announced:
        raise MalformedJSON("The body ended before its Content-Length.")
    if len(body) > limit:
        raise TooLarge(f"A body may have at most {limit} bytes.")
    request._body = body
    return body


def _announced_length(request: HttpRequest) -> int | None:
    """None: no Content-Length. Django would take what it cannot read as 0 and answer for an empty body."""
    header = request.META.get("CONTENT_LENGTH")
    if header in (None, ""):
        return None
    if not (str(header).isascii() and str(header).isdigit()):
        raise MalformedJSON("Content-Length is not a number.")
    return int(header)


def _read_chunked(request: HttpRequest, limit: int) -> bytes:
    """Django reads nothing without a Content-Length; servers that end the stream themselves say so."""
    if not request.META.get("wsgi.input_terminated"):
        return b""
    try:
        return bytes(request.META["wsgi.input"].read(limit + 1))
    except OSError as error:
        raise UnreadablePostError(*error.args) from error


def _discard(request: HttpRequest, size: int) -> None:
    """Take what the client sends and keep nothing: many clients read no answer before they have sent everything."""
    with suppress(OSError):
        while size > 0 and (chunk := request.META["wsgi.input"].read(min(size, _CHUNK))):
            size -= len(chunk)


def _check_media_type(request: HttpRequest) -> None:
    if request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType("Send the body without Content-Encoding.")
    media_type, _, parameters = request.META.get("CONTENT_TYPE", "").partition(";")
    if media_type.strip().lower() not in MEDIA_TYPES:
        raise UnsupportedMediaType
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in ("utf-8", "utf8"):
            raise UnsupportedMediaType
