"""Single sign-on by OpenID Connect, against a service that answers over a real socket."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.mfa.totp.internal.auth import TOTP
from django.test import Client

from tests.admin.conftest import Account
from tests.admin.test_signing_in import SECRET, code_of

SUBJECT = "subject-7"


class _Service(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        here = f"http://127.0.0.1:{self.server.server_port}"
        if "well-known" in self.path:
            self._answer(
                {
                    "issuer": here,
                    "authorization_endpoint": f"{here}/authorize",
                    "token_endpoint": f"{here}/token",
                    "userinfo_endpoint": f"{here}/userinfo",
                    "jwks_uri": f"{here}/keys",
                }
            )
        else:
            self._answer({"sub": SUBJECT, "email": "dora@acme.example", "email_verified": True})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer({"access_token": "t", "token_type": "Bearer", "expires_in": 60})

    def _answer(self, body: dict) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(autouse=True)
def service(settings) -> Iterator[None]:
    server = HTTPServer(("127.0.0.1", 0), _Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    app = {
        "provider_id": "sso",
        "name": "Acme ID",
        "client_id": "c",
        "secret": "s",
        "settings": {"server_url": url},
    }
    settings.SSO_URL = url
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [app]}}
    yield
    server.shutdown()
    server.server_close()


def by_the_service(client: Client, process: str = "login"):
    """Go there and come back, as a browser does."""
    begun = client.post(f"/accounts/oidc/sso/login/?process={process}")
    asked = parse_qs(urlsplit(begun["Location"]).query)
    return client.get("/accounts/oidc/sso/login/callback/", {"code": "x", "state": asked["state"][0]})


def test_person_connects_an_account_and_signs_in_by_it(account: Callable[..., Account]) -> None:
    dora, client = account("dora"), Client()
    client.post("/accounts/login/", {"login": "dora", "password": dora.password})
    connected = by_the_service(client, "connect")
    client.post("/admin/logout/")

    offered = client.get("/accounts/login/")
    answer = by_the_service(client)

    assert connected["Location"] == "/accounts/3rdparty/"
    assert "Sign in with Acme ID" in offered.content.decode()
    assert answer["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_second_factor_is_asked_for_after_single_sign_on(account: Callable[..., Account]) -> None:
    dora, client = account("dora"), Client()
    client.post("/accounts/login/", {"login": "dora", "password": dora.password})
    by_the_service(client, "connect")
    client.post("/admin/logout/")
    TOTP.activate(dora.staff, SECRET)

    half = by_the_service(client)
    before = client.get("/admin/")
    client.post(half["Location"], {"code": code_of(SECRET)})

    assert half["Location"] == "/accounts/2fa/authenticate/"
    assert before.status_code == 302
    assert client.get("/admin/").status_code == 200


def test_stranger_with_the_same_address_does_not_get_in(account: Callable[..., Account]) -> None:
    account("dora")
    client = Client()

    answer = by_the_service(client)

    assert "This account is not connected" in answer.content.decode()
    assert client.get("/admin/").status_code == 302
