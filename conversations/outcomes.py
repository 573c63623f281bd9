"""The outcome of sessions, as far as it helps with similar issues."""

from collections.abc import Mapping
from typing import Any

TEXTS = ("issue_type", "entities", "tools_used", "knowledge")


def searchable(outcome: Mapping[str, Any]) -> str:
    """The searchable text of an outcome: the issue, its entities, and the knowledge."""
    parts = [outcome.get("issue_type"), *(outcome.get("entities") or ()), outcome.get("knowledge")]
    return "\n".join(part for part in parts if part)
