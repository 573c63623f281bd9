"""The base classes of every page of the back office."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, NoReturn
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.generic import TemplateView

from conversations.exceptions import Invalid, NotFound, Refused
from conversations.models import Staff, Tenant
from conversations.principals import Actor
from conversations.services import audit
from conversations.staff.people import actor_of
from conversations.staff.rights import Right
from conversations.staff.site import BackOffice


class StaffRequest(HttpRequest):
    """A request that has passed the middleware of the back office."""

    user: Staff
    tenant: Tenant


class Page(TemplateView):
    """A page with a title, for people with a right, in the scope of the current tenant."""

    site: BackOffice = None  # type: ignore[assignment]  # given by the site
    request: StaffRequest
    title: ClassVar[str]
    right: ClassVar[Right | None] = Right.READ

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        self.require(self.right)
        try:
            return super().dispatch(request, *args, **kwargs)
        except NotFound as error:
            raise Http404(error.detail) from error

    @property
    def tenant_id(self) -> UUID:
        return self.request.tenant.id

    @property
    def actor(self) -> Actor:
        return actor_of(self.request.user)

    def may(self, right: Right | None) -> bool:
        return right is None or self.request.user.has_perm(right.permission)

    def require(self, right: Right | None) -> None:
        if not self.may(right):
            raise PermissionDenied

    def refuse(self) -> NoReturn:
        raise PermissionDenied

    def record_about(self, person: Staff, action: str, **details: Any) -> None:
        """An event about somebody of the back office."""
        audit.record(
            tenant_id=self.tenant_id,
            actor=self.actor,
            action=action,
            object_type="staff",
            object_id=person.pk,
            details=details,
        )

    def get_title(self) -> str:
        return self.title

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        base = self.site.each_context(self.request)
        rights = {right.value: self.may(right) for right in Right}
        return {**base, "title": self.get_title(), "may": rights, **super().get_context_data(**context)}


class ActionPage(Page):
    """A page with one form whose button calls one service. A refusal is shown in the form, and nothing has changed."""

    form_class: type[forms.Form]
    done: ClassVar[str] = ""

    def act(self, given: dict[str, Any]) -> str:
        """Call the service; returns the URL to go to next."""
        raise NotImplementedError

    def get_initial(self) -> dict[str, Any]:
        return {}

    def get_form(self, data: Any = None) -> forms.Form:
        return self.form_class(data, initial=self.get_initial())

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=self.get_form(), **kwargs))

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        form = self.get_form(request.POST)
        if form.is_valid():
            with refusals_in(form):
                target = self.act(form.cleaned_data)
            if form.is_valid():
                if self.done:
                    messages.success(request, self.done)
                return HttpResponseRedirect(target)
        return self.render_to_response(self.get_context_data(form=form, **kwargs), status=400)


@contextmanager
def refusals_in(form: forms.Form) -> Iterator[None]:
    """Turn the refusal of a service into a form error, and roll back what it had written."""
    try:
        with transaction.atomic():
            yield
    except Invalid as error:
        for problem in error.errors:
            form.add_error(problem.field if problem.field in form.fields else None, problem.detail)
        if not error.errors:
            form.add_error(None, error.detail)
    except NotFound:
        raise
    except Refused as error:
        form.add_error(None, error.detail)
