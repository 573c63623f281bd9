"""The customer's preferences and portrait as parts of a context, both from one statement."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef
from django.db.models.functions import JSONObject

from conversations.models import Customer
from conversations.ports import ContextRequest
from conversations.services.customers import is_forgotten
from portraits import presenters, prompts
from portraits.counters import Interactions
from portraits.models import CurrentSummary
from portraits.portrayal import Portrayal
from portraits.services.shown import KIND, trait_id
from portraits.services.storage import read_portrait_row
from portraits.services.summaries import read_summary
from portraits.state import FROM_CONVERSATIONS, State

PREFERENCES, PORTRAIT = "preferences", "portrait"


@dataclass(frozen=True)
class CustomerKnowledge:
    """What an agent is shown of a customer."""

    portrayal: Portrayal
    counted: Interactions


class PreferencesPart:
    """`conversations.ports.ContextPart`."""

    name = PREFERENCES

    def fetch(self, request: ContextRequest) -> Mapping[str, Any]:
        known = _read(request)
        preferences = known.portrayal.state.preferences if known else {}
        return {PREFERENCES: {name: one.value for name, one in preferences.items()}}

    def render(self, fields: Mapping[str, Any]) -> str:
        return prompts.render_preferences(fields[PREFERENCES])

    def shown(self, request: ContextRequest, fields: Mapping[str, Any]) -> Iterable[tuple[str, UUID]]:
        """As traits: an agent that repeats a preference has not found out anything."""
        return _ids(request, fields[PREFERENCES].items())


class PortraitPart:
    """`conversations.ports.ContextPart`. Null for a session without a customer."""

    name = PORTRAIT

    def fetch(self, request: ContextRequest) -> Mapping[str, Any]:
        known = _read(request)
        if known is None:
            return {PORTRAIT: None}
        shown = presenters.portrayal(known.portrayal, request.now)
        return {PORTRAIT: {**shown, "interactions": presenters.interactions(known.counted)}}

    def render(self, fields: Mapping[str, Any]) -> str:
        return prompts.render_portrait(fields[PORTRAIT])

    def shown(self, request: ContextRequest, fields: Mapping[str, Any]) -> Iterable[tuple[str, UUID]]:
        if fields[PORTRAIT] is None:
            return ()
        said = [(trait["name"], trait["value"]) for trait in fields[PORTRAIT]["traits"]]
        bought = fields[PORTRAIT]["purchase_history"].get(FROM_CONVERSATIONS, ())
        return _ids(request, [*said, *(("", one["value"]) for one in bought)])


def _read(request: ContextRequest) -> CustomerKnowledge | None:
    if request.customer_id is None:
        return None
    if PORTRAIT not in request.read:
        request.read[PORTRAIT] = _read_knowledge(request.tenant_id, request.customer_id)
    known: CustomerKnowledge | None = request.read[PORTRAIT]
    return known


def _read_knowledge(tenant_id: UUID, customer_id: UUID) -> CustomerKnowledge | None:
    """None for somebody of whom nothing may be shown any more."""
    counted = CurrentSummary.objects.for_tenant(tenant_id).filter(customer_id=OuterRef("customer_id"))
    counters = JSONObject(**{name: name for name in Interactions.__struct_fields__})
    found = read_portrait_row(tenant_id, customer_id, counted=ArraySubquery(counted.values(json=counters)))
    if found is None:
        # Nothing is known about them yet.
        customer = Customer.objects.for_tenant(tenant_id).get(id=customer_id)
        return CustomerKnowledge(Portrayal(customer, State()), read_summary(tenant_id, customer))
    portrayal, row = found
    if is_forgotten(portrayal.customer):
        return None
    return CustomerKnowledge(portrayal, msgspec.convert(next(iter(row.counted), {}), Interactions))


def _ids(request: ContextRequest, said: Iterable[tuple[str, Any]]) -> list[tuple[str, UUID]]:
    if request.customer_id is None:
        return []
    return [(KIND, trait_id(request.tenant_id, request.customer_id, name, value)) for name, value in said]
