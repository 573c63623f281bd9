import pytest

from conversations.exceptions import Invalid
from conversations.filters import Kind, parse_order
from conversations.filters.ordering import OrderKey


@pytest.mark.parametrize("raw", [None, []])
def test_no_order_is_the_default(raw):
    assert parse_order(raw, Kind.MEMORIES).keys == (OrderKey("id", descending=True),)


def test_the_id_breaks_ties_in_the_direction_of_the_last_key():
    assert parse_order(["-created_at"], Kind.MESSAGES).keys == (
        OrderKey("created_at", descending=True),
        OrderKey("id", descending=True),
    )


def test_nothing_can_follow_the_id():
    assert parse_order(["id", "-created_at"], Kind.MESSAGES).keys == (OrderKey("id"),)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        ("created_at", Kind.MESSAGES),
        ([1], Kind.MESSAGES),
        (["role"], Kind.MESSAGES),
        (["--id"], Kind.MESSAGES),
        (["last_message_at"], Kind.MESSAGES),
        (["position"], Kind.SESSIONS),
        (["id", "-id"], Kind.SESSIONS),
        ([""], Kind.SESSIONS),
    ],
)
def test_another_order_is_refused_with_the_allowed_ones(raw, kind):
    with pytest.raises(Invalid) as caught:
        parse_order(raw, kind)

    (error,) = caught.value.errors
    assert error.field == "order_by"
