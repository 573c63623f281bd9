"""Every page, for everybody: who may open it, what it shows of texts that mean harm, and nothing of other tenants."""

import re
from collections.abc import Callable

import pytest
from django.test import Client

from conversations.models import Tenant
from tests.admin.conftest import DPO, Account
from tests.admin.furnishing import LISTS, furnish

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>{{ 7|add:7 }}{% now %}\u202egnp.exe\u200b\u2066=cmd()"
PLATFORM_ONLY = {"operations"}

MAY_OPEN = {
    "viewer": {
        *("home", "conversations", "customers", "retention", "purge runs", "archive", "holds", "erasures"),
        *("verify receipt", "transcript", "customer", "purge run", "archived", "hold", "erasure"),
    },
}
MAY_OPEN["reviewer"] = MAY_OPEN["viewer"] | {"place hold", "place hold on a conversation"}
MAY_OPEN["records manager"] = MAY_OPEN["reviewer"] | {
    *("exports", "export", "export evidence", "export customer", "erase customer", "erase conversation"),
    *("audit", "audit event"),
}
MAY_OPEN[DPO] = MAY_OPEN["records manager"] | {"people", "new person", "groups", "person", "API keys"}
MAY_OPEN["operator"] = {"home", "verify receipt", "audit", "audit event", "operations", "API keys"}


@pytest.mark.parametrize("group", MAY_OPEN)
def test_each_group_opens_its_pages_and_no_others(
    tenant: Tenant, account: Callable[..., Account], group: str
) -> None:
    furnished = furnish(tenant, account("owner").staff)
    client = Client()
    client.force_login(account("somebody", group).staff)

    opened = {name for name, path in furnished.pages.items() if client.get(path).status_code == 200}

    assert opened == MAY_OPEN[group]


def test_menu_shows_what_may_be_opened(signed_in: Callable[..., Client]) -> None:
    words = {
        "viewer": "Home Conversations Customers Retention|Purge runs|Archive Holds Erasures|Verify receipt",
        "operator": "Home|Verify receipt|Audit Operations",
    }
    for group, expected in words.items():
        page = signed_in(group.replace(" ", "-"), group).get("/admin/").content.decode()
        menu = page[page.index('aria-label="Main"') :]
        shown = re.findall(r"</span>([A-Z][a-z ]+)</a></li>", menu[: menu.index("</nav>")])
        assert " ".join(shown) == expected.replace("|", " ")


def test_texts_that_mean_harm_are_inert_on_every_page(
    tenant: Tenant, account: Callable[..., Account]
) -> None:
    person = account("officer", DPO).staff
    furnished = furnish(tenant, person, HOSTILE)
    client = Client()
    client.force_login(person)
    seen = 0

    for name, path in furnished.pages.items():
        if name in PLATFORM_ONLY:
            continue
        answer = client.get(path)
        page = _without_values(answer.content.decode())
        assert answer.status_code == 200, name
        for harm in ("<script>alert", "<img src=x", "alert(2)&gt;14", "\u202e", "\u200b", "\u2066"):
            assert harm not in page, (name, harm)
        seen += "&lt;script&gt;alert(1)" in page

    assert seen >= 15


def test_nothing_of_another_tenant_is_on_any_page(
    tenant: Tenant, other: Tenant, account: Callable[..., Account]
) -> None:
    marker = "zebra-of-the-rival"
    theirs = furnish(other, account("rival-officer", DPO, of=other).staff, marker)
    mine = furnish(tenant, account("officer", DPO).staff, "mine")
    client = Client()
    client.force_login(account("reader", DPO).staff)

    for name, path in mine.pages.items():
        page = client.get(path).content.decode()
        assert marker not in page, name
        assert "rival" not in page, name
    for name, path in theirs.details.items():
        url = f"/admin/{path}"
        if "?" in url:
            continue
        for answer in (client.get(url), client.post(url, {"reason": "r", "matter": "m", "basis": "b"})):
            assert answer.status_code in (403, 404, 405), name
            assert marker not in answer.content.decode(), name


def test_forged_ids_of_another_tenant_do_nothing(
    tenant: Tenant, other: Tenant, account: Callable[..., Account]
) -> None:
    theirs = furnish(other, account("rival-officer", DPO, of=other).staff, "theirs")
    client = Client()
    client.force_login(account("officer", DPO).staff)

    held = client.post(
        "/admin/holds/place/", {"matter": "m", "reason": "r", "session": [str(theirs.session)]}
    )
    held_customer = client.post(
        "/admin/holds/place/", {"matter": "m", "reason": "r", "customer_key": str(theirs.customer)}
    )
    exported = client.post("/admin/exports/evidence/", {"reason": "r", "session": [str(theirs.session)]})
    lists = [
        client.get(f"/admin/{path}?{query}={value}")
        for path in LISTS.values()
        for query, value in (
            ("older", theirs.session),
            ("newer", theirs.session),
            ("older", "no-uuid"),
            ("session", theirs.session),
            ("customer", theirs.customer),
            ("object", theirs.session),
            ("tenant__name", "x"),
            ("intents__primary", "x"),
        )
        if path != "operations/"
    ]

    assert {held.status_code, held_customer.status_code, exported.status_code} == {404}
    assert {answer.status_code for answer in lists} <= {200, 400}
    assert not any("theirs" in _without_values(answer.content.decode()) for answer in lists)


def _without_values(page: str) -> str:
    """Less what stands in fields: an editor shows what it would save, to the letter."""
    return re.sub(r'(<input[^>]*?) value="[^"]*"', r"\1", page)
