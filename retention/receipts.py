"""Erasure receipts: signed when every store has answered that nothing is left, and verified by anybody, offline.

A receipt is canonical JSON in one line. Its signature is Ed25519 over the same JSON without the member `signature`.
This module needs no settings, no database and no Django, so that it runs where none of them is.
"""

import argparse
import sys
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from conversations.canonical import NotCanonical, canonical, parse_canonical
from conversations.signing import InvalidKey, PublicKey, SigningKey, decode64

MAX_SIZE = 1024 * 1024

Count = Annotated[int, msgspec.Meta(ge=0)]


class StoreProof(msgspec.Struct, frozen=True, kw_only=True):
    """What one store answered: how it was asked, and when it last said so."""

    method: str
    found_before: Count
    found_after: Count
    verified_at: str


class ReceiptDeferral(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What had to stay for now, and until when if that is known. Without the matter of a hold: it may name people."""

    kind: Literal["hold", "legal_minimum"]
    records: Count
    until: str | None
    hold_id: str | None = None
    basis: str | None = None


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What an erasure did. `subject` is a pseudonym: nothing here names the person."""

    object: Literal["erasure_receipt"] = "erasure_receipt"
    case: str
    subject: str
    scope: Literal["customer", "session", "messages", "tenant"]
    basis: str
    issued_at: str
    stores: dict[str, StoreProof]
    keys_destroyed: Count
    deferrals: list[ReceiptDeferral]
    residuals: list[str]


class ReceiptRefused(ValueError):
    """The bytes are not an authentic receipt; says why."""


@dataclass(frozen=True, slots=True)
class Verification:
    """An authentic receipt. Without a pinned key, this only proves that the holder of the key it names signed it."""

    receipt: Receipt
    public_key: PublicKey
    pinned: bool


def build_receipt(receipt: Receipt, key: SigningKey) -> bytes:
    """The bytes of the signed receipt. ValueError when a store still held something and nothing was deferred."""
    left = sorted(name for name, proof in receipt.stores.items() if proof.found_after)
    if left and not receipt.deferrals:
        raise ValueError(f"No receipt while {', '.join(left)} still holds something of the subject.")
    fields = {**msgspec.to_builtins(receipt), "public_key": str(key.public_key)}
    signature = b64encode(key.sign(canonical(fields))).decode()
    return canonical({**fields, "signature": signature})


def verify_receipt(data: bytes, pinned: PublicKey | None = None) -> Verification:
    """What an authentic receipt says; ReceiptRefused if a single byte of it is not the signed one."""
    if len(data) > MAX_SIZE:
        raise ReceiptRefused("This file is too large to be a receipt.")
    try:
        fields = parse_canonical(data)
    except NotCanonical as error:
        raise ReceiptRefused(f"These are not the bytes of a receipt. {error}") from error
    if not isinstance(fields, dict) or fields.get("object") != "erasure_receipt":
        raise ReceiptRefused("This is not an erasure receipt.")
    public_key = _check_signature(fields)
    if pinned is not None and public_key != pinned:
        raise ReceiptRefused(
            f"This receipt is from another installation: signed by {public_key.fingerprint}, not {pinned.fingerprint}."
        )
    try:
        receipt = msgspec.convert(fields, Receipt)
    except msgspec.ValidationError as error:
        raise ReceiptRefused(f"This receipt is signed, but malformed: {error}.") from error
    return Verification(receipt, public_key, pinned is not None)


def _check_signature(fields: Mapping[str, Any]) -> PublicKey:
    try:
        public_key = PublicKey.parse(fields["public_key"])
        signature = decode64(fields["signature"])
    except (KeyError, AttributeError, TypeError, InvalidKey, ValueError) as error:
        raise ReceiptRefused("This receipt has no readable key and signature.") from error
    signed = {name: value for name, value in fields.items() if name != "signature"}
    if not public_key.has_signed(canonical(signed), signature):
        raise ReceiptRefused("The signature is not valid: the receipt was altered, or never issued.")
    return public_key


def main(argv: Sequence[str]) -> int:
    """`verify_receipt FILE [--key FILE] [--json]`: 0 authentic, 1 refused with the reason, 2 wrong usage."""
    try:
        options = _parser().parse_args(argv)
    except SystemExit as stop:  # argparse has said what is wrong, or printed its help
        return int(stop.code or 0)
    try:
        pinned = PublicKey.parse(_read(options.key).decode(errors="replace")) if options.key else None
        verification = verify_receipt(_read(options.file), pinned)
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}.", as_json=options.json)
    except (ReceiptRefused, InvalidKey) as error:
        return _refuse(str(error), as_json=options.json)
    sys.stdout.write(_as_json(verification) if options.json else _as_text(verification))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="manage.py verify_receipt",
        description="Verify an erasure receipt. Needs no database, no settings and no network.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the receipt, byte for byte as it was issued")
    parser.add_argument(
        "--key",
        type=Path,
        metavar="FILE",
        help="the public key of the installation that must have issued it, in base64 or PEM",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_SIZE + 1)


def _refuse(reason: str, *, as_json: bool) -> int:
    sys.stderr.write(f"Refused: {reason}\n")
    if as_json:
        sys.stdout.write(msgspec.json.encode({"ok": False, "reason": reason}).decode() + "\n")
    return 1


def _as_json(verification: Verification) -> str:
    key = verification.public_key
    answer = {
        "ok": True,
        "pinned": verification.pinned,
        "public_key": str(key),
        "fingerprint": key.fingerprint,
        "receipt": verification.receipt,
    }
    return msgspec.json.encode(answer).decode() + "\n"


def _as_text(verification: Verification) -> str:
    receipt, fingerprint = verification.receipt, verification.public_key.fingerprint
    key = (
        "Signed by the key you named"
        if verification.pinned
        else "Signed by the key below; name the installation's own with --key to be sure it is that one"
    )
    width = max(map(len, receipt.stores), default=0)
    lines = [
        f"Authentic. {key}.",
        f"  key       {fingerprint}",
        f"  case      {receipt.case}",
        f"  subject   {receipt.subject} ({receipt.scope})",
        f"  basis     {receipt.basis}",
        f"  issued    {receipt.issued_at}",
        f"  keys      {receipt.keys_destroyed} destroyed",
        *(
            f"  {name:<{width}}  {proof.found_before} found, {proof.found_after} left; "
            f"{proof.method}, verified {proof.verified_at}"
            for name, proof in sorted(receipt.stores.items())
        ),
        *(f"  deferred  {_deferral(deferral)}" for deferral in receipt.deferrals),
        *(f"  residual  {residual}" for residual in receipt.residuals),
    ]
    return "\n".join(map(_printable, lines)) + "\n"


def _deferral(deferral: ReceiptDeferral) -> str:
    ground = f"hold {deferral.hold_id}" if deferral.kind == "hold" else f"legal minimum ({deferral.basis})"
    return f"{deferral.records} records, {ground}, until {deferral.until or 'its release'}"


def _printable(line: str) -> str:
    # Anybody can sign a receipt with a key of their own: it may not steer the reader's terminal.
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line
    )
