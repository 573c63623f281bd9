"""People: back office accounts, their groups, and regaining access."""

from typing import Any

from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import messages
from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from conversations.admin.pages import ActionPage, Page, refusals_in
from conversations.exceptions import NotFound
from conversations.models import Staff
from conversations.services.accounts.staff import (
    create_staff,
    renew_password,
    set_rights_of_group,
    update_staff,
)
from conversations.staff.rights import APP, MEANINGS, Right


class People(Page):
    title = "People"
    template_name = "admin/people.html"
    right = Right.PEOPLE

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        people = (
            Staff.objects.filter(tenant=self.request.tenant).prefetch_related("groups").order_by("username")
        )
        factors = set(Authenticator.objects.filter(user__in=people).values_list("user_id", flat=True))
        return super().get_context_data(
            people=[{"person": one, "has_factor": one.pk in factors} for one in people], **context
        )


class NewPersonForm(forms.Form):
    username = forms.CharField(label="Username", max_length=150)
    group = forms.ModelChoiceField(Group.objects.order_by("name"), label="Group", empty_label=None)


class NewPerson(ActionPage):
    """A colleague of this tenant. The password is shown once, in the answer that made it."""

    title = "New person"
    template_name = "admin/new_person.html"
    right = Right.PEOPLE
    form_class = NewPersonForm

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        form = NewPersonForm(request.POST)
        made = None
        if form.is_valid():
            with refusals_in(form):
                made = create_staff(
                    username=form.cleaned_data["username"],
                    tenant=self.request.tenant,
                    group=form.cleaned_data["group"].name,
                    actor=self.actor,
                )
        status = 200 if made else 400
        return self.render_to_response(self.get_context_data(form=form, made=made), status=status)

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        parent = {"url": reverse("admin:people"), "title": "People"}
        return super().get_context_data(parent=parent, meanings=_groups(), **context)


class PersonForm(forms.Form):
    first_name = forms.CharField(label="First name", required=False, max_length=150)
    last_name = forms.CharField(label="Last name", required=False, max_length=150)
    email = forms.EmailField(label="E-mail", required=False)
    groups = forms.ModelMultipleChoiceField(
        Group.objects.order_by("name"),
        label="Groups",
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    is_active = forms.BooleanField(
        label="May sign in", required=False, help_text="People are never deleted: the audit trail names them."
    )


class PersonPage(Page):
    right = Right.PEOPLE

    def person(self) -> Staff:
        """A person of this tenant; not found for any other."""
        found = Staff.objects.filter(tenant=self.request.tenant, pk=self.kwargs["person_id"]).first()
        if found is None:
            raise NotFound
        return found


class Person(ActionPage, PersonPage):
    title = "Person"
    template_name = "admin/person.html"
    form_class = PersonForm
    done = "Saved."

    def get_initial(self) -> dict[str, Any]:
        person = self.person()
        names = ("first_name", "last_name", "email", "is_active")
        return {**{name: getattr(person, name) for name in names}, "groups": person.groups.all()}

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        person = self.person()
        return super().get_context_data(
            person=person,
            factors=Authenticator.objects.filter(user=person).order_by("created_at"),
            heading=person.username,
            parent={"url": reverse("admin:people"), "title": "People"},
            **context,
        )

    def act(self, given: dict[str, Any]) -> str:
        groups = given.pop("groups")
        update_staff(person=self.person(), fields=given, groups=list(groups), actor=self.actor)
        return reverse("admin:people")


class NewPassword(PersonPage):
    title = "New password"
    template_name = "admin/new_password.html"
    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        person = self.person()
        password = renew_password(person=person, actor=self.actor)
        parent = {"url": reverse("admin:people"), "title": "People"}
        return self.render_to_response(self.get_context_data(person=person, password=password, parent=parent))


class RemoveFactors(PersonPage):
    """For somebody who has lost their phone: at the next sign-in they set up another one."""

    title = "Second factors"
    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        person = self.person()
        Authenticator.objects.filter(user=person).delete()
        self.record_about(person, "staff.factors_removed")
        messages.success(request, "Removed. They have to set up a new one when they sign in.")
        return HttpResponseRedirect(reverse("admin:person", args=[person.pk]))


class Groups(Page):
    """The rights of each group. All tenants share the groups, so only a platform administrator changes them."""

    title = "Groups"
    template_name = "admin/groups.html"
    right = Right.PEOPLE

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        return super().get_context_data(
            groups=_groups(),
            rights=[(right.value, MEANINGS[right]) for right in Right],
            may_change=self._may_change(),
            parent={"url": reverse("admin:people"), "title": "People"},
            **context,
        )

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not self._may_change():
            self.refuse()
        for group in Group.objects.all():
            given = set(request.POST.getlist(f"group-{group.pk}"))
            rights = [right for right in Right if right.value in given]
            set_rights_of_group(group=group, rights=rights, tenant_id=self.tenant_id, actor=self.actor)
        messages.success(request, "Saved.")
        return HttpResponseRedirect(reverse("admin:groups"))

    def _may_change(self) -> bool:
        return self.request.user.is_superuser and self.request.user.tenant_id is None


def _groups() -> list[dict[str, Any]]:
    """Each group with what it may do."""
    known = {right.value for right in Right}
    groups = Group.objects.prefetch_related("permissions__content_type").order_by("pk")
    return [
        {
            "group": group,
            "rights": {
                permission.codename
                for permission in group.permissions.all()
                if permission.content_type.app_label == APP and permission.codename in known
            },
        }
        for group in groups
    ]
