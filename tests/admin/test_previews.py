"""What people see before a purge: masked words and names, and counts that stop."""

from collections.abc import Callable
from html import unescape

import pytest
from django.test import Client

from benchmarks.back_office import SHORTER
from conversations.models import Tenant
from retention.admin import policies
from retention.services.purges.runs import preview
from tests.retention.factories import ago, make_session, say


def test_retention_preview_shows_masked_words_of_what_would_go(
    signed_in: Callable[..., Client], tenant: Tenant
) -> None:
    session = make_session(tenant, made_at=ago(60))
    say(tenant, session, [ago(60)], text="Write to jo@example.com")

    page = unescape(signed_in("dora").post("/admin/retention/", SHORTER).content.decode())

    assert "Write to [EMAIL_" in page
    assert "jo@example.com" not in page
    assert f"/admin/conversations/{session.id}/?from=1" in page
    assert "in <bdi>About a parcel</bdi>" in page


def test_preview_stops_counting(
    signed_in: Callable[..., Client], tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(tenant, make_session(tenant, made_at=ago(60)), [ago(60)] * 5)
    monkeypatch.setattr(policies, "MOST_COUNTED", 3)

    page = signed_in("dora").post("/admin/retention/", SHORTER).content.decode()

    assert "more than 3" in page


def test_bounded_preview_is_of_the_oldest_and_says_that_there_is_more(tenant: Tenant) -> None:
    oldest = say(tenant, make_session(tenant, made_at=ago(200)), [ago(200), ago(199)])
    say(tenant, make_session(tenant, made_at=ago(120)), [ago(120)] * 3)

    whole, part, enough = (preview(tenant_id=tenant.id, most=most)[0].due for most in (None, 2, 5))

    assert (whole.candidates, whole.has_more) == (5, False)
    assert (part.candidates, part.has_more, list(part.samples)) == (2, True, oldest)
    assert (enough.candidates, enough.has_more) == (5, False)
