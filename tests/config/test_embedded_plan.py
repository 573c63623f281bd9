"""The variables of everything that `up` starts."""

from config.embedded.plan import Plan

PLAN = Plan(postgres=None, redis=None, milvus=None, kept={"DATA_DIR": "/data"})


def test_compiled_modules_lie_in_the_data_folder_where_they_may_not_lie_beside_their_sources():
    environ = PLAN.environ({"PYTHONDONTWRITEBYTECODE": "1"})

    assert "PYTHONDONTWRITEBYTECODE" not in environ
    assert environ["PYTHONPYCACHEPREFIX"] == "/data/bytecode"


def test_compiled_modules_are_left_where_python_keeps_them():
    assert "PYTHONPYCACHEPREFIX" not in PLAN.environ({})


def test_what_is_set_outside_goes_before_what_is_only_frugal():
    assert PLAN.environ({"OPENBLAS_NUM_THREADS": "4"})["OPENBLAS_NUM_THREADS"] == "4"
