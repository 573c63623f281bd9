"""Passwords, second factors, lockout, the ends of sessions, and what each leaves in the trail."""

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from django.test import Client

from conversations import ids
from conversations.models import AuditEvent, Staff, Tenant
from conversations.tenancy import tenant_scope
from tests.admin.browser import Officer
from tests.admin.conftest import Account

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def code_of(secret: str) -> str:
    """What an authenticator app shows now."""
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30))


def sign_in(client: Client, username: str, password: str):
    return client.post("/accounts/login/", {"login": username, "password": password})


def actions(tenant: Tenant) -> list[str]:
    with tenant_scope(tenant.id):
        return list(AuditEvent.objects.order_by("id").values_list("action", flat=True))


@pytest.fixture
def mfa(settings) -> None:
    settings.REQUIRE_MFA = True


def test_sign_in_leads_to_the_page_that_was_asked_for(account: Callable[..., Account]) -> None:
    dora, client = account("dora"), Client()

    asked = client.get(client.get("/admin/holds/")["Location"])
    answer = client.post(asked["Location"], {"login": "dora", "password": dora.password})

    assert asked["Location"] == "/accounts/login/?next=/admin/holds/"
    assert (answer.status_code, answer["Location"]) == (302, "/admin/holds/")


def test_sign_in_ignores_a_next_page_elsewhere(account: Callable[..., Account]) -> None:
    dora = account("dora")

    answer = Client().post(
        "/accounts/login/?next=https://evil.example/", {"login": "dora", "password": dora.password}
    )

    assert answer["Location"] == "/admin/"


def test_wrong_password_is_told_like_an_unknown_name(tenant: Tenant, account: Callable[..., Account]) -> None:
    account("dora")

    wrong = sign_in(Client(), "dora", "wrong")
    unknown = sign_in(Client(), "nobody", "wrong")

    assert wrong.context["form"].errors == unknown.context["form"].errors
    assert actions(tenant).count("staff.sign_in_failed") == 1


def test_five_wrong_passwords_lock_the_name_even_for_the_right_one(
    tenant: Tenant, account: Callable[..., Account]
) -> None:
    dora, client = account("dora"), Client()
    for _ in range(5):
        sign_in(client, "dora", "wrong")

    locked = sign_in(client, "dora", dora.password)

    assert locked.status_code == 200
    assert "Too many failed login attempts" in locked.content.decode()
    assert client.get("/admin/").status_code == 302
    with time_machine.travel(ids.now() + timedelta(minutes=6), tick=True):
        assert sign_in(client, "dora", dora.password).status_code == 302


def test_lockout_spares_other_names(account: Callable[..., Account]) -> None:
    account("dora")
    otto = account("otto")
    for _ in range(6):
        sign_in(Client(REMOTE_ADDR="10.0.0.1"), "dora", "wrong")

    assert sign_in(Client(REMOTE_ADDR="10.0.0.2"), "otto", otto.password).status_code == 302


def test_somebody_switched_off_does_not_get_in(account: Callable[..., Account], tenant: Tenant) -> None:
    dora = account("dora")
    with tenant_scope(tenant.id):
        Staff.objects.filter(pk=dora.staff.pk).update(is_active=False)

    answer = sign_in(Client(), "dora", dora.password)

    assert answer.status_code in (200, 302)
    assert not answer.get("Location", "").startswith("/admin/")


def test_session_ends_when_unused(signed_in: Callable[..., Client]) -> None:
    client = signed_in("dora")
    begun = ids.now()
    with time_machine.travel(begun + timedelta(minutes=20)):
        assert client.get("/admin/").status_code == 200
    with time_machine.travel(begun + timedelta(minutes=45)):
        assert client.get("/admin/").status_code == 200

    with time_machine.travel(begun + timedelta(minutes=76)):
        ended = client.get("/admin/holds/")
        told = client.get(ended["Location"])

    assert ended["Location"] == "/accounts/login/?next=/admin/holds/"
    assert "without activity" in told.content.decode()


def test_page_that_refreshes_itself_keeps_no_session_alive(signed_in: Callable[..., Client]) -> None:
    client = signed_in("dora")
    begun = ids.now()
    for minutes in (10, 20, 29):
        with time_machine.travel(begun + timedelta(minutes=minutes)):
            assert client.get("/admin/", headers={"HX-Request": "true"}).status_code == 200

    with time_machine.travel(begun + timedelta(minutes=31)):
        ended = client.get("/admin/", headers={"HX-Request": "true"})

    assert ended["HX-Redirect"] == "/accounts/login/?next=/admin/"


def test_session_ends_after_a_day_however_busy(signed_in: Callable[..., Client]) -> None:
    client = signed_in("dora")
    begun = ids.now()
    for minutes in range(0, 8 * 60, 20):
        with time_machine.travel(begun + timedelta(minutes=minutes)):
            assert client.get("/admin/").status_code == 200

    with time_machine.travel(begun + timedelta(hours=8, seconds=1)):
        assert client.post("/admin/holds/place/", {})["Location"] == "/accounts/login/?next=/admin/"


def test_without_a_factor_every_page_leads_to_setting_one_up(
    mfa: None, signed_in: Callable[..., Client]
) -> None:
    client = signed_in("dora")

    for path in ("/admin/", "/admin/conversations/", "/admin/audit/export.csv", "/admin/tenant/"):
        answer = client.get(path)
        assert (answer.status_code, answer["Location"]) == (302, "/accounts/2fa/"), path
    refused = client.post("/admin/holds/place/", {"matter": "m", "reason": "r"})
    page = client.get("/accounts/2fa/")

    assert refused["Location"] == "/accounts/2fa/"
    assert "Set up a second factor first" in page.content.decode()
    assert client.post("/admin/logout/").status_code == 302


def test_a_factor_is_asked_for_at_the_next_sign_in(
    mfa: None, tenant: Tenant, account: Callable[..., Account]
) -> None:
    dora = account("dora")
    TOTP.activate(dora.staff, SECRET)
    client = Client()

    half = sign_in(client, "dora", dora.password)
    before = client.get("/admin/")
    wrong = client.post(half["Location"], {"code": "000000"})
    right = client.post(half["Location"], {"code": code_of(SECRET)})

    assert half["Location"] == "/accounts/2fa/authenticate/"
    assert before.status_code == 302
    assert wrong.status_code == 200
    assert right["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200
    assert actions(tenant)[-2:] == ["staff.factor_refused", "staff.signed_in"]


def test_wrong_codes_lock_too(mfa: None, account: Callable[..., Account]) -> None:
    dora = account("dora")
    TOTP.activate(dora.staff, SECRET)
    client = Client()
    sign_in(client, "dora", dora.password)
    for _ in range(5):
        client.post("/accounts/2fa/authenticate/", {"code": "000000"})

    locked = client.post("/accounts/2fa/authenticate/", {"code": code_of(SECRET)})

    assert "Too many failed login attempts" in locked.content.decode()


def test_secret_of_an_app_is_sealed_in_the_database(account: Callable[..., Account]) -> None:
    TOTP.activate(account("dora").staff, SECRET)

    assert SECRET not in str(Authenticator.objects.get().data)


def test_last_factor_cannot_be_removed_where_one_is_needed(
    mfa: None, account: Callable[..., Account]
) -> None:
    dora = account("dora")
    TOTP.activate(dora.staff, SECRET)
    client = Client()
    sign_in(client, "dora", dora.password)
    client.post("/accounts/2fa/authenticate/", {"code": code_of(SECRET)})

    answer = client.post("/accounts/2fa/totp/deactivate/")

    assert "your last second factor" in answer.content.decode()
    assert Authenticator.objects.count() == 1


def test_denied_page_is_told_and_recorded(tenant: Tenant, signed_in: Callable[..., Client]) -> None:
    client = signed_in("vera", "viewer")

    answer = client.get("/admin/audit/")

    assert answer.status_code == 403
    assert "You may not do this" in answer.content.decode()
    with tenant_scope(tenant.id):
        event = AuditEvent.objects.get(action="page.denied")
    assert (event.actor, event.outcome) == ("vera", "denied")
    assert event.details == {"method": "GET", "route": "/admin/audit/"}


def test_form_without_its_token_is_refused_in_words(tenant: Tenant, account: Callable[..., Account]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(account("dora").staff)

    answer = client.post("/admin/holds/place/", {"matter": "m", "reason": "r"})

    assert answer.status_code == 403
    assert "This form has expired" in answer.content.decode()
    assert "hold.placed" not in actions(tenant)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/admin/nothing/", 404, "There is nothing here"),
        ("/admin/holds/00000000-0000-7000-8000-000000000000/", 404, "There is nothing here"),
        ("/accounts/nothing/", 404, "There is nothing here"),
        ("/accounts/password/reset/", 200, "Ask a colleague"),
        ("/accounts/email/", 200, "Ask a colleague"),
        ("/accounts/signup/", 200, "Ask a colleague"),
        ("/accounts/inactive/", 200, "You cannot sign in"),
        ("/accounts/password/change/", 200, "Change Password"),
        ("/accounts/reauthenticate/", 200, "Confirm Access"),
        ("/accounts/2fa/", 200, "Second factors"),
        ("/accounts/2fa/totp/activate/", 200, "Activate Authenticator App"),
        ("/accounts/2fa/webauthn/", 200, "No passkeys yet"),
        ("/accounts/2fa/webauthn/add/", 200, "Add Security Key"),
        ("/accounts/3rdparty/", 200, "Single sign-on"),
        ("/accounts/3rdparty/login/cancelled/", 200, "Not signed in"),
        ("/accounts/3rdparty/login/error/", 401, "Single sign-on failed"),
    ],
)
def test_pages_around_signing_in_are_in_the_house_style(
    signed_in: Callable[..., Client], path: str, status: int, words: str
) -> None:
    answer = signed_in("dora").get(path)

    page = answer.content.decode()
    assert answer.status_code == status
    assert words in page
    assert "back_office/style.css" in page


def test_a_failed_page_looks_like_the_others(
    signed_in: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    from conversations.admin import home

    client = signed_in("dora")
    client.raise_request_exception = False
    monkeypatch.setattr(home, "read_activity", lambda tenant_id: 1 / 0)

    answer = client.get("/admin/?charts=yes")

    assert answer.status_code == 500
    assert "The error is ours" in answer.content.decode()


def test_person_sets_up_an_app_and_signs_in_with_it(
    settings, account: Callable[..., Account], officer: Callable[[], Officer]
) -> None:
    settings.REQUIRE_MFA = True
    dora, browser = account("dora"), officer()

    browser.sign_in("dora", dora.password)
    browser.page.get_by_role("link", name="Set up an app").click()
    secret = browser.page.get_by_label("Authenticator secret").input_value()
    browser.fill("Authenticator code", code_of(secret))
    browser.press("Activate")
    codes = browser.page.get_by_label("Unused codes").input_value().split()
    browser.page.get_by_role("link", name="Back to the back office").click()
    browser.page.get_by_role("heading", name="Needs attention").wait_for()
    browser.page.get_by_role("button", name="Sign out").click()
    browser.sign_in("dora", dora.password)
    browser.fill("Code", codes[0])
    browser.press("Sign In")

    browser.page.get_by_role("heading", name="Needs attention").wait_for()


def test_person_signs_in_with_a_passkey(
    settings, account: Callable[..., Account], officer: Callable[[], Officer]
) -> None:
    settings.REQUIRE_MFA = True
    dora, browser = account("dora"), officer()
    browser.url = browser.url.replace("127.0.0.1", "localhost")  # a passkey belongs to a name
    device = browser.context.new_cdp_session(browser.page)
    device.send("WebAuthn.enable")
    device.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )

    browser.sign_in("dora", dora.password)
    browser.page.get_by_role("link", name="Add a passkey").click()
    browser.page.get_by_role("button", name="Add").click()
    browser.page.get_by_label("Unused codes").wait_for()
    browser.page.get_by_role("link", name="Back to the back office").click()
    browser.page.get_by_role("button", name="Sign out").click()
    browser.sign_in("dora", dora.password)
    browser.page.get_by_role("button", name="Use a security key").click()

    browser.page.get_by_role("heading", name="Needs attention").wait_for()
