"""The real routes with an `Idempotency-Key`: what they answered, until what it showed is gone."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from conversations import ids, keyring
from conversations.enums import KeyOwner
from conversations.models import DataKey, IdempotencyRecord, Message, Session
from conversations.tenancy import tenant_scope
from tests.conversations.api.conftest import Caller

MESSAGE = {"role": "user", "content": "Where is my parcel?"}


@pytest.fixture
def session(caller: Caller) -> dict[str, Any]:
    return caller("POST", "/sessions", {"customer_id": "ada"}).json()


def append(caller: Caller, session: dict[str, Any], body: Any = MESSAGE, key: str = "k1") -> Any:
    return caller("POST", f"/sessions/{session['id']}/messages", body, idempotency_key=key)


@pytest.mark.parametrize("body", [MESSAGE, {"messages": [MESSAGE, MESSAGE]}], ids=["one", "batch"])
def test_append_repeated_stores_once(caller: Caller, session: dict[str, Any], body: Any) -> None:
    first, again = append(caller, session, body), append(caller, session, body)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again["Idempotency-Replayed"] == "true"
    with tenant_scope(caller.tenant_id):
        assert Message.objects.count() == len(body.get("messages", [1]))


def test_append_answer_is_sealed_under_the_customers_key(caller: Caller, session: dict[str, Any]) -> None:
    append(caller, session)

    with tenant_scope(caller.tenant_id):
        record = IdempotencyRecord.objects.get()
        key = DataKey.objects.get(id=record.subject_key_id)
    assert key.owner == KeyOwner.CUSTOMER
    assert b"parcel" not in bytes(record.sealed_answer)


def test_append_answer_dies_with_the_customers_key(caller: Caller, session: dict[str, Any]) -> None:
    append(caller, session)
    with tenant_scope(caller.tenant_id):
        DataKey.objects.filter(owner=KeyOwner.CUSTOMER).update(wrapped=None, destroyed_at=ids.now())
    keyring.forget()

    again = append(caller, session)

    assert (again.status_code, again.json()["code"]) == (410, "erased")


@pytest.mark.parametrize("model", [Message, Session])
def test_append_answer_goes_when_its_message_or_session_is_hidden(
    caller: Caller, session: dict[str, Any], model: Any
) -> None:
    append(caller, session)
    with tenant_scope(caller.tenant_id):
        model.objects.update(hidden_at=ids.now())

    again = append(caller, session)

    assert (again.status_code, again.json()["code"]) == (410, "erased")


def test_append_with_a_key_takes_a_transaction_and_three_statements_more(
    caller: Caller, session: dict[str, Any]
) -> None:
    append(caller, session, key="warm")
    with CaptureQueriesContext(connection) as plain:
        caller("POST", f"/sessions/{session['id']}/messages", MESSAGE)

    with CaptureQueriesContext(connection) as keyed:
        append(caller, session, key="k2")

    # The append itself goes past Django's cursor. BEGIN and COMMIT; the tenant announced, the answer looked for and kept.
    assert (len(plain), len(keyed)) == (0, 5)


def test_session_made_once(caller: Caller) -> None:
    first = caller("POST", "/sessions", {"channel": "web"}, idempotency_key="s1")
    again = caller("POST", "/sessions", {"channel": "web"}, idempotency_key="s1")

    assert again.content == first.content
    with tenant_scope(caller.tenant_id):
        assert Session.objects.count() == 1
