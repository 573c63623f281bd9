import pytest

from conversations.pii import Kind, find
from tests.conversations.pii.corpus import EXAMPLES, Example


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.text)
def test_what_is_marked_is_found_and_nothing_else(example: Example):
    found = find(example.text, region=example.region)

    assert [(span.kind, span.start, span.end) for span in found] == list(example.spans)


def test_the_corpus_has_every_kind_and_enough_of_what_is_none():
    marked = [kind for example in EXAMPLES for kind, _, _ in example.spans]

    assert set(marked) == set(Kind)
    assert all(marked.count(kind) >= 4 for kind in Kind)
    assert sum(not example.spans for example in EXAMPLES) >= 30
