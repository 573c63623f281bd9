"""Start-up check of the table of rules, so that a mistake shows before the first message."""

from typing import Any

import msgspec
from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from portraits.rules import parse_rules


def register_checks() -> None:
    """Called once the apps are ready."""
    register(check_rules)


def check_rules(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    try:
        parse_rules(settings.PORTRAIT_RULES)
    except msgspec.ValidationError as error:
        return [Error(f"PORTRAIT_RULES cannot be read: {error}.", id="portraits.E001")]
    return []
