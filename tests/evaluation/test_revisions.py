import pytest

from unetseg.evaluation.sweeps import unfinished

LOCK = {
    "stages": {
        "split": {"params": {"params.yaml": {"split": {"fold": 0}}}, "outs": [{"path": "split.csv", "md5": "s"}]},
        "train": {"deps": [{"path": "split.csv", "md5": "s"}], "outs": [{"path": "model", "md5": "m"}]},
        "evaluate": {
            "deps": [{"path": "model", "md5": "m"}, {"path": "src", "md5": "x"}],
            "params": {"params.yaml": {"image.mode": "resize"}},
            "outs": [{"path": "scores.csv", "md5": "e"}],
        },
        "plot": {"params": {"params.yaml": {"plot": 1}}, "outs": [{"path": "page", "md5": "p"}]},
    }
}
PARAMS = {"split": {"fold": 0}, "image": {"mode": "resize", "size": 8}, "plot": 2}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"split": {"fold": 1}}, ["split"]),
        ({"image": {"mode": "tiles"}}, ["image.mode"]),
        ({"image": None}, ["image.mode"]),
    ],
)
def test_a_result_is_its_own_if_the_stages_that_lead_to_it_ran_with_the_parameters_shown(change, expected):
    assert unfinished(LOCK, PARAMS | change, "scores.csv") == expected


def test_a_result_is_older_than_an_output_that_it_depends_on_and_that_was_made_anew():
    train = LOCK["stages"]["train"] | {"outs": [{"path": "model", "md5": "new"}]}
    assert unfinished({"stages": LOCK["stages"] | {"train": train}}, PARAMS, "scores.csv") == ["model"]


@pytest.mark.parametrize(("there", "expected"), [("y", ["src"]), ("x", []), (None, [])])
def test_a_result_is_older_than_data_that_was_replaced_since(there, expected):
    assert unfinished(LOCK, PARAMS, "scores.csv", lambda dep: {"src": there}[dep["path"]]) == expected


@pytest.mark.parametrize("lock", [{}, {"stages": None}, {"stages": {}}])
def test_a_result_that_no_stage_makes_is_taken_as_it_is(lock):
    assert unfinished(lock, PARAMS, "scores.csv") == []
