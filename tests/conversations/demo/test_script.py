"""The screenplay language."""

from datetime import timedelta
from pathlib import Path

import pytest

from conversations.demo.script import Choice, Line, Note, Pause, Script, ScriptError, Setting, read_scripts

HEAD = "=== a\ntitle: Hello\nlet n = 1..3\nlet m := {n}*2\n\n"


def read(tmp_path: Path, text: str) -> Script:
    file = tmp_path / "scripts.txt"
    file.write_text(text, encoding="utf-8")
    (script,) = read_scripts(file)
    return script


def test_headers_and_lets_are_read(tmp_path):
    script = read(tmp_path, HEAD + "U: hi\n")

    assert script.slug == "a"
    assert script.headers == {"title": "Hello"}
    assert [(let.name, let.expression, let.is_sum) for let in script.lets] == [
        ("n", "1..3", False),
        ("m", "{n}*2", True),
    ]


def test_user_line_carries_intent_confidence_and_mood(tmp_path):
    script = read(tmp_path, HEAD + "U(@Ann_B order .9 -.4): two\n")

    assert script.beats == (Line("user", "two", name="Ann B", intent="order", confidence=0.9, mood=-0.4),)


def test_tool_line_names_its_tool(tmp_path):
    script = read(tmp_path, HEAD + 'T(ping): {"ok": true}\n')

    assert script.beats == (Line("tool", '{"ok": true}', name="ping"),)


def test_indented_lines_continue_and_keep_empty_lines(tmp_path):
    script = read(tmp_path, HEAD + "U: one\n  two\n\n  three\n")

    assert script.beats == (Line("user", "one\ntwo\n\nthree"),)


def test_notes_settings_and_pauses_are_read(tmp_path):
    script = read(tmp_path, HEAD + "A: hm\n! suggest: more\n= success: no\n~ 3h\n")

    line = Line("assistant", "hm", notes=(Note("suggest", "more"),))
    assert script.beats == (line, Setting("success", "no"), Pause(timedelta(hours=3)))


def test_blocks_nest(tmp_path):
    script = read(tmp_path, HEAD + "-- either\nU: a\n-- maybe\nA: b\n-- end\n-- or\nU: c\n-- end\n")

    optional = Choice(((), (Line("assistant", "b"),)))
    assert script.beats == (Choice(((Line("user", "a"), optional), (Line("user", "c"),))),)


@pytest.mark.parametrize(
    "body",
    ["-- either\nU: a\n", "-- end\n", "X: what\n", "! note: first\n", "  continued\n", "~ soon\n"],
)
def test_broken_script_is_refused_by_name(tmp_path, body):
    with pytest.raises(ScriptError, match=r"^a: "):
        read(tmp_path, HEAD + body)


def test_broken_header_is_refused(tmp_path):
    with pytest.raises(ScriptError, match="no header"):
        read(tmp_path, "=== a\nno header\n\nU: hi\n")
