"""Two people with keys of one tenant, and a stranger."""

import pytest

from tests.conversations.api.conftest import Caller, Issue, caller, issue

__all__ = ["caller", "issue"]


@pytest.fixture
def alice(issue: Issue) -> Caller:
    return issue(person="alice")


@pytest.fixture
def bob(issue: Issue, alice: Caller) -> Caller:
    return issue(tenant=alice, person="bob")


@pytest.fixture
def stranger(issue: Issue) -> Caller:
    return issue(person="alice")
