"""The portrait and the counters of a customer, for their page in the back office."""

from typing import Any

from conversations.admin.panels import Panel, customer_panels
from conversations.models import Customer, Message
from conversations.services.masking import Masker
from portraits import presenters
from portraits.services.storage import read_portrait
from portraits.services.summaries import read_summary


def read_panel(customer: Customer) -> dict[str, Any]:
    """The portrait, masked, with links to the evidence behind each trait; and the counters."""
    tenant_id, masker = customer.tenant_id, Masker(customer.tenant_id)
    state = read_portrait(tenant_id, customer).state
    traits = [presenters.trait(trait) for trait in state.traits]
    evidence = _evidence(customer, {source for trait in traits for source in trait["source_message_ids"]})
    return {
        "preferences": masker.value({name: one.value for name, one in state.preferences.items()}),
        "traits": [
            {
                **trait,
                "value": masker.value(trait["value"]),
                "evidence": [evidence[i] for i in trait["source_message_ids"] if i in evidence],
            }
            for trait in traits
        ],
        "sentiment": state.sentiment_score,
        "trend": state.sentiment_trend,
        "summary": masker.text(state.summary.text) if state.summary else "",
        "counters": presenters.interactions(read_summary(tenant_id, customer)),
    }


def _evidence(customer: Customer, message_ids: set[Any]) -> dict[Any, Any]:
    rows = Message.objects.for_tenant(customer.tenant_id).live().filter(id__in=message_ids)
    return {row.id: row for row in rows.only("id", "session_id", "position")}


customer_panels.append(Panel("admin/portrait.html", read_panel))
