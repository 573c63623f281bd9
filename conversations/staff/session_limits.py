"""When a session ends by itself: after a time without use, or at its maximum age."""

from datetime import datetime, timedelta

from django.conf import settings
from django.http import HttpRequest
from django.utils.dateparse import parse_datetime

from conversations import ids

SIGNED_IN, SEEN = "signed_in_at", "seen_at"  # in the session
_STEP = timedelta(minutes=1)  # how often a use is written down


def begin(request: HttpRequest) -> None:
    request.session[SIGNED_IN] = request.session[SEEN] = ids.now().isoformat()


def over(request: HttpRequest) -> str:
    """Why the session ends with this request; empty while it continues."""
    now = ids.now()
    signed_in, seen = _at(request, SIGNED_IN), _at(request, SEEN)
    if now >= signed_in + timedelta(seconds=settings.SESSION_COOKIE_AGE):
        return "You were signed out: the session reached its maximum length."
    if now >= seen + settings.SESSION_IDLE:
        return "You were signed out after a time without activity."
    if now >= seen + _STEP and not _refreshes_itself(request):
        request.session[SEEN] = now.isoformat()
    return ""


def is_fresh(request: HttpRequest, span: timedelta) -> bool:
    """Whether the person has signed in within that span."""
    return ids.now() < _at(request, SIGNED_IN) + span


def _refreshes_itself(request: HttpRequest) -> bool:
    """A page that polls its progress is not a person at work."""
    return request.method == "GET" and "HX-Request" in request.headers


def _at(request: HttpRequest, name: str) -> datetime:
    """A session that does not say when it began has lasted too long already."""
    found = parse_datetime(request.session.get(name, ""))
    return found if found is not None else datetime.min.replace(tzinfo=ids.now().tzinfo)
