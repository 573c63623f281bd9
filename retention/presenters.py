"""Retention's rows as the API shows them and commands print them."""

from typing import Any

from retention.models import LegalHold, PurgeRun
from retention.services.purges.runs import Preview, merkle_root


def show_run(run: PurgeRun) -> dict[str, Any]:
    return {
        "id": run.id,
        "object": "purge_run",
        "class": run.record_class,
        "state": run.state,
        "cutoff": run.cutoff,
        "policy_version": run.policy_version,
        "candidates": run.candidates,
        "held": run.held,
        "archived": run.archived,
        "destroyed": run.destroyed,
        "samples": run.samples,
        "merkle_root": merkle_root(run).hex(),
        "expected": run.expected,
        "started_by": run.started_by,
        "confirmed_by": run.confirmed_by,
        "finished_at": run.finished_at,
        "error": run.error or None,
        "created_at": run.created_at,
    }


def show_preview(preview: Preview) -> dict[str, Any]:
    """A run that was not begun."""
    return {
        "id": None,
        "object": "purge_run",
        "class": preview.record_class,
        "state": None,
        "cutoff": preview.due.cutoff,
        "policy_version": preview.policy_version,
        "candidates": preview.due.candidates,
        "held": preview.due.held,
        "archived": 0,
        "destroyed": 0,
        "samples": list(preview.due.samples),
        "merkle_root": None,
    }


def show_hold(hold: LegalHold, customer: str | None) -> dict[str, Any]:
    """A hold; `customer` is the customer's own external id."""
    return {
        "id": hold.id,
        "object": "legal_hold",
        "state": hold_state(hold),
        "matter": hold.matter,
        "reason": hold.reason,
        "customer_id": customer,
        "session_id": hold.session_id,
        "start_time": hold.start_time,
        "end_time": hold.end_time,
        "placed_by": hold.placed_by,
        "release_requested_by": hold.release_requested_by,
        "released_by": hold.released_by,
        "released_at": hold.released_at,
        "grace_until": hold.grace_until,
        "created_at": hold.created_at,
    }


def hold_state(hold: LegalHold) -> str:
    if hold.released_at is not None:
        return "released"
    return "in_force" if hold.release_requested_by is None else "release_requested"
