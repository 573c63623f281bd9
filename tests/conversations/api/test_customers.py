"""Customers over HTTP: by their own id, whatever it is made of, until they are erased."""

from urllib.parse import quote

import pytest

from conversations.models import Customer

ODD_IDS = [
    "ann",
    "shop/7",
    "a/portrait-of",
    "客户/一",
    "50%",
    "a%2Fb",
    "a?b#c",
    "tel:+65 9123 4567",
    "x" * 255,
    ".",
    "two\nlines",
]


def quoted(customer_id: str) -> str:
    return quote(customer_id, safe="")


def test_a_customer_is_made_replaced_and_listed(caller):
    made = caller("PUT", "/customers/ann", {"metadata": {"tier": "gold"}, "language": "en"})
    assert (made.status_code, made.json()["metadata"], made.json()["language"]) == (
        201,
        {"tier": "gold"},
        "en",
    )

    replaced = caller("PUT", "/customers/ann", {"metadata": {"a": 1}})
    assert (replaced.status_code, replaced.json()["metadata"], replaced.json()["language"]) == (
        200,
        {"a": 1},
        None,
    )
    assert replaced.json()["created_at"] == made.json()["created_at"]

    caller("PUT", "/customers/bob")
    listed = caller("GET", "/customers").json()
    assert [one["customer_id"] for one in listed["data"]] == ["bob", "ann"]
    page = caller("GET", f"/customers?limit=1&after={listed['first_id']}").json()
    assert [one["customer_id"] for one in page["data"]] == ["ann"]
    assert caller("GET", "/customers/ann").json() == replaced.json()


def test_an_id_that_is_too_long_is_refused_where_it_would_be_written_and_unknown_where_read(caller):
    path = f"/customers/{'x' * 256}"
    writes = [
        ("PUT", path, {}),
        ("PATCH", f"{path}/portrait", {"summary": "s"}),
        ("PUT", f"{path}/preferences/tone", {"value": 1}),
        ("PUT", f"{path}/summary", {"session_count": 1}),
    ]

    for method, route, body in writes:
        answer = caller(method, route, body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "customer_id"), route
    assert caller("GET", path).status_code == caller("DELETE", path).status_code == 404
    assert caller("GET", "/customers").json()["data"] == []


@pytest.mark.parametrize("customer_id", ODD_IDS)
def test_any_id_reaches_its_customer(caller, customer_id):
    path = f"/customers/{quoted(customer_id)}"

    assert caller("PUT", path, {}).status_code == 201
    assert caller("GET", path).json()["customer_id"] == customer_id
    session = caller("POST", "/sessions", {"customer_id": customer_id}).json()
    assert [one["id"] for one in caller("GET", f"{path}/sessions").json()["data"]] == [session["id"]]
    assert caller("GET", f"{path}/portrait").json()["customer_id"] == customer_id


@pytest.mark.parametrize("path", ["/customers/", "/customers/%00", "/customers/a%00b"])
def test_what_is_no_id_is_not_found(caller, path):
    assert caller("PUT", path, {}).status_code == 404


@pytest.mark.parametrize(
    "body",
    [{"metadata": []}, {"metadata": {"a": "x" * 70_000}}, {"language": ""}, {"external_id": "bob"}, []],
)
def test_what_breaks_a_rule_makes_nobody(caller, body):
    assert caller("PUT", "/customers/ann", body).status_code == 400
    assert caller("GET", "/customers/ann").status_code == 404


def test_sessions_and_messages_across_sessions_newest_first(caller):
    sessions = [caller("POST", "/sessions", {"customer_id": "ann"}).json()["id"] for _ in range(2)]
    for number, session in enumerate((*sessions, *sessions)):
        caller("POST", f"/sessions/{session}/messages", {"role": "user", "content": f"number {number}"})
    caller("POST", "/sessions", {"customer_id": "bob"})

    listed = caller("GET", "/customers/ann/sessions").json()
    said = caller("GET", "/customers/ann/messages").json()

    assert [one["id"] for one in listed["data"]] == sessions[::-1]
    assert [one["content"] for one in said["data"]] == [f"number {i}" for i in (3, 2, 1, 0)]
    assert {one["customer_id"] for one in said["data"]} == {"ann"}
    page = caller("GET", f"/customers/ann/messages?limit=2&after={said['data'][1]['id']}").json()
    assert [one["content"] for one in page["data"]] == ["number 1", "number 0"]
    assert caller("GET", "/customers/ann/messages?offset=1").status_code == 400


def test_erasing_needs_the_scope_of_compliance_and_ends_in_410(caller, issue):
    caller("PUT", "/customers/ann", {"metadata": {"a": 1}})
    caller("PATCH", "/customers/ann/portrait", {"preferences": {"a": 1}})
    writer = issue("read", "write", tenant=caller)
    assert writer("DELETE", "/customers/ann").status_code == 403
    assert caller("GET", "/customers/ann").status_code == 200

    erased = caller("DELETE", "/customers/ann")

    assert (erased.status_code, erased.json()["object"]) == (202, "erasure_case")
    for path in ("", "/sessions", "/messages", "/portrait", "/portrait/history", "/preferences", "/summary"):
        gone = caller("GET", f"/customers/ann{path}")
        assert (gone.status_code, gone.json()["code"]) == (410, "erased"), path
    assert caller("DELETE", "/customers/ann").status_code == 410
    assert caller("GET", "/customers").json()["data"] == []


def test_who_comes_back_after_an_erasure_is_somebody_new(caller):
    first = caller("PUT", "/customers/ann", {"metadata": {"a": 1}}).json()
    caller("PATCH", "/customers/ann/portrait", {"preferences": {"a": 1}})
    caller("DELETE", "/customers/ann")

    again = caller("PUT", "/customers/ann", {})

    assert again.status_code == 201
    assert again.json()["id"] != first["id"]
    assert caller("GET", "/customers/ann/preferences").json()["preferences"] == {}
    assert Customer.objects.using("ops").filter(external_id="ann").count() == 1


def test_customers_of_another_tenant_do_not_exist(caller, issue):
    caller("PUT", "/customers/ann", {"metadata": {"a": 1}})
    stranger = issue()

    assert stranger("GET", "/customers/ann").status_code == 404
    assert stranger("DELETE", "/customers/ann").status_code == 404
    assert stranger("GET", "/customers").json()["data"] == []
    assert stranger("PUT", "/customers/ann", {"metadata": {"b": 2}}).status_code == 201
    assert caller("GET", "/customers/ann").json()["metadata"] == {"a": 1}
