"""What a variable of the environment may say."""

from datetime import timedelta

import pytest

from config.environment import Environment, SettingError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30d", timedelta(days=30)),
        ("36h", timedelta(hours=36)),
        ("45m", timedelta(minutes=45)),
        ("10s", timedelta(seconds=10)),
        ("604800", timedelta(days=7)),
        ("0", timedelta(0)),
    ],
)
def test_a_duration_is_a_number_with_its_unit(
    monkeypatch: pytest.MonkeyPatch, text: str, expected: timedelta
) -> None:
    monkeypatch.setenv("HOLD_GRACE", text)

    assert Environment().duration("HOLD_GRACE", default="1d") == expected


def test_a_duration_that_is_not_set_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOLD_GRACE", raising=False)

    assert Environment().duration("HOLD_GRACE", default="1d") == timedelta(days=1)


@pytest.mark.parametrize(
    "text", ["", "d", "-1d", "1.5h", "1 d", "P30D", "30 days", "1w", "9999999d", "\u0663d"]
)
def test_any_other_text_is_refused_by_the_name_of_the_variable(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("HOLD_GRACE", text)

    with pytest.raises(SettingError, match=r"^HOLD_GRACE is not a number with s, m, h or d, such as 1d\.$"):
        Environment().duration("HOLD_GRACE", default="1d")
