"""How sessions ended, as far as others can learn from it."""

from collections.abc import Mapping
from typing import Any

TEXTS = ("issue_type", "entities", "tools_used", "knowledge")


def searchable(outcome: Mapping[str, Any]) -> str:
    """What a session's outcome is found by: the issue, what it concerned, and what was learnt."""
    parts = [outcome.get("issue_type"), *(outcome.get("entities") or ()), outcome.get("knowledge")]
    return "\n".join(part for part in parts if part)
