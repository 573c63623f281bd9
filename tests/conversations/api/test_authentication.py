"""The key comes in one header, decides the tenant, and may do what its scopes say."""

import time
from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client

from conversations import ids
from conversations.enums import Scope
from conversations.models import Customer
from conversations.services.accounts import api_keys, tenants
from conversations.tenancy import tenant_scope
from tests.conversations.api.conftest import Caller, Issue

pytestmark = pytest.mark.usefixtures("sample_api")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer rmb_short",
        "Bearer " + "x" * 5000,
        "Bearer rmb_ABCDEFGHJKLM_ключ",
        "Basic dXNlcjpwYXNz",
        "Token {key}",
        "{key}",
        "Bearer {key}x",
        "Bearer {cut}",
        "Bearer {altered}",
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/customers", "/api/v1/bypassing"])
def test_key_that_is_not_in_force_is_refused(caller: Caller, header: str, path: str) -> None:
    altered = caller.key[:30] + ("A" if caller.key[30] != "A" else "B") + caller.key[31:]
    header = header.format(key=caller.key, cut=caller.key[:-1], altered=altered)

    response = Client(headers={"authorization": header}).post(path, {"external_id": "x"}, "application/json")

    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")
    assert response["WWW-Authenticate"] == "Bearer"
    with tenant_scope(caller.tenant_id):
        assert not Customer.objects.exists()


def test_key_in_query_or_body_is_no_key(caller: Caller) -> None:
    response = Client().get(
        "/api/v1/customers", {"authorization": f"Bearer {caller.key}", "api_key": caller.key}
    )

    assert response.status_code == 401


def test_key_scheme_is_read_in_any_case(caller: Caller) -> None:
    response = Client(headers={"authorization": f"bEARER {caller.key}"}).get("/api/v1/customers")

    assert response.status_code == 200


def test_key_revoked_is_refused(caller: Caller) -> None:
    assert caller("GET", "/customers").status_code == 200

    api_keys.revoke_key(key_id=caller.key_id)

    assert caller("GET", "/customers").status_code == 401


def test_key_expired_is_refused(caller: Caller) -> None:
    owner = tenants.get_tenant(str(caller.tenant_id))
    expires_at = ids.now() + timedelta(seconds=3)
    key = api_keys.create_key(tenant=owner, scopes=["read"], expires_at=expires_at)
    expiring = Caller(owner.id, key.key, key.id)
    assert expiring("GET", "/customers").status_code == 200

    time.sleep(max(0, (expires_at - ids.now()).total_seconds()))

    assert expiring("GET", "/customers").status_code == 401


@pytest.mark.parametrize("scope", list(Scope))
def test_scope_opens_its_methods_only(issue: Issue, scope: Scope) -> None:
    caller = issue(scope.value)

    reading = caller("GET", "/customers").status_code
    writing = caller("POST", "/customers", {"external_id": "x"}).status_code

    assert reading == (200 if scope is Scope.READ else 403)
    assert writing == (201 if scope is Scope.WRITE else 403)


def test_scope_of_head_is_that_of_get(issue: Issue) -> None:
    assert issue("read")("HEAD", "/customers").status_code == 200
    assert issue("write")("HEAD", "/customers").status_code == 403


def test_method_that_nobody_declared_is_denied(caller: Caller) -> None:
    response = caller("PUT", f"/customers/{uuid4()}", {})

    assert (response.status_code, response.json()["code"]) == (403, "forbidden")


def test_key_decides_the_tenant(issue: Issue) -> None:
    mine, theirs = issue(), issue()
    mine("POST", "/customers", {"external_id": "ada"})

    assert len(mine("GET", "/customers").json()["data"]) == 1
    assert theirs("GET", "/customers").json()["data"] == []
