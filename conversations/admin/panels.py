"""What the other apps add to the pages of the core: panels about a customer, and what needs attention."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from conversations.models import Customer
from conversations.staff.rights import Right


@dataclass(frozen=True)
class Panel:
    """A part of a customer's page: a template, and what it is rendered with."""

    template: str
    read: Callable[[Customer], dict[str, Any]]


@dataclass(frozen=True)
class HomePanel:
    """A part of the home page, read for a tenant."""

    template: str
    read: Callable[[UUID], dict[str, Any]]


@dataclass(frozen=True)
class Attention:
    """Something that waits for a person. Urgent entries come first."""

    text: str
    count: int
    url: str
    urgent: bool = False


@dataclass(frozen=True)
class Watch:
    """Looks for what needs attention, for people with the right."""

    right: Right
    look: Callable[[UUID], Iterable[Attention]]


# Each in the order in which it is shown.
customer_panels: list[Panel] = []
home_panels: list[HomePanel] = []
watches: list[Watch] = []


def rendered(customer: Customer) -> list[dict[str, Any]]:
    return [{"template": panel.template, **panel.read(customer)} for panel in customer_panels]


def attention(tenant_id: UUID, may: Callable[[Right], bool]) -> list[Attention]:
    """Everything that needs attention, urgent entries first."""
    found = [item for watch in watches if may(watch.right) for item in watch.look(tenant_id)]
    return sorted((item for item in found if item.count), key=lambda item: not item.urgent)
