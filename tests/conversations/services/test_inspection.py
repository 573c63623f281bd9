"""Searches of staff: by words together with what only the sessions know."""

from typing import Any

import pytest

from conversations.backends.configured import search_store
from conversations.backends.values import Kind
from conversations.models import Session, Tenant
from conversations.principals import SYSTEM
from conversations.ranking import DEFAULT_PROFILE
from conversations.services import inspection
from conversations.services.inspection import Criteria, Matches, search_words
from conversations.tenancy import tenant_scope
from tests.builders import make_session, make_tenant, say
from tests.conversations.mirror.conftest import drain_all

MANY = DEFAULT_PROFILE.lexical_candidates + 10


@pytest.fixture(params=["lexical_only", "elasticsearch"])
def store(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.fixture
def tenant(store: Any) -> Tenant:
    """One conversation at the kiosk, where the word stands beside many others, and more on the web than are ranked."""
    tenant = make_tenant()
    say(
        tenant,
        make_session(tenant, channel="kiosk", external_id="k-1"),
        "A parcel, beside much else that I lost.",
    )
    say(tenant, make_session(tenant, channel="web"), *["parcel"] * MANY)
    drain_all()
    if (engine := search_store()) is not None:
        engine.count(Kind.MESSAGES, tenant.id)  # refreshes
    return tenant


def search(tenant: Tenant, **criteria: str) -> Matches:
    return search_words(tenant_id=tenant.id, criteria=Criteria(words="parcel", **criteria), actor=SYSTEM)


def channels(matches: Matches) -> list[str | None]:
    return [match.session.channel for match in matches.found]


@pytest.mark.parametrize("criteria", [{"channel": "kiosk"}, {"external_id": "k-1"}, {"intent": "complaint"}])
def test_words_are_found_behind_all_that_match_better_elsewhere(
    tenant: Tenant, criteria: dict[str, str]
) -> None:
    with tenant_scope(tenant.id):
        Session.objects.filter(channel="kiosk").update(intents={"primary": "complaint"})

    matches = search(tenant, **criteria)

    assert channels(matches) == ["kiosk"]
    assert (matches.has_more, matches.looked_through) == (False, None)


def test_answer_says_when_it_could_not_look_through_everything(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "NEWEST", 20)

    matches = search(tenant, channel="kiosk")

    assert channels(matches) == []
    assert (matches.has_more, matches.looked_through) == (True, 20)


def test_words_alone_are_ranked_among_the_best(tenant: Tenant) -> None:
    matches = search(tenant)

    assert channels(matches) == ["web"]
    assert (matches.has_more, matches.looked_through) == (True, None)
