"""The gate that closes API and back office while a restore runs."""

from django.db import models

from conversations.enums import GateState


class Gate(models.Model):
    """One row. While it is not open PostgreSQL refuses to look up keys and people: see migration `0006_gate`."""

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    state = models.CharField(max_length=10, choices=GateState.choices, default=GateState.OPEN)
    since = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return str(self.state)
