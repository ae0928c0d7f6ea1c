import json
import runpy
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from brightness import brightness_model, write_samples
from spots import spots, tiny_model
from values import PARAMS, params, small_unet

from unetseg.cli import main
from unetseg.dataset.arrays import write_arrays
from unetseg.dataset.samples import read_sample
from unetseg.errors import InputError
from unetseg.evaluation.evaluation import trained_sizes
from unetseg.evaluation.scores import count, dice
from unetseg.files import read_csv, write_csv
from unetseg.images.resampling import resize
from unetseg.model import keras
from unetseg.objects.separation import without_small
from unetseg.prediction.api import load_model, predict
from unetseg.prediction.predictor import Predictor
from unetseg.synthetic.sample import Slide, make_tiles, write_archive

ROOT = Path(__file__).parents[2]
STAGE = runpy.run_path(str(ROOT / "stages" / "evaluate.py"))
NONE = {"external": str(ROOT / "data" / "sample" / "none.zip")}
PLAIN = params(evaluate=NONE)
TWO = tuple(Slide(kind, 1, 1, 32, 24, 3, 3) for kind in ("fluorescence", "tissue"))
PER_IMAGE = (
    "id,subset,group,modality,source,height,width,objects,foreground,size,dice,iou,precision,recall,estimated_dice,"
    "boundary_f1,dice_native,iou_native,objects_true,objects_predicted,f1_50,f1_70,map,pq"
)


@pytest.fixture
def paths(tmp_path):
    arrays, _, split = write_samples(tmp_path, ["test", "train", "validation", "test"])
    brightness_model().save(tmp_path / "model.keras")
    out = tmp_path / "out"
    return {
        "arrays": arrays, "split": split, "model": tmp_path / "model.keras",
        "metrics": out / "evaluate.json", "summary": out / "summary.json", "per_image": out / "per_image.csv",
        "thresholds": out / "thresholds.csv", "reliability": out / "reliability.csv",
        "predictions": tmp_path / "predictions", "tuning": tmp_path / "tuning.json",
    }  # fmt: skip


def test_the_stage_writes_what_others_rely_on(paths):
    STAGE["main"](PLAIN, **paths)
    summary = json.loads(paths["metrics"].read_text())
    spread = {"mean", "median", "p10", "low", "high", "pooled"}
    assert spread == set(summary["dice"]) == set(summary["iou"]) == set(summary["native"]["dice"])
    assert {"f1_50", "f1_70", "map", "pq", "true", "predicted"} <= set(summary["objects"])
    assert (summary["images"], summary["threshold"]) == (2, PARAMS.evaluate.threshold)
    assert {"precision", "recall", "boundary_f1", "all_background", "all_foreground"} <= set(summary)
    assert set(summary["calibration"]) == {"ece"}
    assert set(summary["estimate"]) == {"mae", "spearman", "auc_below_0.8"}
    assert {"mean", "low", "high"} <= set(summary["by_kind"]["dark_grey"]["dice"])
    assert set(summary["run"]) == {"code", "params", "data"}
    headers = {name: paths[name].read_text().partition("\n")[0] for name in ("per_image", "thresholds", "reliability")}
    assert headers == {
        "per_image": PER_IMAGE,
        "thresholds": "subset,threshold,dice,iou,precision,recall",
        "reliability": "low,high,count,confidence,frequency",
    }
    assert {row["subset"] for row in read_csv(paths["per_image"])} == {"test"}


def test_what_was_scored_is_what_predict_writes(paths, tmp_path):
    brightness_model(-16.5).save(paths["model"])  # never sure enough for 0.5
    STAGE["main"](params(evaluate=NONE | {"threshold": "validation"}), **paths)
    chosen = json.loads(paths["metrics"].read_text())["threshold"]
    assert json.loads(paths["tuning"].read_text())["threshold"] == chosen != 0.5
    scored = read_csv(paths["per_image"])[0]
    sample = paths["arrays"].with_name("samples") / scored["id"]
    image = sample / "images" / "1.png"
    assert main(["predict", "--model", str(paths["model"]), "--out", str(tmp_path / "new"), str(image)]) == 0
    mask = cv2.imread(str(tmp_path / "new" / "1.png"), cv2.IMREAD_GRAYSCALE) > 0
    truth = read_sample(sample).labels > 0
    assert float(scored["dice_native"]) == float(dice(count(truth, mask)))
    assert predict(cv2.imread(str(image)), load_model(paths["model"])).threshold == chosen


def test_the_stage_keeps_the_probabilities_of_the_test_subset_alone(paths):
    STAGE["main"](PLAIN, **paths)
    assert sorted(each.name for each in paths["predictions"].iterdir()) == [
        "ids.csv",
        "objects.npy",
        "probabilities.npy",
    ]
    assert [row["id"] for row in read_csv(paths["predictions"] / "ids.csv")] == ["s0", "s3"]
    assert len(np.load(paths["predictions"] / "probabilities.npy")) == 2
    assert not [*paths["predictions"].parent.glob(".*")]


def test_a_file_that_is_no_model_is_told_and_nothing_is_written(paths):
    paths["model"].write_text("weights")
    with pytest.raises(InputError, match=r"model\.keras"):
        STAGE["main"](PLAIN, **paths)
    assert not paths["metrics"].exists()
    assert not paths["predictions"].exists()


@pytest.mark.filterwarnings("ignore:a model that is not from unetseg.load_model")
def test_where_the_model_was_trained_on_tiles_each_image_is_predicted_and_scored_at_its_own_size(paths):
    model = small_unet(depth=1, normalization="none")
    model.save(paths["model"])
    STAGE["main"](params(image={"mode": "tiles"}, evaluate=NONE), **paths)
    summary, tuning = (json.loads(paths[name].read_text()) for name in ("metrics", "tuning"))
    lengths = {name: tuning[name] for name in ("depth", "min_size")}
    assert lengths == {name: summary["objects"][name] for name in lengths}
    kept, drawn = (np.load(paths["predictions"] / f"{name}.npy") for name in ("probabilities", "objects"))
    assert sorted(each.name for each in paths["predictions"].iterdir()) == [
        "ids.csv",
        "objects.npy",
        "probabilities.npy",
    ]
    assert not [*paths["predictions"].parent.glob("*native*"), *paths["predictions"].parent.glob(".*")]
    for row in read_csv(paths["per_image"]):
        sample = read_sample(paths["arrays"].with_name("samples") / row["id"])
        found = predict(sample.image, model, scale="tiles", threshold=PARAMS.evaluate.threshold, **lengths)
        assert float(row["dice_native"]) == float(dice(count(sample.labels > 0, found.mask)))
        assert float(row["estimated_dice"]) == found.estimated_dice
        place = [each["id"] for each in read_csv(paths["predictions"] / "ids.csv")].index(row["id"])
        np.testing.assert_array_equal(kept[place], resize(found.probability, 16, 16))
        shrunk = cv2.resize(found.labels, (16, 16), interpolation=cv2.INTER_NEAREST_EXACT)
        assert int(row["objects_predicted"]) == found.labels.max()
        np.testing.assert_array_equal(drawn[place], without_small(shrunk, 1))  # numbered anew where one vanished


@pytest.mark.parametrize("pixel_size", [0.0, 0.5])
def test_images_of_other_sizes_or_pixels_than_those_trained_on_are_scored_at_the_zoom_of_predict(paths, pixel_size):
    tiny_model(16).save(paths["model"])
    native = cv2.resize(spots(40, 50), (400, 320), interpolation=cv2.INTER_NEAREST)
    for kind, pixels in (("images", native), ("masks", (native[..., 0] > 128).astype(np.uint8) * 255)):
        cv2.imwrite(str(paths["arrays"].with_name("samples") / "s0" / kind / "1.png"), pixels)
    shutil.rmtree(paths["arrays"])
    write_arrays(paths["arrays"].with_name("samples"), paths["arrays"], size=16, skip_bad=False, tiles=True)
    samples = paths["arrays"] / "samples.csv"
    rows = [row | {"pixel_size": "0.25" if row["id"] in ("s2", "s3") else ""} for row in read_csv(samples)]
    write_csv(samples, rows, list(rows[0]))
    STAGE["main"](params(image={"mode": "tiles", "pixel_size": pixel_size}, evaluate=NONE), **paths)
    model, zooms = load_model(paths["model"]), {}
    for row in read_csv(paths["per_image"]):
        sample = read_sample(paths["arrays"].with_name("samples") / row["id"])
        size = 0.25 if pixel_size and row["id"] == "s3" else None
        found = predict(sample.image, model, pixel_size=size)
        assert float(row["dice_native"]) == float(dice(count(sample.labels > 0, found.mask)))
        assert float(row["estimated_dice"]) == found.estimated_dice
        assert int(row["objects_predicted"]) == found.labels.max()
        zooms[row["id"]] = found.zoom
    assert zooms["s0"] < 1
    assert zooms["s3"] == (0.5 if pixel_size else 1)


def test_a_size_of_pixels_that_predict_would_refuse_is_told_with_the_image(paths):
    tiny_model(16).save(paths["model"])
    samples = paths["arrays"] / "samples.csv"
    rows = [row | {"pixel_size": 84.7, "image": f"{row['id']}/images/1.png"} for row in read_csv(samples)]
    write_csv(samples, rows, list(rows[0]))
    with pytest.raises(InputError, match=r"^s2/images/1\.png: its pixels are 84\.7 µm, those of the model 0\.5: a"):
        STAGE["main"](params(image={"mode": "tiles", "pixel_size": 0.5}, evaluate=NONE), **paths)


def test_the_sizes_that_a_model_knows_are_those_it_was_trained_on(paths):
    samples = paths["arrays"] / "samples.csv"
    sides = [("40", "50"), ("20", "30"), ("22", "24"), ("90", "10")]  # of test, train, validation, test
    rows = [row | {"height": h, "width": w} for row, (h, w) in zip(read_csv(samples), sides, strict=True)]
    write_csv(samples, rows, list(rows[0]))
    known = trained_sizes(samples, paths["split"], Predictor(brightness_model()))
    assert known["sizes"] == (20, 30)
    assert known["zoom"] == pytest.approx(np.mean([16 / 600**0.5, 16 / 528**0.5]), abs=1e-3)


def test_a_size_of_pixels_that_is_not_that_of_the_input_is_warned_of(paths, capsys):
    samples = paths["arrays"] / "samples.csv"
    rows = [row | {"pixel_size": 1.0} for row in read_csv(samples)]
    write_csv(samples, rows, list(rows[0]))
    STAGE["main"](params(image={"pixel_size": 1.0}, evaluate=NONE), **paths)  # images of 16 by 32 in arrays of 16
    told = "warning: image.pixel_size: 1: by 4 files the pixels of the model's input are 1.41 µm, in the median; give"
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(("layer", "turned"), [("polarity", True), ("polarity", False), ("none", True)])
def test_validation_images_that_the_model_takes_for_their_negatives_are_warned_of(paths, capsys, layer, turned):
    model = brightness_model()
    keras.Model(model.input, keras.layers.Identity(name=layer)(model.output)).save(paths["model"])
    images = np.load(paths["arrays"] / "images.npy")
    if turned:
        images[2] = 255 - images[2]
        np.save(paths["arrays"] / "images.npy", images)
    STAGE["main"](PLAIN, **paths)
    told = (
        "warning: the model takes 1 of 1 validation images for their negatives, such as s2: val_dice does not show it"
    )
    assert (told in capsys.readouterr().err) == (turned and layer == "polarity")


def test_an_external_archive_is_scored_whole_by_source_and_kept_to_be_looked_at(paths, tmp_path):
    archive = tmp_path / "other lab.zip"
    write_archive(
        archive, [replace(tile, source=f"microscope {number}") for number, tile in enumerate(make_tiles(TWO))]
    )
    STAGE["main"](params(evaluate={"external": str(archive)}), **paths)
    summary = json.loads(paths["metrics"].read_text())
    external = summary["external"]["other lab"]
    assert external["images"] == 2
    assert {"mean", "low", "high"} <= set(external["dice"])
    assert list(external["by_source"]) == ["microscope 0", "microscope 1"]
    assert external["objects"]["depth"] == summary["objects"]["depth"]
    assert json.loads(paths["summary"].read_text())["dice_other lab"] == external["dice"]["mean"]
    rows = read_csv(paths["predictions"] / "external" / "per_image.csv")
    assert {row["subset"] for row in rows} == {"other lab"}
    kept = paths["predictions"] / "external"
    assert sorted(each.name for each in kept.iterdir()) == ["arrays", "per_image.csv", "predictions"]
    assert not [*(kept / "arrays").glob("tile*"), *paths["predictions"].parent.glob("*partial*")]


@pytest.mark.parametrize("known", [True, False])
def test_an_external_archive_of_images_that_were_trained_on_is_told(paths, tmp_path, capsys, known):
    archive = tmp_path / "mine.zip"
    if known:
        shutil.make_archive(str(archive.with_suffix("")), "zip", paths["arrays"].with_name("samples"))
    else:
        write_archive(archive, make_tiles(TWO))
    STAGE["main"](params(evaluate={"external": str(archive)}), **paths)
    told = f"warning: {archive}: 2 of 4 images show what is in train or validation too: its scores are too good"
    said = capsys.readouterr().err
    assert (told in said) == known
    found = json.loads(paths["metrics"].read_text())["external"]["mine"]
    assert found.get("trained_on", 0) == 2 * known
    trained = [row["id"] for row in read_csv(paths["split"]) if row["subset"] != "test"]
    assert all((f"{name} like {name}" in said) == known for name in trained[:2])
    rows = read_csv(paths["predictions"] / "external" / "per_image.csv")
    assert sorted(row["trained_on"] for row in rows if row["trained_on"]) == sorted(trained) * known


def test_without_a_test_subset_the_scores_are_those_of_the_external_archive(tmp_path, paths):
    paths["split"].write_text(paths["split"].read_text().replace("test", "train"))
    archive = tmp_path / "other lab.zip"
    write_archive(archive, make_tiles(TWO))
    STAGE["main"](params(evaluate={"external": str(archive)}), **paths)
    summary = json.loads(paths["metrics"].read_text())
    assert summary["images"] == 2
    assert summary["dice"] == summary["external"]["other lab"]["dice"]
    assert {row["subset"] for row in read_csv(paths["per_image"])} == {"other lab"}
    assert {row["subset"] for row in read_csv(paths["thresholds"])} == {"validation", "other lab"}
    assert [each.name for each in paths["predictions"].iterdir()] == ["external"]
    with pytest.raises(InputError, match="there is no test image to score"):
        STAGE["main"](PLAIN, **paths)


def test_an_external_archive_that_cannot_be_used_is_named_with_each_problem(paths, tmp_path):
    archive = tmp_path / "bad.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a/images/a.png", b"no image")
        file.writestr("a/masks/a.png", b"no mask")
    with pytest.raises(InputError, match=f"^{archive}: a/images/a.png") as told:
        STAGE["main"](params(evaluate={"external": str(archive)}), **paths)
    assert str(told.value).splitlines()[-2:] == [
        f"{archive}: 1 of 1 samples cannot be used: fix or remove them",
        f"{archive}: name another archive in evaluate.external, or data/sample/none.zip for none",
    ]


def test_what_is_skipped_of_an_external_archive_and_what_is_odd_in_it_is_told(paths, tmp_path, capsys):
    archive = tmp_path / "other lab.zip"
    write_archive(archive, make_tiles(TWO))
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("bad/images/a.png", b"no image")
        file.writestr("bad/masks/a.png", b"no mask")
        names = [name for name in file.namelist() if "/masks/" in name and "bad" not in name]
        file.writestr(names[0].replace("/masks/", "/masks/again "), file.read(names[0]))
    STAGE["main"](params(data={"on_bad_sample": "skip"}, evaluate={"external": str(archive)}), **paths)
    told = capsys.readouterr().err
    assert f"\n{archive}: bad/images/a.png: " in f"\n{told}"
    assert f"\n{archive}: warning: {names[0].partition('/')[0]}" in told
    assert "/samples/" not in told
