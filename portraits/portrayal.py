"""A portrait with its customer and version: what is passed from storage to presentation."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from conversations.models import Customer
from portraits.state import State


@dataclass(frozen=True)
class Portrayal:
    """A portrait as it may be shown; version 0 when nothing is known yet."""

    customer: Customer
    state: State
    version: int = 0
    id: UUID | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    preferences_created_at: datetime | None = None
    preferences_updated_at: datetime | None = None
