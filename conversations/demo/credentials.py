"""The demo's keys in the credentials file that `up` writes: `"demo": {tenant: {"api_key", "second_api_key"}}`."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class TenantKeys:
    """Keys with all scopes, issued to two persons: some decisions need both."""

    api_key: str
    second_api_key: str


def read_keys(file: Path) -> dict[str, TenantKeys]:
    """The demo keys kept in the file, by tenant; empty without a file."""
    kept = _read(file).get("demo", {})
    return {
        name: msgspec.convert(keys, type=TenantKeys)
        for name, keys in kept.items()
        if "second_api_key" in keys
    }


def read_url(file: Path) -> str | None:
    """Where the server of this installation listens, as it said at its start."""
    return _read(file).get("url")


def add_keys(file: Path, keys: dict[str, TenantKeys]) -> None:
    """Put the keys into the file, the rest of it untouched: replaced as a whole, for its owner's eyes only."""
    kept = _read(file)
    demo = kept.get("demo", {}) | {name: msgspec.to_builtins(pair) for name, pair in keys.items()}
    text = msgspec.json.format(msgspec.json.encode(kept | {"demo": demo}), indent=2)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, unfinished = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    with open(descriptor, "wb") as stream:
        stream.write(text + b"\n")
        stream.flush()
        os.fsync(descriptor)
    Path(unfinished).replace(file)


def _read(file: Path) -> dict[str, Any]:
    return msgspec.json.decode(file.read_bytes(), type=dict[str, Any]) if file.exists() else {}
