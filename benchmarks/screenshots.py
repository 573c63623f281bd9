"""Pictures of every page of the back office, of an installation that `manage.py up --demo` runs.

uv run python -m benchmarks.screenshots --data .data --out docs/pictures --only home transcript
uv run python -m benchmarks.screenshots --data .data --out /tmp/pages --theme dark --width 390
"""

import argparse
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

TENANT = "Moonpetal Cosmetics"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
HEIGHT = 900

PAGES = {
    "home": "",
    "conversations": "conversations/",
    "customers": "customers/",
    "retention": "retention/",
    "purge-runs": "purge-runs/",
    "archive": "archive/",
    "holds": "holds/",
    "place-hold": "holds/place/",
    "erasures": "erasures/",
    "verify-receipt": "verify-receipt/",
    "exports": "exports/",
    "audit": "audit/",
    "operations": "operations/",
    "api-keys": "operations/keys/",
    "people": "people/",
    "new-person": "people/new/",
    "groups": "people/groups/",
}
# Reached by the first link of its kind on another page.
LINKED = {
    "transcript": ("conversations", "main ol.cards .card-head a"),
    "customer": ("customers", "main tbody th a"),
    "purge-run": ("purge-runs", "main tbody th a"),
    "archived": ("archive", "main ol.cards .card-head a"),
    "hold": ("holds", "main tbody th a"),
    "erasure": ("erasures", "main tbody th a"),
    "audit-event": ("audit", "main tbody th a"),
    "person": ("people", "main tbody th a"),
}
# Reached by the button of a page: what it is before the deed.
PRESSED = {
    "preview": ("purge-runs", "Preview"),
    "erase": ("customer", "Erase"),
    "export-customer": ("customer", "Export"),
    "export-evidence": ("transcript", "Export evidence"),
    "audit-verified": ("audit", "Verify"),
}
ACCOUNTS = {
    "second-factors": "2fa/",
    "activate-app": "2fa/totp/activate/",
    "add-passkey": "2fa/webauthn/add/",
    "change-password": "password/change/",
    "reauthenticate": "reauthenticate/",
    "not-found": "nothing/",
}


def sign_in(page: Page, url: str, username: str, password: str) -> None:
    page.goto(f"{url}/accounts/login/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_load_state()


def choose_tenant(page: Page, url: str, tenant: str) -> None:
    page.goto(f"{url}/admin/tenant/")
    page.get_by_role("main").get_by_label("Tenant").select_option(label=tenant)
    page.get_by_role("main").get_by_role("button", name="Enter").click()
    page.wait_for_load_state()


def walk(page: Page, url: str, *, only: list[str] | None = None) -> Iterator[str]:
    """Open each page in turn; yields its name while it is open. Pages that this installation lacks are left out."""
    for name in only or [*PAGES, *LINKED, *PRESSED, *ACCOUNTS]:
        if open_page(page, url, name):
            yield name


def open_page(page: Page, url: str, name: str) -> bool:
    if name in PAGES:
        page.goto(f"{url}/admin/{PAGES[name]}")
        return True
    if name in ACCOUNTS:
        page.goto(f"{url}/accounts/{ACCOUNTS[name]}")
        return True
    if name in LINKED:
        on, link = LINKED[name]
        return open_page(page, url, on) and _follow(page, page.locator(link).first.click, link)
    on, button = PRESSED[name]
    found = page.get_by_role("main").get_by_role("button", name=button, exact=True)
    return open_page(page, url, on) and found.count() > 0 and _follow(page, found.first.click)


def _follow(page: Page, click: Callable[[], None], link: str = "main") -> bool:
    if page.locator(link).count() == 0:
        return False
    click()
    page.wait_for_load_state()
    return True


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path(".data"), help="the data folder of `up`")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tenant", default=TENANT)
    parser.add_argument("--theme", choices=["light", "dark"], default="light")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--only", nargs="+", help="names of pages")
    parser.add_argument("--first-screen", action="store_true", help="what is seen before scrolling")
    options = parser.parse_args()
    known = json.loads((options.data / "credentials.json").read_text())
    options.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        page = browser.new_context(
            color_scheme=options.theme, viewport={"width": options.width, "height": HEIGHT}, locale="en-GB"
        ).new_page()
        sign_in(page, known["url"], known["admin_username"], known["admin_password"])
        choose_tenant(page, known["url"], options.tenant)
        for name in walk(page, known["url"], only=options.only):
            page.wait_for_load_state("networkidle")  # parts that follow by themselves
            path = options.out / f"{name}.png"
            page.screenshot(path=path, full_page=not options.first_screen, animations="disabled")
            print(path)
        browser.close()


if __name__ == "__main__":
    main()
