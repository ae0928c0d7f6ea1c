import json

import cv2
import numpy as np
import pytest

from unetseg.errors import InputError
from unetseg.files import sha256
from unetseg.objects.separation import connected_objects, separated_objects
from unetseg.prediction.settings import Settings, Tuning, find_tuning, read_tuning

PROBABILITY = cv2.GaussianBlur(np.random.default_rng(0).random((64, 64), np.float32), (0, 0), 2)


def test_an_image_of_the_models_size_is_numbered_as_it_is_evaluated():
    number = Settings(threshold=0.51, depth=1.5, min_size=3).number(1.0)
    assert np.array_equal(number(PROBABILITY), separated_objects(PROBABILITY, 0.51, 1.5, 3))


@pytest.mark.parametrize(("zoom", "expected"), [(0.5, 32), (2.0, 2), (1.0, 8), (16.0, 1)])
def test_the_smallest_object_grows_with_the_image_that_is_shrunk(zoom, expected):
    assert Settings(min_size=8).smallest(zoom) == expected


def test_the_depth_of_a_neck_grows_with_the_image_that_is_shrunk():
    number = Settings(depth=1.0, min_size=1).number(0.25)
    assert np.array_equal(number(PROBABILITY), separated_objects(PROBABILITY, 0.5, 4.0, 16))
    assert not np.array_equal(number(PROBABILITY), separated_objects(PROBABILITY, 0.5, 1.0, 16))


def test_touching_objects_may_stay_together():
    number = Settings(threshold=0.51, min_size=3, objects="connected").number(1.0)
    assert np.array_equal(number(PROBABILITY), connected_objects(PROBABILITY, 0.51, 3))


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "m.keras"
    path.write_bytes(b"a model")
    return path


def write(path, **values):
    path.write_text(json.dumps(values))


def test_without_a_file_the_model_or_the_defaults_say_how_to_predict(model):
    assert find_tuning(model, {}) == (Tuning(), "the defaults")
    facts = {"threshold": 0.25, "trained_with": {"image": {"mode": "tiles", "pixel_size": 0.5}}}
    assert find_tuning(model, facts) == (Tuning(threshold=0.25, scale="tiles", pixel_size=0.5), "the model")


def test_a_copy_of_the_pipelines_model_without_its_file_says_what_to_copy(model):
    told = f"the model, without what `evaluate` chose: copy its models/tuning.json to {model.with_suffix('.json')}"
    assert find_tuning(model, {"trained_with": {"image": {"mode": "tiles"}}}) == (Tuning(scale="tiles"), told)


def test_the_file_of_the_models_name_comes_before_the_folders(model):
    write(model.with_name("tuning.json"), threshold=0.3)
    assert find_tuning(model, {})[0].threshold == 0.3
    write(model.with_suffix(".json"), threshold=0.4)
    assert find_tuning(model, {}) == (Tuning(threshold=0.4), str(model.with_suffix(".json")))


def test_what_the_file_leaves_out_the_model_says(model):
    write(model.with_suffix(".json"), threshold=0.4)
    facts = {"threshold": 0.25, "trained_with": {"image": {"mode": "tiles"}}}
    assert find_tuning(model, facts)[0] == Tuning(threshold=0.4, scale="tiles")


def test_the_folders_file_is_left_aside_where_it_was_written_for_another_model(model):
    write(model.with_name("tuning.json"), threshold=0.3, model=sha256(model))
    assert find_tuning(model, {})[0].threshold == 0.3
    model.write_bytes(b"trained again")
    tuning, source = find_tuning(model, {})
    assert tuning == Tuning()
    assert source.endswith("tuning.json is of another model")
    write(model.with_suffix(".json"), threshold=0.4, model="0" * 64)
    assert find_tuning(model, {}) == (Tuning(), f"the defaults, as {model.with_suffix('.json')} is of another model")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "Invalid JSON"),
        ("[]", "object"),
        ('{"threshold": 1.5}', "threshold"),
        ('{"threshold": "0.5"}', "threshold"),
        ('{"threshold": NaN}', "threshold"),
        ('{"depth": 0}', "depth"),
        ('{"scale": "half"}', "scale"),
        ('{"treshold": 0.5}', "treshold"),
        ("\xff", "Invalid JSON"),
    ],
)
def test_a_malformed_file_is_refused_in_one_line_that_names_it(tmp_path, text, told):
    path = tmp_path / "tuning.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=told) as refused:
        read_tuning(path)
    assert str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)


def test_a_scale_that_there_is_not_is_told():
    with pytest.raises(InputError, match="scale 'nonsense': it is one of auto, resize, tiles"):
        Tuning().settings(scale="nonsense")


def test_no_scale_is_the_usual_one_and_a_truth_value_no_zoom():
    assert Tuning().settings(scale=None) == Tuning().settings()
    with pytest.raises(InputError, match="zoom True: it is a number"):
        Tuning().settings(zoom=True)


def test_numbers_of_numpy_are_numbers():
    given = {"threshold": np.float32(0.5), "min_size": np.int64(2), "tta": np.bool_(True)}
    assert Tuning().changed(**given) == Tuning(threshold=0.5, min_size=2, tta=True)
