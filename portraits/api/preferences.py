"""`/customers/{id}/preferences`: whole, and one key at a time."""

from typing import Any

from django.http import HttpResponse

from conversations.api.answers import answer, no_content
from conversations.api.operations import operation
from conversations.api.views import TenantView
from conversations.enums import Scope
from conversations.exceptions import NotFound
from portraits import presenters
from portraits.api.shapes import PreferenceOut, PreferencesOut
from portraits.inputs import PreferenceIn, PreferencesIn
from portraits.portrayal import Portrayal
from portraits.services import preferences
from portraits.services.portraits import get_portrait


class Preferences(TenantView):
    @operation(Scope.READ, answers={200: PreferencesOut})
    def get(self, customer_id: str) -> HttpResponse:
        """Get a customer's preferences."""
        return answer(_whole(get_portrait(self.principal.tenant_id, customer_id)))

    @operation(Scope.WRITE, body=PreferencesIn, answers={200: PreferencesOut})
    def put(self, body: PreferencesIn, customer_id: str) -> HttpResponse:
        """Replace all of a customer's preferences."""
        portrayal = preferences.replace_preferences(
            tenant_id=self.principal.tenant_id, external_id=customer_id, values=body.preferences
        )
        return answer(_whole(portrayal))

    @operation(Scope.WRITE, answers={204: None})
    def delete(self, customer_id: str) -> HttpResponse:
        """Delete all of a customer's preferences."""
        preferences.delete_preferences(tenant_id=self.principal.tenant_id, external_id=customer_id)
        return no_content()


class OnePreference(TenantView):
    @operation(Scope.READ, answers={200: PreferenceOut})
    def get(self, customer_id: str, key: str) -> HttpResponse:
        """Get one of a customer's preferences."""
        return answer(_one(get_portrait(self.principal.tenant_id, customer_id), key))

    @operation(Scope.WRITE, body=PreferenceIn, answers={200: PreferenceOut})
    def put(self, body: PreferenceIn, customer_id: str, key: str) -> HttpResponse:
        """Set one of a customer's preferences."""
        portrayal = preferences.set_preference(
            tenant_id=self.principal.tenant_id, external_id=customer_id, key=key, value=body.value
        )
        return answer(_one(portrayal, key))

    @operation(Scope.WRITE, answers={204: None})
    def delete(self, customer_id: str, key: str) -> HttpResponse:
        """Delete one of a customer's preferences."""
        preferences.delete_preference(tenant_id=self.principal.tenant_id, external_id=customer_id, key=key)
        return no_content()


def _whole(portrayal: Portrayal) -> dict[str, Any]:
    return {
        "object": "preferences",
        "customer_id": portrayal.customer.external_id,
        "preferences": {name: one.value for name, one in portrayal.state.preferences.items()},
        "created_at": portrayal.preferences_created_at,
        "updated_at": portrayal.preferences_updated_at,
    }


def _one(portrayal: Portrayal, key: str) -> dict[str, Any]:
    one = portrayal.state.preferences.get(key)
    if one is None:
        raise NotFound
    return presenters.preference(key, one)
