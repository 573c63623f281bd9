"""What officers should notice first: overdue work, and decisions that wait for a person."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Q
from django.urls import reverse

from conversations import ids
from conversations.admin.panels import Attention
from retention.admin.policies import calendar_chart
from retention.enums import CaseState, ExportState, PolicyState, RunState
from retention.models import ErasureCase, ExportJob, LegalHold, PurgeRun
from retention.services.policies import policy_in_force, read_policies
from retention.services.storage import read_storage

SOON = timedelta(days=7)
OPEN = (CaseState.EXECUTING, CaseState.MIRRORS_PENDING)


def watch_promises(tenant_id: UUID) -> Iterator[Attention]:
    """For everybody who may read."""
    now, erasures = ids.now(), reverse("admin:erasures")
    cases = (
        ErasureCase.objects.for_tenant(tenant_id)
        .exclude(state=CaseState.VERIFIED)
        .aggregate(
            late=Count("id", filter=Q(state__in=OPEN, due_at__lte=now)),
            soon=Count("id", filter=Q(state__in=OPEN, due_at__gt=now, due_at__lte=now + SOON)),
            open=Count("id", filter=Q(state__in=OPEN, due_at__gt=now + SOON)),
            failing=Count("id", filter=~Q(last_error="")),
        )
    )
    yield Attention("Erasures overdue", cases["late"], erasures, urgent=True)
    yield Attention("Erasures due within a week", cases["soon"], erasures, urgent=True)
    yield Attention("Erasures being retried after a failure", cases["failing"], erasures)
    yield Attention("Erasures that stores have not confirmed yet", cases["open"], erasures)
    runs = PurgeRun.objects.for_tenant(tenant_id).filter(
        Q(state=RunState.STOPPED) | Q(state=RunState.FAILED, finished_at__gt=now - SOON)
    )
    states = list(runs.values_list("state", flat=True)[:100])
    page = reverse("admin:purge-runs")
    yield Attention(
        "Purge runs stopped: they need confirmation", states.count(RunState.STOPPED), page, urgent=True
    )
    yield Attention("Purge runs failed in the last week", states.count(RunState.FAILED), page, urgent=True)
    holds = LegalHold.objects.for_tenant(tenant_id).aggregate(
        asked=Count("id", filter=Q(release_requested_at__isnull=False, released_at__isnull=True)),
        ending=Count("id", filter=Q(grace_until__gt=now, grace_until__lte=now + SOON)),
    )
    yield Attention("Hold releases waiting for a second person", holds["asked"], reverse("admin:holds"))
    yield Attention(
        "Released holds whose grace period ends within a week", holds["ending"], reverse("admin:holds")
    )
    _, pending = read_policies(tenant_id)
    proposed = pending is not None and pending.state is PolicyState.PROPOSED
    yield Attention(
        "Policy waiting for a second person's approval", int(proposed), reverse("admin:retention")
    )


def watch_exports(tenant_id: UUID) -> Iterator[Attention]:
    now, page = ids.now(), reverse("admin:exports")
    jobs = (
        ExportJob.objects.for_tenant(tenant_id)
        .filter(expires_at__gt=now)
        .aggregate(
            pending=Count("id", filter=Q(state=ExportState.PENDING)),
            failed=Count("id", filter=Q(state=ExportState.FAILED)),
            ready=Count("id", filter=Q(state=ExportState.DONE, expires_at__lte=now + timedelta(days=1))),
        )
    )
    yield Attention("Exports failed", jobs["failed"], page, urgent=True)
    yield Attention("Exports in progress", jobs["pending"], page)
    yield Attention("Exports that expire within a day", jobs["ready"], page)


def read_calendar(tenant_id: UUID) -> dict[str, Any]:
    return {"chart": calendar_chart(tenant_id, policy_in_force(tenant_id, ids.now()))}


def read_classes(tenant_id: UUID) -> dict[str, Any]:
    return {"classes": read_storage(tenant_id)}
