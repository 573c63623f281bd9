"""Embedding profiles: which vectors a collection holds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from django.core.exceptions import ImproperlyConfigured

Provider = Literal["wordllama", "fastembed", "openai", "hash"]
PROVIDERS: tuple[Provider, ...] = ("wordllama", "fastembed", "openai", "hash")

_SETTING = re.compile(r"(?P<provider>\w+):(?P<model>.+?):(?P<dimension>[1-9]\d{0,4})(?::(?P<version>\w+))?")


@dataclass(frozen=True, slots=True)
class EmbeddingProfile:
    """Vectors of equal profile can be compared; any difference makes another collection."""

    provider: Provider
    model: str
    dimension: int
    version: str = "1"
    metric: Literal["cosine"] = "cosine"

    @classmethod
    def parse(cls, setting: str) -> EmbeddingProfile:
        """From `provider:model:dimension[:version]`; `ImproperlyConfigured` says what is wrong with it."""
        match = _SETTING.fullmatch(setting.strip())
        if match is None:
            raise ImproperlyConfigured(
                f"Embedding profile {setting!r} is not provider:model:dimension[:version]."
            )
        for provider in PROVIDERS:
            if match["provider"] == provider:
                return cls(provider, match["model"], int(match["dimension"]), match["version"] or "1")
        raise ImproperlyConfigured(
            f"Embedding profile {setting!r} needs one of the providers {', '.join(PROVIDERS)}."
        )

    @property
    def name(self) -> str:
        """As it is written in settings; the version only where it is not the first."""
        suffix = "" if self.version == "1" else f":{self.version}"
        return f"{self.provider}:{self.model}:{self.dimension}{suffix}"

    @property
    def slug(self) -> str:
        """Letters, digits and underscores: part of a collection's name."""
        return re.sub(
            r"[^a-z0-9]+", "_", f"{self.provider}_{self.model}_{self.dimension}_v{self.version}".lower()
        )
