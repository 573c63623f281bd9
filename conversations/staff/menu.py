"""The menu: the top-level pages, in the order in which an officer uses them."""

from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from conversations.staff.rights import Right


@dataclass(frozen=True)
class Entry:
    title: str
    icon: str  # a name of Material Symbols
    route: str  # a name below `admin:`
    right: Right | None = Right.READ


@dataclass(frozen=True)
class Link:
    title: str
    icon: str
    url: str
    is_current: bool


ENTRIES = (
    Entry("Home", "home", "index", None),
    Entry("Conversations", "forum", "conversations"),
    Entry("Customers", "group", "customers"),
    Entry("Retention", "event_repeat", "retention"),
    Entry("Purge runs", "auto_delete", "purge-runs"),
    Entry("Archive", "inventory_2", "archive"),
    Entry("Holds", "gavel", "holds"),
    Entry("Erasures", "person_off", "erasures"),
    Entry("Verify receipt", "verified", "verify-receipt", None),
    Entry("Audit", "history_edu", "audit", Right.AUDIT),
    Entry("Operations", "monitor_heart", "operations", Right.OPERATE),
    Entry("People", "badge", "people", Right.PEOPLE),
)


def menu(request: HttpRequest) -> list[Link]:
    """What this person may open."""
    return [
        Link(entry.title, entry.icon, url, _is_current(request.path, url))
        for entry in ENTRIES
        if (entry.right is None or request.user.has_perm(entry.right.permission))
        and (url := _url(entry.route))
    ]


def _url(route: str) -> str:
    try:
        return reverse(f"admin:{route}")
    except NoReverseMatch:
        return ""


def _is_current(path: str, url: str) -> bool:
    return path == url if url == reverse("admin:index") else path.startswith(url)
