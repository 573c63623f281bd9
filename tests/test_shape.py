"""Limits on size and naming: a module or function that exceeds them is listed here with its reason."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
APPS = ("config", "conversations", "portraits", "retention")
LONGEST_MODULE = 500
LONGEST_FUNCTION = 60
VAGUE_NAMES = {"utils", "helpers", "common", "misc", "manager"}
ALLOWED: dict[str, str] = {}


def modules():
    return [path for app in APPS for path in (ROOT / app).rglob("*.py") if "migrations" not in path.parts]


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_modules_are_short_enough():
    long = {named(path): len(path.read_text().splitlines()) for path in modules()}

    assert {
        name: lines for name, lines in long.items() if lines > LONGEST_MODULE and name not in ALLOWED
    } == {}


def test_functions_are_short_enough():
    long = {}
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    long[f"{named(path)}:{node.name}"] = length

    assert {name: lines for name, lines in long.items() if name not in ALLOWED} == {}


def test_no_module_has_a_vague_name():
    assert [named(path) for path in modules() if path.stem in VAGUE_NAMES] == []


def test_tasks_are_woken_after_the_commit():
    services = [path for path in modules() if path.name != "tasks.py"]  # tasks may re-enqueue themselves

    hasty = [
        named(path)
        for path in services
        if ".delay(" in path.read_text() or ".apply_async(" in path.read_text()
    ]

    assert hasty == []
