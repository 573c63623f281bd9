"""The retention policy: what is in force, the preview of a change, and its approval by a second person."""

from functools import cached_property
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from conversations import ids
from conversations.admin.cached import read_cached
from conversations.admin.charts import BarChart, bar_chart
from conversations.admin.pages import ActionPage, Page, refusals_in
from conversations.exceptions import Conflict
from conversations.services import audit
from conversations.staff.rights import Right
from retention.admin.periods import PeriodField
from retention.admin.samples import MOST_COUNTED, read_samples
from retention.endings import in_words
from retention.enums import ArchiveMode, PolicyState, RecordClass
from retention.models import RetentionPolicy
from retention.policies import Policy, check_policy, shortens
from retention.services.calendar import coming_endings
from retention.services.policies import (
    PolicyVersion,
    approve_policy,
    put_policy,
    read_policies,
    state_of,
    to_policy,
)
from retention.services.purges.runs import preview

_MODES = (
    (ArchiveMode.SEALED, "Sealed: the originals, encrypted"),
    (ArchiveMode.SCRUBBED, "Scrubbed: without what identifies people"),
    (ArchiveMode.NONE, "None: messages are destroyed"),
)


VERSIONS = 5  # shown of the history; the audit has them all


class PolicyForm(forms.Form):
    """A whole policy."""

    messages = PeriodField(label="Messages", help_text="Then they are archived, or destroyed.")
    summaries = PeriodField(label="Summaries and portraits", help_text="From the last interaction.")
    archive = PeriodField(
        label="Archive",
        help_text="From when the message was sent. Applies to the audit trail and receipts too.",
    )
    archive_mode = forms.ChoiceField(label="What the archive keeps", choices=_MODES)
    legal_minimum = PeriodField(
        label="Legal minimum",
        may_be_nothing=True,
        help_text="Until it is over, not even an erasure destroys anything.",
    )
    legal_basis = forms.CharField(
        label="Basis", required=False, max_length=500, help_text="The law that requires it."
    )
    zone = forms.CharField(
        label="Time zone", max_length=64, help_text="The time zone in which days are counted."
    )

    def policy(self) -> Policy:
        given = self.cleaned_data
        return Policy(**{**given, "archive_mode": ArchiveMode(given["archive_mode"])})

    def clean(self) -> dict[str, Any] | None:
        given = super().clean()
        if given is not None and not self.errors:
            for problem in check_policy(self.policy()):
                field = {"timezone": "zone"}.get(problem.field, problem.field)
                self.add_error(field if field in self.fields else None, problem.detail)
        return given


class Retention(ActionPage):
    """The policy editor."""

    title = "Retention"
    template_name = "admin/retention.html"
    form_class = PolicyForm

    def get_initial(self) -> dict[str, Any]:
        current, pending = self._policies
        policy = (pending or current).policy
        return {name: getattr(policy, name) for name in PolicyForm.base_fields}

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        current, pending = self._policies
        return super().get_context_data(
            current=_shown(current),
            pending=pending and _shown(pending),
            may_approve=pending is not None
            and pending.state is PolicyState.PROPOSED
            and pending.proposed_by != self.actor.name,
            calendar=calendar_chart(self.tenant_id, current.policy),
            versions=self._versions(),
            **context,
        )

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if "preview" in request.POST:
            return self._preview(request)
        self.require(Right.POLICY)
        return super().post(request, *args, **kwargs)

    def act(self, given: dict[str, Any]) -> str:
        policy = Policy(**{**given, "archive_mode": ArchiveMode(given["archive_mode"])})
        version = put_policy(tenant_id=self.tenant_id, policy=policy, actor=self.actor)
        if version.state is PolicyState.PROPOSED:
            messages.warning(
                self.request, "Proposed. Something would end earlier: another person has to approve it."
            )
        else:
            messages.success(self.request, f"Version {version.policy.version} is in force.")
        return reverse("admin:retention")

    def _preview(self, request: HttpRequest) -> HttpResponse:
        """What the policy in the form would end now, beside what the one in force would."""
        form = self.get_form(request.POST)
        shown: dict[str, Any] = {}
        if form.is_valid():
            with refusals_in(form):
                shown = self._compared(form.policy())
        status = 200 if form.is_valid() or "HX-Request" in request.headers else 400
        return self.render_to_response(self.get_context_data(form=form, **shown), status=status)

    def _compared(self, policy: Policy) -> dict[str, Any]:
        audit.record(
            tenant_id=self.tenant_id,
            actor=self.actor,
            action="retention.previewed",
            object_type="retention_policy",
        )
        current = self._policies[0].policy
        now = preview(tenant_id=self.tenant_id, policy=current, most=MOST_COUNTED)
        changed = tuple(c for c in RecordClass if _law_of(c, current) != _law_of(c, policy))
        judged = preview(tenant_id=self.tenant_id, policy=policy, classes=changed, most=MOST_COUNTED)
        anew = {one.record_class: one for one in judged}
        then = [anew.get(one.record_class, one) for one in now]
        return {
            "previews": [{"now": before, "then": after} for before, after in zip(now, then, strict=True)],
            "samples": read_samples(self.tenant_id, then),
            "most": f"{MOST_COUNTED:,}",
            "shortens": shortens(current, policy),
        }

    @cached_property
    def _policies(self) -> tuple[PolicyVersion, PolicyVersion | None]:
        return read_policies(self.tenant_id)

    def _versions(self) -> list[dict[str, Any]]:
        now = ids.now()
        rows = RetentionPolicy.objects.for_tenant(self.tenant_id).order_by("-version")[:VERSIONS]
        return [
            {"row": row, "state": state_of(row, now), "messages": in_words(to_policy(row).messages)}
            for row in rows
        ]


class ApprovePolicy(Page):
    """The second person's button."""

    title = "Approve"
    right = Right.POLICY
    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            version = approve_policy(tenant_id=self.tenant_id, version=kwargs["version"], actor=self.actor)
        except Conflict as error:
            messages.error(request, error.detail)
        else:
            messages.success(
                request, f"Approved. It takes effect on {version.takes_effect_at:%Y-%m-%d %H:%M} UTC."
            )
        return HttpResponseRedirect(reverse("admin:retention"))


def calendar_chart(tenant_id: UUID, policy: Policy) -> BarChart:
    """The coming weeks, for this page and for the home page."""
    name = f"calendar:{policy.messages}:{policy.zone}"
    days = read_cached(name, tenant_id, lambda: coming_endings(tenant_id, policy)).value
    return bar_chart("Messages that reach their end", [(f"{day.on:%Y-%m-%d}", day.messages) for day in days])


def _law_of(record_class: RecordClass, policy: Policy) -> tuple[object, ...]:
    """What of a policy decides about a class."""
    return policy.period(record_class), policy.legal_minimum, policy.archive_mode, policy.zone


def _shown(version: PolicyVersion) -> dict[str, Any]:
    policy = version.policy
    return {
        "version": version,
        "facts": [
            ("Messages", in_words(policy.messages)),
            ("Summaries and portraits", in_words(policy.summaries)),
            ("Archive", in_words(policy.archive)),
            ("What the archive keeps", policy.archive_mode.label.lower()),
            ("Legal minimum", f"{in_words(policy.legal_minimum)}" if policy.legal_minimum else "none"),
            ("Basis", policy.legal_basis or "–"),
            ("Time zone", policy.zone),
        ],
    }
