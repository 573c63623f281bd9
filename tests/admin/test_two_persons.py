"""What takes two people is offered to the second only, and what each of them said is kept."""

from collections.abc import Callable

from django.test import Client

from conversations.models import Tenant
from conversations.principals import SYSTEM
from retention.services.holds import HoldScope, place_hold


def test_whoever_asked_for_a_release_is_not_asked_to_grant_it(
    tenant: Tenant, signed_in: Callable[..., Client]
) -> None:
    hold = place_hold(tenant_id=tenant.id, scope=HoldScope(), matter="m", reason="r", actor=SYSTEM)
    page = f"/admin/holds/{hold.id}/"
    dora, emil = signed_in("dora"), signed_in("emil")

    dora.post(page, {"reason": "it is settled"})

    asked = dora.get(page).content.decode()
    assert "You requested the release." in asked
    assert ">Release</button>" not in asked
    assert ">Release</button>" in emil.get(page).content.decode()

    emil.post(page, {"reason": "the court agrees"})

    released = emil.get(page).content.decode()
    assert "it is settled" in released
    assert "the court agrees" in released
