"""Long lists: every row is on some page, and rare matches are searched for a part at a time."""

from collections.abc import Callable
from html import unescape
from re import findall

import pytest
from django.test import Client

from conversations.admin import paging
from conversations.models import Tenant
from tests.builders import make_session


@pytest.fixture
def sessions(tenant: Tenant) -> list[str]:
    """Ten conversations, oldest first; only the oldest and the eighth are in Chinese."""
    languages = ["zh", *["en"] * 6, "zh", "en", "en"]
    return [str(make_session(tenant, title="Parcel", language=language).id) for language in languages]


def shown(page: str) -> list[str]:
    return findall(r'name="session" value="([^"]+)"', page)


def link(page: str, name: str) -> str:
    (href,) = findall(rf'rel="{name}" href="([^"]+)"', page)
    return unescape(href)


def test_rare_rows_are_found_a_part_at_a_time(
    signed_in: Callable[..., Client], sessions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "REACH", 4)
    client = signed_in("dora")

    first = client.get("/admin/conversations/?language=zh").content.decode()
    second = client.get("/admin/conversations/" + link(first, "next")).content.decode()
    third = client.get("/admin/conversations/" + link(second, "next")).content.decode()

    assert [shown(page) for page in (first, second, third)] == [[sessions[7]], [], [sessions[0]]]
    assert "continues from there" in first
    assert "No matches since" in second
    assert 'rel="next"' not in third
    assert "continues from there" not in third


def test_every_row_is_on_some_page_in_both_directions(
    signed_in: Callable[..., Client], tenant: Tenant
) -> None:
    sessions = [str(make_session(tenant).id) for _ in range(2 * paging.SIZE + 1)]
    client = signed_in("dora")

    pages = [client.get("/admin/conversations/").content.decode()]
    while 'rel="next"' in pages[-1]:
        pages.append(client.get("/admin/conversations/" + link(pages[-1], "next")).content.decode())
    back = [pages[-1]]
    while 'rel="prev"' in back[-1]:
        back.append(client.get("/admin/conversations/" + link(back[-1], "prev")).content.decode())

    assert len(pages) == 3
    assert [one for page in pages for one in shown(page)] == sessions[::-1]
    assert [one for page in back[::-1] for one in shown(page)] == sessions[::-1]
