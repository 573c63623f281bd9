"""Template filters of the back office."""

from datetime import UTC, datetime
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from conversations.transcripts.visible import visible as make_visible
from conversations.transcripts.wording import as_json

register = template.Library()


@register.filter
def visible(text: Any) -> str:
    """What people or agents have written, hidden and direction-turning characters named; JSON as it is read."""
    return make_visible(as_json(text)) if text is not None else ""


@register.filter
def moment(at: datetime | None) -> SafeString | str:
    """`2026-11-21 09:30 UTC`, for people and for machines."""
    if at is None:
        return "–"
    utc = at.astimezone(UTC)
    return format_html(
        '<time class="nowrap" datetime="{}">{} UTC</time>', utc.isoformat(), f"{utc:%Y-%m-%d %H:%M}"
    )


@register.filter
def day(at: datetime | None) -> SafeString | str:
    if at is None:
        return "–"
    utc = at.astimezone(UTC)
    return format_html('<time class="nowrap" datetime="{}">{}</time>', utc.isoformat(), f"{utc:%Y-%m-%d}")


@register.filter
def size(count: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return ""


@register.filter
def words(name: str) -> str:
    """An internal name in readable words."""
    store, _, part = name.rpartition(".")
    said = _WORDS.get(part, part.replace("_", " "))
    return f"{store}: {said}" if store else said


@register.filter
def written(at: str | None) -> SafeString | str:
    """A timestamp that is stored as text, shown like every other."""
    return moment(datetime.fromisoformat(at)) if at else "–"


@register.filter
def due(counted: Any) -> str:
    """How many records a preview has found."""
    return f"more than {counted.candidates:,}" if counted.has_more else f"{counted.candidates:,}"


@register.filter
def tone(state: str) -> str:
    """Which colour a state is shown in."""
    return _TONES.get(str(state), "")


_WORDS = {
    "context_receipts": "notes of what agents were shown",
    "customers": "the customer's own record",
    "deferred_records": "kept aside for a hold or by law",
    "idempotency_answers": "remembered answers to agents",
    "interaction_summaries": "counters",
    "keys": "encryption keys",
    "milvus_files": "vector files (Milvus)",
    "outbox": "changes on their way to the stores",
    "portraits": "portrait, with its history",
    "search_tables": "entries of the search index",
    "sessions": "conversations",
}
_TONES = {
    "verified": "good",
    "done": "good",
    "in_force": "held",
    "ok": "good",
    "released": "",
    "release_requested": "warning",
    "proposed": "warning",
    "cooling": "warning",
    "running": "warning",
    "pending": "warning",
    "executing": "warning",
    "mirrors_pending": "warning",
    "deferred": "held",
    "stopped": "bad",
    "failed": "bad",
    "denied": "bad",
    "degraded": "bad",
}
