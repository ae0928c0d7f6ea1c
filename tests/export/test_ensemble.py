from pathlib import Path

import numpy as np
import pytest
from values import small_unet

from unetseg.cli import main
from unetseg.errors import InputError
from unetseg.export.ensemble import join_models
from unetseg.files import sha256, write_json
from unetseg.model import keras
from unetseg.model.facts import read_facts
from unetseg.model.file import load_model, save_model
from unetseg.prediction.predictor import Predictor
from unetseg.prediction.quality import Estimate
from unetseg.prediction.settings import Tuning, find_tuning

IMAGES = np.random.default_rng(0).uniform(0, 255, (3, 16, 16, 3)).astype(np.float32)


def models(count, **changed):
    for seed in range(count):
        keras.utils.set_random_seed(seed)
        yield small_unet(residual=True, depth=1, **changed)


def test_the_mean_of_the_members_is_predicted_at_both_scales():
    members = list(models(3, standardize=False))  # untrained ones disagree on polarity
    joined = join_models(members)
    expected = np.mean([member.predict_on_batch(IMAGES) for member in members], axis=0)
    np.testing.assert_allclose(joined.predict_on_batch(IMAGES), expected, atol=1e-6)
    image = np.random.default_rng(1).integers(0, 256, (40, 24, 3)).astype(np.uint8)
    expected = np.mean([Predictor(member, "tiles").image(image) for member in members], axis=0)
    np.testing.assert_allclose(Predictor(joined, "tiles").image(image), expected, atol=1e-6)


def test_members_agree_on_one_polarity_for_each_image():
    members = list(models(3))
    joined = join_models(members)
    polarity = keras.Model(joined.input, joined.get_layer("polarity").output).predict_on_batch(IMAGES)
    seen = polarity * np.asarray(joined.get_layer("normalise")(IMAGES))
    expected = np.mean([member.get_layer("unet").predict_on_batch(seen) for member in members], axis=0)
    np.testing.assert_allclose(joined.predict_on_batch(IMAGES), expected, atol=1e-6)


@pytest.mark.slow
def test_the_command_writes_a_model_that_loads_safely_and_knows_its_members_and_their_values(tmp_path, capsys):
    files = [tmp_path / "a.keras", tmp_path / "b.keras"]
    for seed, (path, model) in enumerate(zip(files, models(2, standardize=False), strict=True)):
        save_model(path, model, {"trained_with": {"image": {"mode": "resize"}}, "seed": seed})
    assert main(["ensemble", *map(str, files), "--out", str(tmp_path / "both.keras")]) == 0
    expected = np.mean([load_model(path).predict_on_batch(IMAGES) for path in files], axis=0)
    np.testing.assert_allclose(load_model(tmp_path / "both.keras").predict_on_batch(IMAGES), expected, atol=1e-6)
    assert "has no values of its own" in capsys.readouterr().err
    write_json(tmp_path / "a.json", Tuning(threshold=0.3, depth=2.0, sizes=(9, 20)).model_dump())
    write_json(tmp_path / "b.json", Tuning(threshold=0.5, min_size=30, estimate=Estimate(factor=2.0)).model_dump())
    assert main(["ensemble", *map(str, files), "--out", str(tmp_path / "both.keras")]) == 0
    tuning, _ = find_tuning(tmp_path / "both.keras", read_facts(tmp_path / "both.keras"))
    assert (tuning.threshold, tuning.depth, tuning.min_size, tuning.sizes) == (0.4, 1.5, 19, (9, 20))
    assert (tuning.estimate.factor, tuning.model) == (2.0, sha256(tmp_path / "both.keras"))
    facts = read_facts(tmp_path / "both.keras")
    assert facts["trained_with"]["image"]["mode"] == "resize"
    assert [member["seed"] for member in facts["ensemble"]] == [0, 1]


def test_models_that_see_images_in_another_way_are_refused(tmp_path, capsys):
    files = [tmp_path / "a.keras", tmp_path / "b.keras"]
    for path, model, channel in zip(files, models(2), ("all", 1), strict=True):
        save_model(path, model, {"trained_with": {"data": {"channel": channel, "project": "none"}}})
    with pytest.raises(SystemExit):
        main(["ensemble", *map(str, files), "--out", str(tmp_path / "both.keras")])
    assert capsys.readouterr().err == f"{files[1]}: data.channel is 1 there, and all in {files[0]}\n"
    assert not (tmp_path / "both.keras").exists()


@pytest.mark.parametrize(
    ("out", "name", "rule"),
    [
        ("a.keras", "a.keras", "is a source, which is not replaced; name another file in --out"),
        ("tuning.keras", "tuning.json", "is a source, which is not replaced; name another file in --out"),
        ("mine.keras", "mine.json", "is not what ensemble or evaluate wrote, which alone is replaced; name another"),
        ("hand.keras", "hand.json", "is not what ensemble or evaluate wrote, which alone is replaced; name another"),
    ],
)
def test_a_member_its_values_and_what_somebody_made_are_not_replaced(out, name, rule, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_model(Path("a.keras"), next(models(1)), {})
    write_json(Path("tuning.json"), Tuning(threshold=0.3).model_dump())
    write_json(Path("mine.json"), {"notes": 1})
    write_json(Path("hand.json"), {"threshold": 0.3})
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    with pytest.raises(SystemExit):
        main(["ensemble", "a.keras", "--out", out])
    assert capsys.readouterr().err.startswith(f"{name}: {rule}")
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("other", "rule"),
    [
        (lambda: small_unet(32, residual=True, depth=1), "model 2 takes images of"),
        (lambda: small_unet(residual=True, depth=1, standardize=False), "model 2 normalises its input differently"),
        (lambda: keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Dense(1)]), "model 2 has no parts"),
    ],
)
def test_models_that_do_not_fit_are_refused(other, rule):
    with pytest.raises(InputError, match=rule):
        join_models([*models(1), other()])
