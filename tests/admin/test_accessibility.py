"""axe finds nothing serious on any page, light or dark; and the whole path works without a mouse."""

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import Group
from playwright.sync_api import Page

from conversations.mirror.drain import drain
from conversations.models import Tenant
from conversations.tenancy import tenant_scope
from tests.admin.browser import Officer
from tests.admin.conftest import DPO, Account
from tests.admin.furnishing import furnish
from tests.retention.factories import ago, make_session, say

SERIOUS = {"serious", "critical"}
ACCOUNTS = (
    "login/",
    "2fa/",
    "2fa/totp/activate/",
    "2fa/webauthn/",
    "2fa/webauthn/add/",
    "password/change/",
    "reauthenticate/",
    "3rdparty/",
    "email/",
    "nothing/",
)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(
    tenant: Tenant,
    account: Callable[..., Account],
    officer: Callable[..., Officer],
    theme: str,
) -> None:
    dora = account("dora")
    furnished = furnish(tenant, account("owner").staff, "سؤال about 口红 🙂")
    _may_operate(dora)
    browser = officer(color_scheme=theme)
    browser.goto("/accounts/login/")
    found = serious(browser.page, "sign in")
    browser.sign_in("dora", dora.password)

    for name, path in {**furnished.pages, **{path: f"/accounts/{path}" for path in ACCOUNTS}}.items():
        browser.goto(path)
        found += serious(browser.page, name)
    browser.goto("/admin/purge-runs/")
    browser.press("Preview")
    found += serious(browser.page, "preview")

    assert found == []


def test_narrow_screen_shows_pages_without_scrolling_sideways(
    tenant: Tenant, account: Callable[..., Account], officer: Callable[..., Officer]
) -> None:
    dora = account("dora")
    furnished = furnish(tenant, account("owner").staff, "long" * 60)
    _may_operate(dora)
    browser = officer(viewport={"width": 390, "height": 800}).sign_in("dora", dora.password)

    wide = []
    for name, path in furnished.pages.items():
        browser.goto(path)
        if (width := browser.page.evaluate("document.documentElement.scrollWidth")) > 390:
            wide.append((name, width, browser.page.evaluate(_WIDE)))

    assert wide == []
    browser.page.get_by_role("button", name="Menu").click()
    browser.open("Holds")
    browser.page.get_by_role("heading", name="Holds").wait_for()


def test_search_read_reveal_and_hold_by_keyboard_alone(
    tenant: Tenant, at_work: Callable[..., Officer]
) -> None:
    say(tenant, make_session(tenant), [ago(1)], text="The card is 4111 1111 1111 1111")
    drain()
    officer = at_work("dora")
    page = officer.page

    tab_to(page, "Conversations", "A")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Conversations").wait_for()
    tab_to(page, "Skip to the page", "A")
    page.keyboard.press("Enter")
    tab_to(page, "Words", "INPUT")
    page.keyboard.type("card")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?words=card*")
    tab_to(page, "About a parcel", "A")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="About a parcel").wait_for()
    tab_to(page, "Reason", "TEXTAREA")
    page.keyboard.type("Complaint 42")
    tab_to(page, "Reveal", "BUTTON")
    page.keyboard.press("Enter")
    page.get_by_text("4111 1111 1111 1111").wait_for()
    tab_to(page, "Place hold", "BUTTON")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Place hold").wait_for()
    tab_to(page, "Matter", "INPUT")
    page.keyboard.type("Matter 7")
    tab_to(page, "Reason", "TEXTAREA")
    page.keyboard.type("The regulator asks")
    tab_to(page, "Place hold", "BUTTON")
    page.keyboard.press("Enter")

    page.get_by_text("The hold is in force.").wait_for()


def serious(page: Page, name: str) -> list[str]:
    answer = Axe().run(page, options={"resultTypes": ["violations"]})
    return [
        f"{name}: {violation['id']}: {node['html'][:160]}"
        for violation in answer.response["violations"]
        if violation["impact"] in SERIOUS
        for node in violation["nodes"][:2]
    ]


_WIDE = """() => [...document.querySelectorAll("main *")]
  .filter((it) => it.getBoundingClientRect().right > 391 && !it.closest(".table-wrap")).slice(0, 3)
  .map((it) => it.outerHTML.slice(0, 80))"""
_FOCUSED = """() => {
  const it = document.activeElement;
  const label = it.labels && it.labels.length ? it.labels[0].textContent : it.getAttribute("aria-label");
  const shown = getComputedStyle(it);
  const ringed = shown.outlineStyle !== "none" && parseFloat(shown.outlineWidth) >= 1 || shown.boxShadow !== "none";
  const words = [...it.childNodes].filter((node) => node.nodeType === 3).map((node) => node.textContent).join("");
  return [it.tagName, (label || words).trim(), ringed];
}"""


def tab_to(page: Page, name: str, tag: str, most: int = 120) -> None:
    """Press Tab until that element has the focus, and shows it."""
    for _ in range(most):
        page.keyboard.press("Tab")
        found, label, is_ringed = page.evaluate(_FOCUSED)
        if (found, label) == (tag, name):
            assert is_ringed, f"the focus on {name} cannot be seen"
            return
    raise AssertionError(f"no {tag} {name!r} is reached by the keyboard")


def _may_operate(who: Account) -> None:
    """One person who may open every page there is."""
    assert who.staff.tenant_id is not None
    with tenant_scope(who.staff.tenant_id):
        who.staff.groups.add(Group.objects.get(name="operator"), Group.objects.get(name=DPO))
