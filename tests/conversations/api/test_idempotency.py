"""An `Idempotency-Key` gives one effect and one answer, whatever is repeated, raced, failed or erased."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import InterfaceError, OperationalError, connection, connections
from django.test.utils import CaptureQueriesContext

from conversations import ids, keyring
from conversations.enums import KeyOwner
from conversations.exceptions import IdempotencyInFlight
from conversations.models import Customer, DataKey, IdempotencyRecord, Tombstone
from conversations.services import idempotency
from conversations.services.idempotency import Shown, StoredAnswer
from conversations.tenancy import tenant_scope
from tests.conversations.api.conftest import Caller, Issue

pytestmark = pytest.mark.usefixtures("sample_api")

ADA = {"external_id": "ada"}


def post(caller: Caller, body: Any = ADA, key: str = "k1", path: str = "/customers") -> Any:
    return caller("POST", path, body, idempotency_key=key)


def stored(caller: Caller) -> int:
    with tenant_scope(caller.tenant_id):
        return Customer.objects.count()


@pytest.mark.parametrize("path", ["/customers", "/bypassing"])
def test_key_repeated_gets_the_first_answer(caller: Caller, path: str) -> None:
    first = post(caller, path=path)

    again = post(caller, path=path)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert "Idempotency-Replayed" not in first
    assert again["Idempotency-Replayed"] == "true"
    assert again["Content-Type"] == first["Content-Type"]
    assert stored(caller) == 1


def test_key_with_another_body_is_refused(caller: Caller) -> None:
    post(caller)

    other = post(caller, {"external_id": "bob"})
    elsewhere = post(caller, path="/bypassing")

    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (422, "idempotency_key_reused")
    assert stored(caller) == 1


def test_key_of_another_tenant_is_another_key(issue: Issue) -> None:
    mine, theirs = issue(), issue()
    first = post(mine)

    other = post(theirs)

    assert other.status_code == 201
    assert "Idempotency-Replayed" not in other
    assert other.content != first.content


@pytest.mark.parametrize(
    ("failing", "status"), [("conflict", 409), ("defect", 500), ("away", 503), ("x" * 21, 400)]
)
def test_key_is_not_used_up_by_a_failure(caller: Caller, failing: str, status: int) -> None:
    failed = post(caller, {"external_id": failing})
    assert failed.status_code == status
    assert stored(caller) == 0

    then = post(caller)

    assert then.status_code == 201
    assert stored(caller) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "ключ", "a\tb"])
def test_key_that_cannot_be_one_is_invalid(caller: Caller, key: str) -> None:
    response = post(caller, key=key)

    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "Idempotency-Key")
    assert stored(caller) == 0


def test_key_in_flight_is_a_conflict_until_the_first_ends(caller: Caller) -> None:
    """Another connection holds the key as a request at work would."""
    held, done = threading.Event(), threading.Event()

    def first_request() -> None:
        with tenant_scope(caller.tenant_id):
            idempotency.recall_answer(tenant_id=caller.tenant_id, key="k1", fingerprint=b"f")
            held.set()
            done.wait(10)
        connection.close()

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(first_request)
        assert held.wait(10)
        second = post(caller)
        done.set()
        working.result()
    third = post(caller)

    assert (second.status_code, second.json()["code"]) == (409, "idempotency_in_flight")
    assert third.status_code == 201
    assert stored(caller) == 1


def test_key_raced_by_many_has_one_effect(caller: Caller) -> None:
    def race(_: int) -> tuple[int, bytes]:
        try:
            response = post(caller)
            return response.status_code, response.content
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(race, range(24)))

    assert stored(caller) == 1
    assert {status for status, _ in answers} <= {201, 409}
    assert len({content for status, content in answers if status == 201}) == 1


def test_key_of_a_connection_that_died_is_free(caller: Caller) -> None:
    def die_at_work() -> None:
        with (
            suppress(psycopg.OperationalError, OperationalError, InterfaceError),
            tenant_scope(caller.tenant_id),
        ):
            idempotency.recall_answer(tenant_id=caller.tenant_id, key="k1", fingerprint=b"f")
            connection.connection.close()
        connection.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(die_at_work).result()

    assert post(caller).status_code == 201


def test_key_stored_between_look_and_lock_rolls_back(caller: Caller) -> None:
    answer, shown = StoredAnswer(201, b"{}"), Shown(KeyOwner.TENANT, caller.tenant_id)
    arguments = {
        "tenant_id": caller.tenant_id,
        "key": "k1",
        "fingerprint": b"f",
        "answer": answer,
        "shown": shown,
    }
    with tenant_scope(caller.tenant_id):
        idempotency.remember_answer(**arguments)

    def effect_and_answer() -> None:
        with tenant_scope(caller.tenant_id):
            Customer.objects.create(tenant_id=caller.tenant_id, external_id="late")
            idempotency.remember_answer(**arguments)

    with pytest.raises(IdempotencyInFlight):
        effect_and_answer()

    assert stored(caller) == 0


def test_key_is_free_again_after_a_day(caller: Caller) -> None:
    post(caller)
    _age(caller, timedelta(hours=24, seconds=1))

    again = post(caller, {"external_id": "bob"})

    assert again.status_code == 201
    assert "Idempotency-Replayed" not in again
    assert stored(caller) == 2


def test_key_is_kept_for_a_day(caller: Caller) -> None:
    post(caller)
    _age(caller, timedelta(hours=23, minutes=59))

    assert post(caller)["Idempotency-Replayed"] == "true"


def test_answers_older_than_a_day_are_forgotten(caller: Caller) -> None:
    post(caller, key="old")
    _age(caller, timedelta(hours=25))
    post(caller, {"external_id": "bob"}, key="new")

    assert idempotency.forget_answers() == 1

    with tenant_scope(caller.tenant_id):
        assert [record.key for record in IdempotencyRecord.objects.all()] == ["new"]


def test_answer_is_sealed(caller: Caller) -> None:
    post(caller)

    with tenant_scope(caller.tenant_id):
        record = IdempotencyRecord.objects.get()
        key = DataKey.objects.get(id=record.subject_key_id)
        customer = Customer.objects.get()

    assert b"ada" not in bytes(record.sealed_answer)
    assert (key.owner, key.owner_id) == (KeyOwner.CUSTOMER, customer.id)


def test_answer_of_an_erased_customer_is_gone(caller: Caller) -> None:
    post(caller)
    with tenant_scope(caller.tenant_id):
        DataKey.objects.filter(owner=KeyOwner.CUSTOMER).update(wrapped=None, destroyed_at=ids.now())
    keyring.forget()

    again = post(caller)

    assert (again.status_code, again.json()["code"]) == (410, "erased")


def test_answer_that_shows_a_row_now_gone_is_gone(caller: Caller) -> None:
    shown = post(caller).json()["id"]
    with tenant_scope(caller.tenant_id):
        Tombstone.objects.create(
            tenant_id=caller.tenant_id, kind="customer", object_id=shown, reason="deleted"
        )

    again = post(caller)

    assert (again.status_code, again.json()["code"]) == (410, "erased")


def test_key_costs_two_statements(caller: Caller) -> None:
    handled = StoredAnswer(201, b"{}")
    shown = Shown(KeyOwner.TENANT, caller.tenant_id)

    with tenant_scope(caller.tenant_id), CaptureQueriesContext(connection) as with_key:
        idempotency.recall_answer(tenant_id=caller.tenant_id, key="k2", fingerprint=b"f")
        idempotency.remember_answer(
            tenant_id=caller.tenant_id, key="k2", fingerprint=b"f", answer=handled, shown=shown
        )

    assert len(with_key) == 2


def _age(caller: Caller, by: timedelta) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute(f"UPDATE {IdempotencyRecord._meta.db_table} SET created_at = created_at - %s", [by])
