"""The filter language of `/query`, `/count` and `/exists`: Mongo's operators over the fields of each kind."""

from conversations.filters.compiling import compile_filter
from conversations.filters.fields import FIELDS, Field, FieldType, Kind
from conversations.filters.ordering import Order, parse_order
from conversations.filters.parsing import parse_filter
from conversations.filters.syntax import (
    And,
    Comparison,
    FieldPath,
    Filter,
    Leaf,
    Membership,
    Not,
    Operator,
    Or,
    Presence,
    comparisons,
    unindexed_fields,
)

__all__ = [
    "FIELDS",
    "And",
    "Comparison",
    "Field",
    "FieldPath",
    "FieldType",
    "Filter",
    "Kind",
    "Leaf",
    "Membership",
    "Not",
    "Operator",
    "Or",
    "Order",
    "Presence",
    "comparisons",
    "compile_filter",
    "parse_filter",
    "parse_order",
    "unindexed_fields",
]
