"""Receipts: built, verified offline, and refused when anything at all was changed."""

import json
import subprocess
import sys
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest

from conversations.canonical import canonical
from conversations.signing import PublicKey, SigningKey
from retention.receipts import (
    Receipt,
    ReceiptDeferral,
    ReceiptRefused,
    StoreProof,
    build_receipt,
    main,
    verify_receipt,
)

ROOT = Path(__file__).parents[2]
KEY = SigningKey.from_seed(b64encode(b"k" * 32).decode())
OTHER = SigningKey.from_seed(b64encode(b"o" * 32).decode())
AT = "2026-06-01T12:00:00.000000Z"

RECEIPT = Receipt(
    case="0190a1b2-0000-7000-8000-000000000001",
    subject="subject:7f3a",
    scope="customer",
    basis="GDPR Art. 17(1)(b)",
    issued_at=AT,
    stores={
        "postgresql": StoreProof(method="delete", found_before=12, found_after=0, verified_at=AT),
        "elasticsearch": StoreProof(method="delete by id", found_before=12, found_after=0, verified_at=AT),
    },
    keys_destroyed=1,
    deferrals=[
        ReceiptDeferral(kind="hold", records=3, until=None, hold_id="0190a1b2-0000-7000-8000-00000000000a")
    ],
    residuals=["Rows stay in the heap until it is rewritten."],
)
DATA = build_receipt(RECEIPT, KEY)


def signed(**fields: Any) -> bytes:
    """Any JSON object, properly signed: what somebody with a key of their own could make."""
    body = {**fields, "public_key": str(KEY.public_key)}
    return canonical({**body, "signature": b64encode(KEY.sign(canonical(body))).decode()})


@pytest.fixture
def receipt_file(tmp_path: Path) -> Path:
    path = tmp_path / "receipt.json"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(f"{KEY.public_key}\n")
    return path


def test_receipt_is_one_canonical_line_in_the_promised_shape() -> None:
    fields = json.loads(DATA)

    assert b"\n" not in DATA
    assert canonical(fields) == DATA
    assert set(fields) >= {
        "object", "case", "subject", "basis", "stores", "keys_destroyed", "deferrals", "residuals",
        "public_key", "signature",
    }  # fmt: skip
    assert fields["stores"]["postgresql"] == {
        "method": "delete", "found_before": 12, "found_after": 0, "verified_at": AT,
    }  # fmt: skip


def test_receipt_says_after_verification_what_was_signed() -> None:
    verification = verify_receipt(DATA, KEY.public_key)

    assert verification.receipt == RECEIPT
    assert verification.public_key == KEY.public_key
    assert verification.pinned
    assert not verify_receipt(DATA).pinned


def test_receipt_can_be_verified_without_our_code() -> None:
    fields = json.loads(DATA)
    signature = fields.pop("signature")
    written = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    assert PublicKey(b64decode(fields["public_key"])).has_signed(written, b64decode(signature))


@pytest.mark.parametrize("bit", range(8))
def test_every_changed_byte_is_refused(bit: int) -> None:
    for position in range(len(DATA)):
        changed = bytearray(DATA)
        changed[position] ^= 1 << bit
        with pytest.raises(ReceiptRefused):
            verify_receipt(bytes(changed))


def test_every_other_letter_of_the_signature_is_refused() -> None:
    # The last letter of base64 carries bits that a lenient decoder throws away.
    start = DATA.index(b'"signature":"') + len(b'"signature":"')
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
    for position in range(start, start + 88):
        for letter in set(letters) - {DATA[position]}:
            with pytest.raises(ReceiptRefused):
                verify_receipt(DATA[:position] + bytes([letter]) + DATA[position + 1 :])


def test_every_removed_and_every_doubled_byte_is_refused() -> None:
    for position in range(len(DATA)):
        for changed in (DATA[:position] + DATA[position + 1 :], DATA[: position + 1] + DATA[position:]):
            with pytest.raises(ReceiptRefused):
                verify_receipt(changed)


@pytest.mark.parametrize(
    "data",
    [
        DATA + b"\n",
        b" " + DATA,
        DATA + DATA,
        json.dumps(json.loads(DATA)).encode(),
        json.dumps(json.loads(DATA), indent=2).encode(),
    ],
)
def test_same_receipt_written_otherwise_is_refused(data: bytes) -> None:
    with pytest.raises(ReceiptRefused, match="not the bytes of a receipt"):
        verify_receipt(data)


def test_receipt_signed_anew_by_somebody_else_is_refused_when_pinned() -> None:
    forged = build_receipt(RECEIPT, OTHER)

    assert verify_receipt(forged).public_key == OTHER.public_key
    with pytest.raises(ReceiptRefused, match="from another installation"):
        verify_receipt(forged, KEY.public_key)


@pytest.mark.parametrize(
    "data", [b"", b"null", b"[]", b'"x"', b"{}", b'{"object":"message"}', signed(object="message")]
)
def test_anything_else_is_no_receipt(data: bytes) -> None:
    with pytest.raises(ReceiptRefused):
        verify_receipt(data)


@pytest.mark.parametrize(
    "fields",
    [
        {"public_key": 7, "signature": "x"},
        {"public_key": "x", "signature": 7},
        {"public_key": None, "signature": None},
        {"public_key": str(KEY.public_key)},
        {"signature": "QUJD"},
        {"public_key": str(KEY.public_key), "signature": "QUJD"},
    ],
)
def test_receipt_without_readable_key_and_signature_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ReceiptRefused):
        verify_receipt(canonical({"object": "erasure_receipt", **fields}))


def test_signed_object_of_another_shape_is_refused() -> None:
    with pytest.raises(ReceiptRefused, match="malformed"):
        verify_receipt(signed(object="erasure_receipt", case="x"))


def test_receipt_of_a_later_version_with_more_fields_still_verifies() -> None:
    fields = json.loads(DATA)
    del fields["signature"], fields["public_key"]

    assert verify_receipt(signed(**fields, software="2.0")).receipt == RECEIPT


def test_no_receipt_is_issued_while_a_store_holds_something() -> None:
    left = StoreProof(method="delete", found_before=2, found_after=1, verified_at=AT)
    fields = {name: getattr(RECEIPT, name) for name in Receipt.__struct_fields__}
    fields |= {"stores": {"milvus": left}, "deferrals": []}

    with pytest.raises(ValueError, match="milvus still holds"):
        build_receipt(Receipt(**fields), KEY)


def test_huge_file_is_refused_without_being_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(1 << 40)

    assert main([str(path)]) == 1


def test_command_tells_what_the_receipt_says(
    receipt_file: Path, key_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(receipt_file), "--key", str(key_file)]) == 0

    out, err = capsys.readouterr()
    assert out.startswith("Authentic. Signed by the key you named.")
    assert "12 found, 0 left" in out
    assert "until its release" in out
    assert err == ""


def test_command_without_key_asks_for_one(receipt_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(receipt_file)]) == 0

    out = capsys.readouterr().out
    assert "--key" in out
    assert KEY.public_key.fingerprint in out


def test_command_prints_one_json_object(receipt_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(receipt_file), "--json"]) == 0

    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is True
    assert answer["receipt"]["case"] == RECEIPT.case


def test_command_refuses_with_the_reason_on_standard_error(
    receipt_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    receipt_file.write_bytes(DATA.replace(b"Art. 17", b"Art. 18"))

    assert main([str(receipt_file), "--json"]) == 1
    out, err = capsys.readouterr()
    assert "is not valid" in err
    assert json.loads(out) == {"ok": False, "reason": err.removeprefix("Refused: ").rstrip("\n")}


@pytest.mark.parametrize("missing", ["receipt", "key"])
def test_command_names_the_file_it_cannot_read(
    receipt_file: Path, missing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = str(receipt_file.with_name("nowhere"))
    arguments = [nowhere] if missing == "receipt" else [str(receipt_file), "--key", nowhere]

    assert main(arguments) == 1
    assert "nowhere: No such file" in capsys.readouterr().err


def test_command_refuses_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 1
    assert "directory" in capsys.readouterr().err


def test_command_refuses_a_key_that_is_none(receipt_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(receipt_file), "--key", str(receipt_file)]) == 1
    assert "public key" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["--nonsense"]])
def test_command_tells_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "usage" in capsys.readouterr().err


def test_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "--key" in capsys.readouterr().out


def test_receipt_cannot_steer_the_terminal(receipt_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fields = json.loads(DATA) | {"basis": "\x1b[2Jgone", "residuals": ["\u202edecrever"]}
    del fields["signature"], fields["public_key"]
    receipt_file.write_bytes(signed(**fields))

    assert main([str(receipt_file)]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_command_needs_neither_settings_nor_django(receipt_file: Path) -> None:
    program = (
        "import sys; sys.argv[1:1] = ['verify_receipt']; import manage\n"
        "try: manage.main()\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert not {'django', 'psycopg'} & set(sys.modules), 'imported'"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, str(receipt_file)],
        cwd=ROOT,
        env={"PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Authentic")
