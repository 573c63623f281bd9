"""The core's tables as this app watches them: proxies that carry our triggers, and nothing else."""

from conversations.models import Message, Session
from portraits import triggers


class CountedMessage(Message):
    class Meta:
        proxy = True
        default_permissions = ()
        triggers = triggers.count_messages()


class CountedSession(Session):
    class Meta:
        proxy = True
        default_permissions = ()
        triggers = triggers.count_sessions()
