import pytest

from conversations.exceptions import Invalid
from conversations.filters import (
    And,
    Comparison,
    FieldPath,
    FieldType,
    Kind,
    Membership,
    Not,
    Operator,
    Or,
    parse_filter,
    unindexed_fields,
)

ROLE = FieldPath("role", FieldType.ROLE)
TAGS = FieldPath("metadata", FieldType.JSON, ("tags",))


def refused(raw, kind=Kind.MESSAGES):
    with pytest.raises(Invalid) as caught:
        parse_filter(raw, kind)
    return [(error.field, error.code) for error in caught.value.errors]


def test_a_value_alone_means_equality():
    assert parse_filter({"role": "user"}, Kind.MESSAGES) == Comparison(ROLE, Operator.EQ, "user")


def test_members_of_an_object_are_joined_by_and():
    tree = parse_filter({"role": {"$ne": "tool"}, "metadata.tags": {"$nin": ["a"]}}, Kind.MESSAGES)

    assert tree == And((Not(Comparison(ROLE, Operator.EQ, "tool")), Not(Membership(TAGS, ("a",)))))


def test_an_empty_filter_has_no_condition():
    assert parse_filter({}, Kind.SESSIONS) == And(())


def test_or_keeps_its_empty_part():
    assert parse_filter({"$or": [{}, {"role": "user"}]}, Kind.MESSAGES) == Or(
        (And(()), Comparison(ROLE, Operator.EQ, "user"))
    )


@pytest.mark.parametrize(
    ("alias", "kind", "name"),
    [
        ("user_id", Kind.MESSAGES, "customer_id"),
        ("message_type", Kind.MESSAGES, "role"),
        ("message_id", Kind.MESSAGES, "external_id"),
        ("timestamp", Kind.MESSAGES, "occurred_at"),
        ("thread_id", Kind.SESSIONS, "external_id"),
        ("conversation_id", Kind.SESSIONS, "external_id"),
        ("user_id", Kind.SUMMARIES, "customer_id"),
        ("user_id", Kind.MEMORIES, "customer_id"),
    ],
)
def test_an_alias_stands_for_its_field(alias, kind, name):
    value = "2026-01-01T00:00:00Z" if alias == "timestamp" else "x"

    assert parse_filter({alias: value}, kind) == parse_filter({name: value}, kind)


@pytest.mark.parametrize("kind", Kind)
def test_an_unknown_field_is_refused_with_the_allowed_ones(kind):
    with pytest.raises(Invalid) as caught:
        parse_filter({"sealed": "x"}, kind)

    (error,) = caught.value.errors
    assert (error.field, error.code) == ("filter.sealed", "unknown_field")
    assert error.detail.startswith("filter.sealed is not a field")
    assert "customer_id" in error.detail


@pytest.mark.parametrize(
    ("raw", "place", "code"),
    [
        (None, "filter", "wrong_type"),
        ([], "filter", "wrong_type"),
        ({"$where": "1"}, "filter.$where", "unknown_operator"),
        ({"$not": {"role": "user"}}, "filter.$not", "unknown_operator"),
        ({"$nor": []}, "filter.$nor", "unknown_operator"),
        ({"$and": []}, "filter.$and", "wrong_type"),
        ({"$or": {}}, "filter.$or", "wrong_type"),
        ({"$or": [{}, 1]}, "filter.$or[1]", "wrong_type"),
        ({"$or": [{"nope": 1}]}, "filter.$or[0].nope", "unknown_field"),
        ({"role": {"$regex": ".*"}}, "filter.role.$regex", "unknown_operator"),
        ({"role": {"tool": 1}}, "filter.role.tool", "unknown_operator"),
        ({"role": {}}, "filter.role", "empty"),
        ({"role": {"$not": "user"}}, "filter.role.$not", "wrong_type"),
        ({"role": {"$not": {}}}, "filter.role.$not", "empty"),
        ({"role": ["user"]}, "filter.role", "wrong_type"),
        ({"role": {"$in": "user"}}, "filter.role.$in", "wrong_type"),
        ({"role": {"$in": ["user", 1]}}, "filter.role.$in", "wrong_type"),
        ({"role": {"$exists": 1}}, "filter.role.$exists", "wrong_type"),
        ({"role": {"$gt": None}}, "filter.role.$gt", "wrong_type"),
        ({"role": 1}, "filter.role", "wrong_type"),
        ({"role": "a\0b"}, "filter.role", "wrong_type"),
        ({"role": "\ud800"}, "filter.role", "wrong_type"),
        ({"role.x": "user"}, "filter.role.x", "unknown_field"),
        ({"position": "1"}, "filter.position", "wrong_type"),
        ({"position": True}, "filter.position", "wrong_type"),
        ({"position": 1.0}, "filter.position", "wrong_type"),
        ({"position": 2**63}, "filter.position", "wrong_type"),
        ({"intent_confidence": "0.5"}, "filter.intent_confidence", "wrong_type"),
        ({"intent_confidence": float("nan")}, "filter.intent_confidence", "wrong_type"),
        ({"intent_confidence": float("inf")}, "filter.intent_confidence", "wrong_type"),
        ({"intent_confidence": False}, "filter.intent_confidence", "wrong_type"),
        ({"created_at": "2026-01-01"}, "filter.created_at", "wrong_type"),
        ({"created_at": "2026-01-01T00:00:00"}, "filter.created_at", "wrong_type"),
        ({"created_at": "0001-01-01T00:00:00+14:00"}, "filter.created_at", "wrong_type"),
        ({"created_at": 1767225600}, "filter.created_at", "wrong_type"),
        ({"id": "no-uuid"}, "filter.id", "wrong_type"),
        ({"session_id": 5}, "filter.session_id", "wrong_type"),
        ({"metadata": {}}, "filter.metadata", "unknown_field"),
        ({"metadata.": 1}, "filter.metadata.", "invalid_path"),
        ({"metadata.a..b": 1}, "filter.metadata.a..b", "invalid_path"),
        ({"metadata.a\0": 1}, "filter.metadata.a\0", "invalid_path"),
        ({"metadata.a": {"$gt": True}}, "filter.metadata.a.$gt", "wrong_type"),
        ({"metadata.a": {"$eq": {"b": 1}}}, "filter.metadata.a.$eq", "wrong_type"),
        ({"metadata.a": {"$eq": 10**400}}, "filter.metadata.a.$eq", "wrong_type"),
    ],
)
def test_what_the_language_lacks_is_refused_at_its_place(raw, place, code):
    assert refused(raw) == [(place, code)]


def test_every_error_is_told_at_once():
    assert refused({"nope": 1, "role": 2, "$or": [{"position": "x"}]}) == [
        ("filter.nope", "unknown_field"),
        ("filter.role", "wrong_type"),
        ("filter.$or[0].position", "wrong_type"),
    ]


def test_errors_are_told_up_to_twenty():
    assert len(refused({f"nope{n}": n for n in range(10_000)})) == 20


def nested(levels):
    raw = {"role": "user"}
    for _ in range(levels - 1):
        raw = {"$and": [raw]}
    return raw


def test_eight_levels_are_allowed_and_nine_are_not():
    parse_filter(nested(8), Kind.MESSAGES)

    assert [code for _, code in refused(nested(9))] == ["too_deep"]
    assert [code for _, code in refused(nested(400))] == ["too_deep"]


def test_negations_count_as_levels():
    raw = {"$gt": 1}
    for _ in range(8):
        raw = {"$not": raw}

    assert [code for _, code in refused({"position": raw})] == ["too_deep"]


def test_a_thousand_values_are_allowed_and_one_more_is_not():
    parse_filter({"position": {"$in": list(range(1_000))}}, Kind.MESSAGES)

    assert refused({"position": {"$in": list(range(1_001))}}) == [("filter.position.$in", "too_many")]


def test_endless_conditions_are_refused():
    assert "too_many" in {code for _, code in refused({"$or": [{"role": "user"}] * 10_000})}
    assert "too_many" in {code for _, code in refused({"$or": [{}] * 10_000})}


def test_an_error_repeats_a_name_only_in_part():
    ((place, _),) = refused({"x" * 100_000: 1})

    assert len(place) < 200


def test_unindexed_fields_are_the_paths_that_no_index_answers():
    tree = parse_filter(
        {
            "role": {"$gt": "a"},
            "metadata.a": 1,
            "metadata.b": {"$gt": 1, "$lt": 9},
            "metadata.c": {"$in": [1, 2]},
            "metadata.d": {"$ne": 1},
            "$or": [
                {"metadata.e": None},
                {"metadata.f": {"$not": {"$ne": 1}}},
                {"metadata.g": {"$exists": True}},
            ],
        },
        Kind.MESSAGES,
    )

    assert unindexed_fields(tree) == ("metadata.b", "metadata.d", "metadata.e", "metadata.g")
