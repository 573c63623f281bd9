"""Pages by keyset: every walk sees every row once, in order, and knows when it is at the end."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from conversations.api.pagination import NEWEST_FIRST, Page, PageQuery, paginate
from conversations.exceptions import Invalid
from conversations.filters.ordering import Order, OrderKey
from conversations.models import Customer, Session
from conversations.tenancy import tenant_scope
from tests.conversations.api.conftest import Caller, Issue

BY_LANGUAGE = Order((OrderKey("language"), OrderKey("id")))  # with ties
# The one order with nulls; sessions without a message have no time of their last one.
BY_ACTIVITY = Order((OrderKey("last_message_at", descending=True), OrderKey("id", descending=True)))


@pytest.fixture
def customers(caller: Caller) -> list[Customer]:
    """Seven customers, oldest first."""
    with tenant_scope(caller.tenant_id):
        return [
            Customer.objects.create(tenant_id=caller.tenant_id, external_id=name, language=language)
            for name, language in zip("0123456", "abbcaba", strict=True)
        ]


def page(caller: Caller, by: Order = NEWEST_FIRST, **query: Any) -> Page[Customer]:
    with tenant_scope(caller.tenant_id):
        return paginate(Customer.objects.for_tenant(caller.tenant_id), PageQuery(**query), order=by)


def names(*pages: Page[Customer]) -> str:
    return "".join(str(row.external_id) for shown in pages for row in shown.rows)


def test_page_is_newest_first(caller: Caller, customers: list[Customer]) -> None:
    shown = page(caller)

    assert names(shown) == "6543210"
    assert not shown.has_more


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8])
@pytest.mark.parametrize("by", [NEWEST_FIRST, BY_LANGUAGE], ids=["id", "language"])
@pytest.mark.parametrize("order", ["asc", "desc", None])
def test_walk_in_either_direction_sees_every_row_once(
    caller: Caller, customers: list[Customer], limit: int, by: Order, order: str | None
) -> None:
    whole = names(page(caller, by, order=order))

    forth = [page(caller, by, order=order, limit=limit)]
    while forth[-1].has_more:
        forth.append(page(caller, by, order=order, limit=limit, after=forth[-1].rows[-1].id))
    back = [forth[-1]]
    while names(*back)[0] != whole[0]:
        back.insert(0, page(caller, by, order=order, limit=limit, before=back[0].rows[0].id))

    assert names(*forth) == whole
    assert names(*back) == whole
    assert [shown.has_more for shown in forth] == [True] * (len(forth) - 1) + [False]
    assert len(back) == 1 or not back[0].has_more
    assert all(shown.has_more for shown in back[1:-1])


def test_page_before_is_next_to_the_cursor_in_list_order(caller: Caller, customers: list[Customer]) -> None:
    shown = page(caller, before=customers[1].id, limit=2)

    assert names(shown) == "32"
    assert shown.has_more  # there is more in the direction walked: towards the newest


def test_page_beyond_the_end_is_empty(caller: Caller, customers: list[Customer]) -> None:
    shown = page(caller, after=customers[0].id).answer(lambda row: row.external_id)

    assert (shown.data, shown.first_id, shown.last_id, shown.has_more) == ([], None, None, False)


def test_page_order_with_nulls_and_ties(caller: Caller) -> None:
    moments = [None, "2026-01-01T00:00:00Z", None, "2026-01-02T00:00:00Z", "2026-01-02T00:00:00Z", None]
    with tenant_scope(caller.tenant_id):
        for moment in moments:
            Session.objects.create(tenant_id=caller.tenant_id, last_message_at=moment)
        rows = Session.objects.for_tenant(caller.tenant_id)
        whole = [row.id for row in paginate(rows, PageQuery(), order=BY_ACTIVITY).rows]
        walked, cursor = [], None
        for _ in moments:
            shown = paginate(rows, PageQuery(limit=1, after=cursor), order=BY_ACTIVITY)
            cursor = shown.rows[0].id
            walked.append(cursor)

    assert walked == whole
    assert len(set(walked)) == len(moments)


@pytest.mark.parametrize("name", ["after", "before"])
def test_page_cursor_that_no_entry_can_have_is_invalid(caller: Caller, name: str) -> None:
    with pytest.raises(Invalid) as refused:
        page(caller, **{name: uuid4()})

    assert [(e.field, e.code) for e in refused.value.errors] == [(name, "bad_cursor")]


@pytest.mark.parametrize(("walk", "expected"), [("after", "210"), ("before", "654")])
def test_page_goes_on_where_its_cursor_stood(
    caller: Caller, customers: list[Customer], walk: str, expected: str
) -> None:
    with tenant_scope(caller.tenant_id):
        Customer.objects.filter(id=customers[3].id).delete()

    shown = page(caller, **{walk: customers[3].id})

    assert names(shown) == expected


@pytest.mark.parametrize("walk", ["after", "before"])
def test_page_cursor_of_another_tenant_is_a_place_and_tells_nothing(
    caller: Caller, issue: Issue, customers: list[Customer], walk: str
) -> None:
    stranger = issue()
    with tenant_scope(stranger.tenant_id):
        theirs = Customer.objects.create(tenant_id=stranger.tenant_id, external_id="x")

    assert names(page(caller, **{walk: theirs.id})) == ("6543210" if walk == "after" else "")


def test_page_whose_cursor_is_gone_is_invalid_where_its_place_is_unknown(
    caller: Caller, customers: list[Customer]
) -> None:
    with tenant_scope(caller.tenant_id):
        Customer.objects.filter(id=customers[3].id).delete()

    with pytest.raises(Invalid) as refused:
        page(caller, BY_LANGUAGE, after=customers[3].id)

    assert [(e.field, e.code) for e in refused.value.errors] == [("after", "bad_cursor")]


def test_page_cursor_outside_of_a_filter_counts_where_allowed(
    caller: Caller, customers: list[Customer]
) -> None:
    with tenant_scope(caller.tenant_id):
        every = Customer.objects.for_tenant(caller.tenant_id)
        rows, query = every.filter(language="b"), PageQuery(after=customers[0].id)
        shown = paginate(rows, query, order=BY_LANGUAGE, cursors=every)

    assert names(shown) == "125"


def test_page_with_both_cursors_is_invalid() -> None:
    with pytest.raises(ValueError, match="not both"):
        PageQuery(after=uuid4(), before=uuid4())


@pytest.mark.parametrize(("by", "looked_up"), [(NEWEST_FIRST, 0), (BY_LANGUAGE, 1)], ids=["id", "language"])
def test_page_costs_one_statement_and_a_cursor_at_most_one_more(
    caller: Caller, customers: list[Customer], by: Order, looked_up: int
) -> None:
    with tenant_scope(caller.tenant_id):
        rows = Customer.objects.for_tenant(caller.tenant_id)
        with CaptureQueriesContext(connection) as first:
            paginate(rows, PageQuery(limit=1), order=by)
        with CaptureQueriesContext(connection) as next_one:
            paginate(rows, PageQuery(limit=3, after=customers[6].id), order=by)

    assert (len(first), len(next_one)) == (1, 1 + looked_up)


@pytest.mark.usefixtures("sample_api")
def test_list_as_answered(caller: Caller, customers: list[Customer]) -> None:
    answered = caller("GET", f"/customers?limit=2&after={customers[6].id}").json()

    assert [row["external_id"] for row in answered.pop("data")] == ["5", "4"]
    assert answered == {
        "object": "list",
        "first_id": str(customers[5].id),
        "last_id": str(customers[4].id),
        "has_more": True,
    }


@pytest.mark.usefixtures("sample_api")
@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "after=x", "after=0190a0b0-0000-4000-8000-000000000001", "order=up", "offset=1"],
)
def test_list_refuses_bad_parameters(caller: Caller, query: str) -> None:
    response = caller("GET", f"/customers?{query}")

    assert (response.status_code, response.json()["code"]) == (400, "invalid")
