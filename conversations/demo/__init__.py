"""Sample conversations of four trades, written for this project and the same on every machine.

`conversations(now)` needs neither Django nor a server: it also feeds dictionary training and screenshots.
"""

from conversations.demo.records import (
    DemoAttachment,
    DemoCustomer,
    DemoErasure,
    DemoHold,
    DemoMemory,
    DemoMessage,
    DemoOutcome,
    DemoSession,
    DemoTenant,
)
from conversations.demo.tenants import conversations

__all__ = [
    "DemoAttachment",
    "DemoCustomer",
    "DemoErasure",
    "DemoHold",
    "DemoMemory",
    "DemoMessage",
    "DemoOutcome",
    "DemoSession",
    "DemoTenant",
    "conversations",
]
