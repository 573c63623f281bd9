from conversations.importing.files import RawLine, read_line_at, read_lines
from conversations.importing.records import LineError, Origin
from tests.conversations.importing.factories import write_lines


def test_a_line_that_is_too_long_is_passed_over(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", b"y", b"x" * 1_000, b"z" * 100)

    first, long, last = read_lines(path, longest=101)

    assert isinstance(long, LineError)
    assert (long.origin, long.code) == (Origin("a.jsonl", 2), "too_large")
    assert [first.body, last.body] == [b"y", b"z" * 100]


def test_a_line_is_found_again_by_its_offset(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\xef\xbb\xbf one\r\n\n" + b"x" * 50 + b"\ntwo\nthree")

    lines = [line for line in read_lines(path, longest=20) if isinstance(line, RawLine)]

    assert [line.body for line in lines] == [b"one", b"two", b"three"]
    with path.open("rb") as file:
        assert [read_line_at(file, line.origin, line.offset) for line in reversed(lines)] == lines[::-1]
