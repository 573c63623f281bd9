"""`.env.example` names every variable that the settings read, and no other."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
NAMED_ELSEWHERE = {"POSTGRES_PASSWORD"}  # docker-compose's own


def test_every_variable_is_in_the_example():
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', (ROOT / "config/settings.py").read_text()))
    shown = set(re.findall(r"^#? ?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))

    assert read - shown == set()
    assert shown - read - NAMED_ELSEWHERE == set()
