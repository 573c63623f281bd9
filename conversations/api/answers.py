"""JSON responses by msgspec, and entity tags for conditional requests."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse

from conversations import strict_json
from conversations.exceptions import PreconditionFailed
from conversations.services.idempotency import Shown

CONTENT_TYPE = "application/json"


class Answer(HttpResponse):
    """A JSON response that knows whose data it shows, in case an idempotency key replays it."""

    shown: Shown | None = None


def answer(
    data: Any, status: int = 200, *, headers: Mapping[str, str] | None = None, shown: Shown | None = None
) -> Answer:
    """`data` (structs, dataclasses, dicts) as JSON. `shown` matters to handlers declared `idempotent`."""
    response = Answer(strict_json.encode(data), content_type=CONTENT_TYPE, status=status, headers=headers)
    response.shown = shown
    return response


def no_content() -> HttpResponse:
    return HttpResponse(status=204)


def etag(version: int | str) -> str:
    """The strong entity tag of a version."""
    return f'"{version}"'


def check_if_match(request: HttpRequest, current: int | str | None) -> None:
    """PreconditionFailed when `If-Match` names another version. `current` None: there is no object yet."""
    header = request.META.get("HTTP_IF_MATCH")
    if header is None:
        return
    named = {tag.strip() for tag in header.split(",")}
    if current is None or not named & {"*", etag(current)}:
        raise PreconditionFailed
