from pathlib import Path

import dvc.api
import pytest
from dvc.utils.serialize import YAMLFileCorruptedError, dump_yaml, load_yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from unetseg.config import Params, check_against_data
from unetseg.dataset.problems import attempt
from unetseg.errors import InputError
from unetseg.params_file import load_params, read_preset

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "params.yaml").read_text()


def load(tmp_path, *replacements):
    text = TEXT
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "params.yaml").write_text(text)
    return load_params(tmp_path / "params.yaml")


def problems(tmp_path, *replacements):
    with pytest.raises(InputError) as error:
        load(tmp_path, *replacements)
    return str(error.value).replace(str(tmp_path) + "/", "").splitlines()


def line_of(text):
    return next(number for number, line in enumerate(TEXT.splitlines(), 1) if text in line)


def test_the_parameters_are_read_as_dvc_reads_them():
    assert load_params(ROOT / "params.yaml").model_dump() == dvc.api.params_show(str(ROOT / "params.yaml"))


@pytest.mark.parametrize("number", ["1e-3", "1E-3", "1.0e-3", "0.001", ".001", "1_0.0"])
def test_a_number_is_a_number_in_every_notation_that_dvc_knows(tmp_path, number):
    params = load(tmp_path, ("learning_rate: 0.002", f"learning_rate: {number}"))
    shown = load_yaml(tmp_path / "params.yaml")
    assert params.train.learning_rate == shown["train"]["learning_rate"]


def test_every_value_has_a_comment_that_says_what_it_does():
    for line in TEXT.splitlines():
        if line.startswith("  "):
            assert "  # " in line, line


def test_the_parameters_cannot_be_changed_by_accident():
    with pytest.raises(ValueError, match="frozen"):
        load_params(ROOT / "params.yaml").train.epochs = 3


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("epochs: 30", "epochs: many", "train.epochs: 'many': input should be a valid integer"),
        ("epochs: 30", "epochs: 0", "train.epochs: 0: input should be greater than or equal to 1"),
        ("epochs: 30", "epoch: 20", "train.epoch: unknown key"),
        ("epochs: 30", "epoch: 20", "train.epochs: this key is missing"),
        ("flip: true", "flip: yes", "augment.flip: 'yes': input should be a valid boolean"),
        (
            "method: grouped",
            "method: groups",
            "split.method: 'groups': input should be 'grouped', 'random', 'kfold' or 'experiment'",
        ),
        ("learning_rate: 0.002", "learning_rate: .nan", "train.learning_rate: nan: input should be a finite number"),
        ("threshold: 0.5", "threshold: test", "evaluate.threshold: 'test'"),
        (
            "threshold: 0.5",
            "threshold: -1",
            "evaluate.threshold: -1: input should be greater than 0 or be 'validation'",
        ),
        ("stem_stride: 2", "stem_stride: true", "model.stem_stride: True: input should be a valid integer"),
        ("elsewhere.zip  #", "low.zip  #", "evaluate.external: 'data/sample/low.zip': its scores would be named 'low'"),
        ("fold: 0", "fold: 5", "split: fold 5 does not exist, the 5 folds count from 0"),
        ("size: 256", "size: 250", "image.size: 250 must be divisible by model.stem_stride * 2^model.depth = 32"),
    ],
)
def test_a_bad_value_is_named_with_its_line_and_its_rule(tmp_path, old, new, said):
    assert any(problem.startswith("params.yaml:") and said in problem for problem in problems(tmp_path, (old, new)))


def test_the_line_that_is_named_is_the_line_of_the_value(tmp_path):
    (problem,) = problems(tmp_path, ("epochs: 30", "epochs: 0"))
    assert problem.startswith(f"params.yaml:{line_of('epochs: 30')}: ")


def test_all_problems_are_told_at_once(tmp_path):
    told = problems(tmp_path, ("epochs: 30", "epochs: 0"), ("size: 256", "size: 250"), ("flip: true", "flop: true"))
    assert len(told) == 4


@pytest.mark.parametrize("name", ["negative", "statistics"])
def test_what_varies_the_normalisation_is_refused_for_a_model_without(tmp_path, name):
    (problem,) = problems(tmp_path, (f"{name}: 0.0", f"{name}: 0.1"), ("standardize: true", "standardize: false"))
    assert f"augment.{name}: 0.1 needs model.standardize: true" in problem


@pytest.mark.parametrize("crop", [100, 512])
def test_crops_that_the_model_cannot_take_are_refused(tmp_path, crop):
    (problem,) = problems(tmp_path, ("crop: 128", f"crop: {crop}"), ("crop_epochs: 10", "crop_epochs: 3"))
    rule = "must be divisible by model.stem_stride * 2^model.depth = 32 and at most image.size"
    assert problem == f"params.yaml:{line_of('crop: 128')}: train.crop: {crop} {rule}"


def test_an_unknown_and_a_missing_section_are_named(tmp_path):
    told = problems(tmp_path, ("plot:", "plots:"))
    assert any("plots: unknown section" in problem for problem in told)
    assert any("plot: this section is missing" in problem for problem in told)


NOTATIONS = """12 012 0o14 0x1F -0b101 1_000 1e3 1. .5 +.5e-3 1:30 0o9 yes on NO True TRUE tRUE ~ null Null NULL nil ''
"1" 1.2.3 -.inf 1e 2001-01-01 1E-3 \u0663"""


@pytest.mark.parametrize("value", NOTATIONS.split())
def test_a_value_in_any_notation_is_what_dvc_reads(tmp_path, value):
    path = tmp_path / "params.yaml"
    path.write_text(f"train:\n  start_from: {value}\n", encoding="utf-8")
    try:
        expected = load_yaml(path)["train"]["start_from"]
    except YAMLFileCorruptedError:
        expected = None
    if isinstance(expected, str):
        assert read_preset(path) == {"train.start_from": expected}
        return
    with pytest.raises(InputError) as error:
        read_preset(path)
    assert repr(expected) in str(error.value) or "not usable YAML" in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("plot:\n", "plot: &a\n", "anchors and aliases"),
        ("plot:\n", "plot:\n  <<: {}\n", "<< is no name of a value"),
        ("plot:\n", "plot:\n  1: 1\n", "1 is no name of a value"),
        ("plot:\n", "plot:\n  examples: 3\n", "examples occurs twice"),
        ("seed: 0", "seed: !!int 0", "tags"),
        ("seed: 0", "seed: " + "[" * 400 + "]" * 400, "more than 16 levels"),
        ("seed: 0", "seed: " + "9" * 5000, "is no number"),
        ("seed: 0", "seed: 2001-13-45", "is no number and no date"),
        ("  seed: 0", "\tseed: 0", r"found character '\t'"),
        ("seed: 0", "seed:\t0", r"found character '\t'"),
        ("seed: 0", "seed: @1", "found character '@'"),
        ("validation: 0.15", "validation: 0", "split.validation: 0: training chooses the best epoch on these images"),
        ("epochs: 30", "epochs: 1" + "0" * 30, "train.epochs"),
        ("crop: 128", "crop: 999999999999", "train.crop"),
        ("warmup_epochs: 1.0", "warmup_epochs: 1e308", "train.warmup_epochs"),
        ("bootstrap: 2000", "bootstrap: 1000000000", "evaluate.bootstrap"),
        ('start_from: ""', r'start_from: "a\0b"', "train.start_from"),
    ],
)
def test_what_would_blow_up_later_is_refused_at_its_line(tmp_path, old, new, said):
    told = problems(tmp_path, (old, new))
    assert all(len(line) < 200 and line.startswith("params.yaml:") for line in told)
    assert any(said in line for line in told)


def test_a_bomb_of_aliases_is_refused_at_once(tmp_path):
    bomb = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 20))
    (tmp_path / "params.yaml").write_text(bomb + TEXT)
    with pytest.raises(InputError, match=r"params.yaml:1: not usable YAML: anchors and aliases are not allowed"):
        load_params(tmp_path / "params.yaml")


def test_a_file_that_is_far_too_large_is_refused_unread(tmp_path):
    (tmp_path / "params.yaml").write_text(TEXT + "#" * 2_000_000)
    with pytest.raises(InputError, match="over 1000000 bytes"):
        load_params(tmp_path / "params.yaml")


def test_a_preset_gives_its_values_by_their_dotted_names(tmp_path):
    (tmp_path / "p.yaml").write_text("train:\n  epochs: 3\nmodel: {residual: false}\n")
    assert read_preset(tmp_path / "p.yaml") == {"train.epochs": 3, "model.residual": False}


@pytest.mark.parametrize("text", ["train: {epochs: many}", "train: {epoch: 3}", "trains: {epochs: 3}", "train: 3"])
def test_a_preset_is_checked_as_params_yaml_is(tmp_path, text):
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(InputError, match=r"p.yaml:1: train"):
        read_preset(tmp_path / "p.yaml")


@pytest.mark.parametrize("text", ["", "- a", "a: [", "a: b: c", "\x00", "train: 3", "train:", "? {}"])
def test_what_is_no_params_file_is_said_in_a_line(tmp_path, text):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(InputError, match=r"params\.yaml"):
        load_params(tmp_path / "params.yaml")


def test_a_missing_or_binary_params_file_is_said_in_a_line(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        load_params(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("replacement", "samples", "said"),
    [
        (("batch_size: 4", "batch_size: 80"), 60, "train.batch_size: 80 is more than the 42 left to train on"),
        (("test: 0.15", "test: 0.001"), 60, "split.test: 0.001"),
        (("validation: 0.15", "validation: 0.001"), 60, "split.validation: 0.001"),
        (("method: grouped", "method: kfold"), 3, "split.folds: 5"),
    ],
)
def test_parameters_that_the_data_cannot_satisfy_are_refused_before_any_work(tmp_path, replacement, samples, said):
    with pytest.raises(InputError, match=said):
        check_against_data(load(tmp_path, replacement), samples)


@pytest.mark.parametrize(
    ("method", "told"), [("kfold", ["split.validation: 0.84 and split.folds: 5 leave none"]), ("experiment", [])]
)
def test_the_folds_say_how_many_images_are_tested_on_unless_they_are_of_any_size(tmp_path, method, told):
    params = load(tmp_path, ("method: grouped", f"method: {method}"), ("validation: 0.15", "validation: 0.84"))
    _, lines = attempt(check_against_data, params, 60)
    assert [line for line in lines if all(part not in line for part in told)] == []
    assert len(lines) == len(told)


def test_a_test_subset_may_be_absent_where_another_archive_is_scored(tmp_path):
    none = ("  test: 0.15", "  test: 0")
    check_against_data(load(tmp_path, none), 60)
    with pytest.raises(InputError, match=r"split\.test: 0 leaves nothing to score: raise it, or name an archive"):
        check_against_data(load(tmp_path, none, ("data/sample/elsewhere.zip  ", f"{ROOT}/data/sample/none.zip  ")), 60)


def test_the_parameters_suit_the_bundled_sample(tmp_path):
    check_against_data(load(tmp_path), 48)


LEAVES = [(section, key) for section, model in Params.model_fields.items() for key in model.annotation.model_fields]
ANYTHING = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)
)


@pytest.mark.slow
@settings(deadline=None)
@given(leaf=st.sampled_from(LEAVES), value=ANYTHING)
def test_any_value_anywhere_is_taken_or_refused_in_a_line_that_names_it(tmp_path_factory, leaf, value):
    content = load_yaml(ROOT / "params.yaml")
    content[leaf[0]][leaf[1]] = value
    path = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    dump_yaml(path, content)
    try:
        params = load_params(path)
    except InputError as error:
        assert str(path) in str(error)
        assert leaf[0] in str(error)
    else:
        assert getattr(getattr(params, leaf[0]), leaf[1]) == value
