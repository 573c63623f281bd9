"""The erasure ledger: no restore brings anybody back, and nobody is erased by a line that we did not write."""

from base64 import b64encode

import pytest

from conversations.ids import new_id
from conversations.signing import SigningKey
from retention.ledger import Entry, LedgerBroken, append, read

OURS = SigningKey.from_seed(b64encode(b"o" * 32).decode())
THEIRS = SigningKey.from_seed(b64encode(b"t" * 32).decode())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "kept" / "erasures.jsonl"


def entry(**fields):
    given = {"case": new_id(), "tenant": new_id(), "at": "2026-01-01T00:00:00.000000Z", "basis": "GDPR 17"}
    return Entry(**{**given, "customer_id": new_id(), **fields})


def entries(path, key=OURS):
    return [line.entry for line in read(path, key.public_key)]


def test_lines_come_back_in_order(path):
    written = [entry(), entry(customer_id=None, session_id=new_id()), entry(message_ids=[new_id(), new_id()])]

    for one in written:
        append(path, one, OURS)

    assert entries(path) == written
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_ledger_is_an_empty_one(path):
    assert entries(path) == []


def test_case_that_was_written_twice_counts_once(path):
    one = entry()

    append(path, one, OURS)
    append(path, one, OURS)

    assert entries(path) == [one]


@pytest.mark.parametrize("torn", [b"{", b'{"at":"2026', b"x" * 200_000])
def test_torn_last_line_is_overlooked_and_written_over(path, torn):
    first, second = entry(), entry()
    append(path, first, OURS)
    with path.open("ab") as file:
        file.write(torn)

    assert entries(path) == [first]
    append(path, second, OURS)
    assert entries(path) == [first, second]


def test_every_changed_byte_is_noticed(path):
    append(path, entry(), OURS)
    line = path.read_bytes()

    for place in range(len(line) - 1):
        path.write_bytes(line[:place] + bytes([line[place] ^ 1]) + line[place + 1 :])
        with pytest.raises(LedgerBroken, match="Line 1"):
            entries(path)


def test_ledger_of_another_installation_is_refused(path):
    append(path, entry(), THEIRS)

    with pytest.raises(LedgerBroken):
        entries(path)
