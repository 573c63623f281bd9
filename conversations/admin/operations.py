"""Operations: stores, mirrors, keys and jobs, for whoever keeps the system running."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from conversations import ids
from conversations.admin.pages import ActionPage, Page
from conversations.enums import Entity, Scope, Sink
from conversations.exceptions import Conflict, NotFound
from conversations.models import ApiKey, MirrorSink
from conversations.services.accounts.api_keys import create_key, revoke_key
from conversations.services.accounts.tenants import all_tenants
from conversations.services.keys.ages import read_key_ages
from conversations.services.mirrors.checks import latest_checks
from conversations.services.mirrors.parked import parked_events, retry_parked
from conversations.services.mirrors.status import mirror_status
from conversations.services.operations.readiness import read_readiness
from conversations.staff.rights import Right
from conversations.tasks import check_mirrors


class Operations(Page):
    title = "Operations"
    template_name = "admin/operations.html"
    right = Right.OPERATE

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        is_platform = self.request.user.tenant_id is None
        return super().get_context_data(
            stores=read_readiness().stores,
            sinks=[(Sink(sink.id).label, sink) for sink in MirrorSink.objects.order_by("id")],
            mirror=mirror_status(self.tenant_id),
            parked=[
                {"event": event, "sink": Sink(event.sink).label, "entity": _entity(event.entity)}
                for event in parked_events(self.tenant_id)
            ],
            checks=latest_checks(self.tenant_id),
            keys=read_key_ages(self.tenant_id),
            tenants=all_tenants() if is_platform else (),
            **context,
        )


class RetryParked(Page):
    title = "Retry"
    right = Right.OPERATE
    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        count = retry_parked(tenant_id=self.tenant_id, actor=self.actor)
        messages.success(request, f"{count} parked item{'' if count == 1 else 's'} will be tried again.")
        return HttpResponseRedirect(reverse("admin:operations"))


class CheckMirrors(Page):
    """Asks a worker to compare, and to repair if wanted; the result appears on the page."""

    title = "Verify"
    right = Right.OPERATE
    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        check_mirrors.delay_on_commit(
            str(self.tenant_id), self.request.user.username, repair="repair" in request.POST
        )
        messages.success(
            request, "A worker is comparing the stores with PostgreSQL. Reload the page in a few seconds."
        )
        return HttpResponseRedirect(reverse("admin:operations"))


class KeyForm(forms.Form):
    person = forms.CharField(
        label="Person",
        max_length=200,
        help_text="The person the key is issued to, as the audit trail names them.",
    )
    scopes = forms.MultipleChoiceField(
        label="Scopes", choices=Scope.choices, widget=forms.CheckboxSelectMultiple
    )
    days = forms.IntegerField(label="Expires after days", required=False, min_value=1, max_value=3650)


class ApiKeys(ActionPage):
    """Keys of agents. A new secret is shown once, in the answer that made it, and stored nowhere."""

    title = "API keys"
    template_name = "admin/api_keys.html"
    right = None
    form_class = KeyForm

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if not self.may(Right.OPERATE):
            self.require(Right.PEOPLE)
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        parent = {"url": reverse("admin:operations"), "title": "Operations"}
        return super().get_context_data(
            keys=ApiKey.objects.for_tenant(self.tenant_id).order_by("-id"),
            now=ids.now(),
            parent=parent if self.may(Right.OPERATE) else None,
            **context,
        )

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        form = KeyForm(request.POST)
        if not form.is_valid():
            return self.render_to_response(self.get_context_data(form=form), status=400)
        days = form.cleaned_data["days"]
        issued = create_key(
            tenant=self.request.tenant,
            scopes=form.cleaned_data["scopes"],
            person=form.cleaned_data["person"],
            expires_at=ids.now() + timedelta(days=days) if days else None,
            actor=self.actor,
        )
        return self.render_to_response(self.get_context_data(form=KeyForm(), issued=issued))


class RevokeKey(ApiKeys):
    title = "Revoke"
    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        key = ApiKey.objects.for_tenant(self.tenant_id).filter(id=kwargs["key_id"]).first()
        if key is None:
            raise NotFound
        try:
            revoke_key(key_id=key.id, actor=self.actor)
        except Conflict as error:
            messages.warning(request, error.detail)
        else:
            messages.success(request, "Revoked. It stops working everywhere within five seconds.")
        return HttpResponseRedirect(reverse("admin:api-keys"))


def _entity(number: int) -> str:
    return Entity(number).label if number in Entity.values else str(number)
