"""Which embedding profiles hold the messages' vectors: the one that is searched, and one that is being filled."""

import threading
import time
from dataclasses import dataclass

from django.db import connections

from conversations.backends.embedders import EmbeddingProfile, configured_profiles
from conversations.enums import Sink
from conversations.models import MirrorSink

LIFETIME = 2.0  # seconds a process caches the profile


@dataclass(frozen=True, slots=True)
class MessageProfiles:
    """As the sink's `schema` names them: `served`, or `served filling` while messages are being re-embedded."""

    served: EmbeddingProfile
    filling: EmbeddingProfile | None = None

    @classmethod
    def parse(cls, schema: str) -> "MessageProfiles":
        """From the sink's `schema`; an empty one means the first profile of the settings."""
        names = schema.split()
        if not names:
            return cls(configured_profiles()[0])
        found = [EmbeddingProfile.parse(name) for name in names]
        return cls(found[0], found[1] if len(found) > 1 else None)

    def __str__(self) -> str:
        return " ".join(profile.name for profile in self.all)

    @property
    def all(self) -> tuple[EmbeddingProfile, ...]:
        """The profiles whose collections must be kept up to date."""
        return (self.served,) if self.filling is None else (self.served, self.filling)


def read_message_profiles() -> MessageProfiles:
    """The profiles as they are now."""
    row = MirrorSink.objects.using("ops").filter(id=Sink.MILVUS).values_list("schema", flat=True).first()
    return MessageProfiles.parse(row or "")


def write_message_profiles(profiles: MessageProfiles) -> None:
    MirrorSink.objects.using("ops").filter(id=Sink.MILVUS).update(schema=str(profiles))


class _Known:
    """The profiles as cached by this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: str | None = None
        self._until = 0.0
        self._profile: EmbeddingProfile | None = None

    def served(self) -> EmbeddingProfile:
        database = str(connections["ops"].settings_dict["NAME"])
        if self._profile is None or self._of != database or time.monotonic() >= self._until:
            profile = read_message_profiles().served
            with self._lock:
                self._of, self._profile, self._until = database, profile, time.monotonic() + LIFETIME
            return profile
        return self._profile


served_profile = _Known().served
"""The profile whose vectors searches compare with, at most two seconds old."""
