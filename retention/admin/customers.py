"""Customers: found by id or by an identifier, with everything that is held about each."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from conversations.admin import panels
from conversations.admin.fields import ReasonField
from conversations.admin.pages import Page
from conversations.admin.paging import newest_first
from conversations.exceptions import Invalid, NotFound
from conversations.models import Customer, Session
from conversations.ports import Target
from conversations.services.customers import find_customer
from conversations.services.holdings import count_records
from conversations.services.masking import Masker
from conversations.staff.rights import Right
from retention.models import ErasureCase, LegalHold
from retention.presenters import hold_state
from retention.services.finding import find_person

SESSIONS = 20  # shown on a customer's page


class FindForm(forms.Form):
    """Sent as a POST, so that identifiers of people appear in no URL and no log."""

    customer = forms.CharField(
        label="Customer",
        max_length=255,
        widget=forms.TextInput(attrs={"type": "search"}),
        help_text="Their id, or an e-mail address, phone, card or identity number, however it is written.",
    )
    reason = ReasonField(required=False, help_text="Required for a search by anything other than the id.")


class Customers(Page):
    title = "Customers"
    template_name = "admin/customers.html"

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        page = newest_first(Customer.objects.for_tenant(self.tenant_id), self.request.GET)
        shown = {"form": FindForm(), "slice": page, "rows": _named(self.tenant_id, page.rows)}
        return super().get_context_data(**{**shown, **context})

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        form = FindForm(request.POST)
        found: dict[str, Any] = {}
        if form.is_valid():
            found = self._find(form)
        status = 200 if found else 400
        return self.render_to_response(
            self.get_context_data(form=form, slice=None, rows=[], **found), status=status
        )

    def _find(self, form: FindForm) -> dict[str, Any]:
        """Find customers by id; anything that is not an id is searched as an identifier."""
        given, reason = form.cleaned_data["customer"].strip(), form.cleaned_data["reason"]
        customer = find_customer(self.tenant_id, given)
        if customer is not None and not reason:
            return {"found": {"customers": _named(self.tenant_id, [customer])}}
        self.require(Right.FIND)
        try:
            mentions = find_person(
                tenant_id=self.tenant_id, identifier=given, reason=reason, actor=self.actor
            )
        except Invalid as error:
            for problem in error.errors:
                form.add_error("reason" if problem.field == "reason" else "customer", problem.detail)
            return {}
        people = {one.id: one for one in (*mentions.customers, *([customer] if customer else []))}
        return {"found": {"customers": _named(self.tenant_id, list(people.values())), "mentions": mentions}}


class CustomerPage(Page):
    """Everything that is held about one person. Every holding is asked in a second request."""

    title = "Customer"
    template_name = "admin/customer.html"

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        customer = Customer.objects.for_tenant(self.tenant_id).filter(id=self.kwargs["customer_id"]).first()
        if customer is None:
            raise NotFound
        masker = Masker(self.tenant_id)
        sessions = Session.objects.for_tenant(self.tenant_id).live().filter(customer=customer).order_by("-id")
        return super().get_context_data(
            customer=customer,
            heading=masker.text(customer.external_id) or "Erased customer",
            sessions=list(sessions[: SESSIONS + 1]),
            most_sessions=SESSIONS,
            metadata=masker.value(customer.metadata),
            counts=_counts(customer) if "held" in self.request.GET else None,
            panels=panels.rendered(customer),
            holds=[(hold, hold_state(hold)) for hold in _holds(customer)],
            erasures=ErasureCase.objects.for_tenant(self.tenant_id).filter(customer_id=customer.id),
            parent={"url": reverse("admin:customers"), "title": "Customers"},
            **context,
        )


def _named(tenant_id: Any, customers: Any) -> list[dict[str, Any]]:
    masker = Masker(tenant_id)
    return [{"customer": one, "name": masker.text(one.external_id)} for one in customers]


def _holds(customer: Customer) -> Any:
    """Holds that name this customer; holds on the whole tenant are on the page of holds."""
    return LegalHold.objects.for_tenant(customer.tenant_id).filter(customer_id=customer.id).order_by("-id")


def _counts(customer: Customer) -> dict[str, int]:
    """What each holding has of them."""
    target = Target(customer_id=customer.id)
    counts = count_records(customer.tenant_id, target)
    return {name: count for name, count in counts.items() if count}
