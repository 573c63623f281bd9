"""Legal holds: placed by one person, released by two."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.urls import reverse

from conversations.admin.fields import ReasonField, UuidsField
from conversations.admin.pages import ActionPage, Page
from conversations.admin.paging import identifier, newest_first
from conversations.admin.selection import SelectionPage
from conversations.exceptions import NotFound
from conversations.models import Customer
from conversations.services.masking import Masker
from conversations.services.messages.reading import external_ids
from conversations.staff.rights import Right
from retention.models import LegalHold
from retention.presenters import hold_state
from retention.services.held_records import read_held_records
from retention.services.holds import HoldScope, place_hold, release_hold

COVERED = 50  # records shown at once
MOST_SESSIONS = 200  # holds placed at once


class Holds(Page):
    title = "Holds"
    template_name = "admin/holds.html"

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        page = newest_first(LegalHold.objects.for_tenant(self.tenant_id), self.request.GET)
        return super().get_context_data(slice=page, rows=shown_holds(self.tenant_id, page.rows), **context)


class HoldForm(forms.Form):
    """What is frozen, and for which matter. The last two fields are filled in by the page one came from."""

    matter = forms.CharField(label="Matter", max_length=300)
    reason = ReasonField()
    customer = forms.CharField(
        label="Customer",
        required=False,
        max_length=255,
        help_text="Their id in your own systems. Without a customer and without days the hold covers everything.",
    )
    start = forms.DateField(label="From", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    end = forms.DateField(label="Until", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    customer_key = forms.UUIDField(required=False, widget=forms.HiddenInput)
    session = UuidsField(required=False, most=MOST_SESSIONS)

    def clean(self) -> dict[str, Any] | None:
        given = super().clean()
        if given is not None and (given.get("session") or given.get("customer_key")):
            given["customer"] = ""
        return given


class PlaceHold(SelectionPage):
    title = "Place hold"
    template_name = "admin/place_hold.html"
    right = Right.HOLD
    form_class = HoldForm

    def get_initial(self) -> dict[str, Any]:
        query = self.request.GET
        return {
            "customer_key": identifier(query, "customer"),
            "session": query.getlist("session"),
            "start": query.get("start"),
            "end": query.get("end"),
        }

    def get_form(self, data: Any = None) -> forms.Form:
        form = super().get_form(data)
        if any(form["customer_key"].value() or form["session"].value() or ()):
            del form.fields["customer"]
        return form

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        form = context["form"]
        return super().get_context_data(
            sessions=len(form["session"].value() or ()),
            customer_name=self._customer_name(form["customer_key"].value()),
            parent={"url": reverse("admin:holds"), "title": "Holds"},
            **context,
        )

    def act(self, given: dict[str, Any]) -> str:
        holds = [
            place_hold(
                tenant_id=self.tenant_id,
                scope=scope,
                matter=given["matter"],
                reason=given["reason"],
                actor=self.actor,
            )
            for scope in self._scopes(given)
        ]
        placed = "The hold is in force." if len(holds) == 1 else f"{len(holds)} holds are in force."
        messages.success(self.request, placed)
        return reverse("admin:hold", args=[holds[0].id]) if len(holds) == 1 else reverse("admin:holds")

    def _scopes(self, given: dict[str, Any]) -> Sequence[HoldScope]:
        start, end = given["start"], given["end"]
        span: dict[str, Any] = {
            "start_time": start and _midnight(start),
            "end_time": end and _midnight(end + timedelta(days=1)),
        }
        if given["session"]:
            return [HoldScope(session_id=session_id, **span) for session_id in given["session"]]
        customer = given.get("customer") or self._external_id(given["customer_key"])
        return [HoldScope(customer_id=customer, **span)]

    def _external_id(self, customer_id: UUID | None) -> str | None:
        if customer_id is None:
            return None
        external_id = external_ids(self.tenant_id, [customer_id]).get(customer_id)
        if external_id is None:
            raise NotFound
        return external_id

    def _customer_name(self, customer_id: Any) -> str:
        found = (
            Customer.objects.for_tenant(self.tenant_id).filter(id=customer_id).first()
            if customer_id
            else None
        )
        return Masker(self.tenant_id).text(found.external_id) if found else ""


class ReleaseForm(forms.Form):
    reason = ReasonField()


class HoldPage(ActionPage):
    """A hold, what it covers, and its release."""

    title = "Hold"
    template_name = "admin/hold.html"
    form_class = ReleaseForm

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        hold = self._hold()
        records = read_held_records(hold, limit=COVERED + 1, older_than=identifier(self.request.GET, "older"))
        return super().get_context_data(
            hold=shown_holds(self.tenant_id, [hold])[0],
            asked_for_release=hold.release_requested_by == self.actor.name,
            records=records[:COVERED],
            older=f"?older={records[COVERED - 1].id}" if len(records) > COVERED else "",
            parent={"url": reverse("admin:holds"), "title": "Holds"},
            heading=hold.matter,
            **context,
        )

    def act(self, given: dict[str, Any]) -> str:
        self.require(Right.HOLD)
        hold = release_hold(
            tenant_id=self.tenant_id, hold_id=self.kwargs["hold_id"], reason=given["reason"], actor=self.actor
        )
        if hold.released_at is None:
            messages.success(self.request, "The release is requested. Another person has to grant it.")
        else:
            messages.success(
                self.request, "The hold is released. It stays in effect until its grace period is over."
            )
        return reverse("admin:hold", args=[hold.id])

    def _hold(self) -> LegalHold:
        hold = LegalHold.objects.for_tenant(self.tenant_id).filter(id=self.kwargs["hold_id"]).first()
        if hold is None:
            raise NotFound
        return hold


def shown_holds(tenant_id: UUID, holds: Sequence[LegalHold]) -> list[dict[str, Any]]:
    """Holds with their states and with masked names of customers."""
    customers = external_ids(tenant_id, {hold.customer_id for hold in holds})
    masker = Masker(tenant_id)
    return [
        {"hold": hold, "state": hold_state(hold), "customer": masker.text(customers.get(hold.customer_id))}
        for hold in holds
    ]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
