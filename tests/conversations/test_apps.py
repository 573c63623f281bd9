"""What holds for every process once Django is set up."""

import gc


def test_a_full_collection_leaves_the_code_alone():
    assert gc.get_freeze_count() > 50_000
