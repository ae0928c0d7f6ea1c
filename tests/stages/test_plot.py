import json
import runpy
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from values import PARAMS, params

from unetseg.files import write_csv
from unetseg.objects.separation import separated_objects
from unetseg.provenance import digest
from unetseg.synthetic.sample import Slide, make_tiles

ROOT = Path(__file__).parents[2]
NAMES = {"training", "distribution", "by_kind", "dependence", "thresholds", "reliability", "worst", "outlines"}
NAMES |= {"examples_best", "examples_median", "examples_worst"}
SLIDES = (Slide("fluorescence", 2, 2, 64, 64, 4, 3), Slide("tissue", 1, 1, 64, 64, 4, 3))


STAGE = runpy.run_path(str(ROOT / "stages" / "plot.py"))
TRAINED = {"params": digest(PARAMS.model_dump(include={"image", "model", "augment", "train"}))}
SCORED = {"params": digest(PARAMS.evaluate.model_dump())}


def plot(run, out):
    names = ("arrays", "predictions", "history.csv", "per_image.csv", "thresholds.csv", "reliability.csv")
    paths = {name.removesuffix(".csv"): run / name for name in names}
    STAGE["main"](
        PARAMS,
        **paths,
        training=run / "train.json",
        evaluation=run / "evaluate.json",
        out=out,
        report=out.with_name("report.html"),
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    tiles = list(make_tiles(SLIDES))
    labels = np.array([tile.labels for tile in tiles])
    probabilities = np.array([cv2.blur((each > 0).astype(np.float32), (3, 3)) for each in labels])
    for name in ("arrays", "predictions"):
        (folder / name).mkdir()
    np.save(folder / "arrays" / "images.npy", np.array([tile.image[..., ::-1] for tile in tiles]))
    np.save(folder / "arrays" / "labels.npy", labels)
    np.save(folder / "arrays" / "masks.npy", (labels > 0).astype(np.uint8))
    np.save(folder / "predictions" / "probabilities.npy", probabilities[::-1])  # in an order of its own
    objects = [separated_objects(each, 0.5, 1.0, 8).astype(np.uint16) for each in probabilities[::-1]]
    np.save(folder / "predictions" / "objects.npy", objects)
    table(folder / "arrays" / "samples.csv", [{"index": i, "id": tile.name} for i, tile in enumerate(tiles)])
    table(folder / "predictions" / "ids.csv", [{"index": i, "id": tile.name} for i, tile in enumerate(tiles[::-1])])
    write_scores(folder, tiles)
    return folder


def write_scores(folder, tiles):
    rows = [
        {
            "id": tile.name,
            "subset": "test",
            "modality": "dark_grey",
            "height": 64,
            "width": 64,
            "objects": 4,
            "objects_true": 4,
            "objects_predicted": 4,
            "foreground": 0.1,
        }
        | {"dice": 0.5 + index / 10}
        for index, tile in enumerate(tiles)
    ]
    table(folder / "per_image.csv", rows)
    table(folder / "history.csv", [{"epoch": 1, "dice": 0.5, "loss": 0.4, "val_dice": 0.6, "val_loss": 0.3}])
    curve = {"dice": 0.7, "precision": 0.8, "recall": 0.9}
    table(folder / "thresholds.csv", [{"subset": name, "threshold": 0.5} | curve for name in ("validation", "test")])
    table(folder / "reliability.csv", [{"low": 0, "high": 1, "count": 5, "confidence": 0.4, "frequency": 0.5}])
    dice = {"mean": 0.7, "median": 0.7, "p10": 0.5, "low": 0.6, "high": 0.8}
    scores = {"dice": dice, "images": len(rows), "by_kind": {"dark_grey": {"images": len(rows), "dice": dice}}}
    scores |= {"threshold": 0.5, "objects": {"depth": 1.0, "min_size": 8}, "calibration": {"ece": 0.1}}
    (folder / "evaluate.json").write_text(json.dumps(scores | {"run": SCORED}))
    (folder / "train.json").write_text(json.dumps({"run": TRAINED}))


def table(path, rows):
    write_csv(path, rows, list(rows[0]))


@pytest.fixture(scope="module")
def plots(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plots") / "plots"
    plot(run, folder)
    return folder


@pytest.mark.slow
def test_every_picture_is_drawn_at_the_width_of_a_readme_and_small(plots):
    pictures = {path.stem: path for path in plots.iterdir()}

    assert pictures.keys() == NAMES
    for path in pictures.values():
        assert path.stat().st_size < 300_000
        with Image.open(path) as image:
            assert image.width == 900
            assert len(image.getcolors()) > 20


@pytest.mark.slow
def test_without_a_test_subset_the_external_archive_is_shown_and_the_same_images_give_the_same_bytes(
    run, plots, tmp_path
):
    for name in ("arrays", "predictions"):
        shutil.copytree(run / name, tmp_path / "predictions" / "external" / name)
    for path in run.glob("*.csv"):
        shutil.copy(path, tmp_path)
    shutil.copy(run / "train.json", tmp_path)
    scores = json.loads((run / "evaluate.json").read_text())
    scores["external"] = {"other lab": {name: scores[name] for name in ("images", "dice")}}
    (tmp_path / "evaluate.json").write_text(json.dumps(scores))
    plot(tmp_path, tmp_path / "out" / "plots")
    others = {path.name: path.read_bytes() for path in (tmp_path / "out" / "plots").iterdir()}
    assert {Path(name).stem for name in others} == NAMES
    assert [path.name for path in plots.iterdir() if path.read_bytes() != others[path.name]] == []
    assert "other lab: Dice 0.700" in (tmp_path / "out" / "report.html").read_text()


def test_the_page_has_the_parameters_of_the_run_and_a_line_for_those_that_were_changed_since():
    names, what = {"image", "split", "model", "augment", "train", "evaluate"}, "params.yaml no longer has the values"
    assert STAGE["used"](PARAMS, TRAINED, SCORED) == PARAMS.model_dump(include=names)
    assert STAGE["used"](params(train={"epochs": 7}, evaluate={"tta": True}), TRAINED, SCORED) == {
        "split": PARAMS.split.model_dump(),
        "image, model, augment, train": f"not shown: {what} that the model was trained with",
        "evaluate": f"not shown: {what} that the model was scored with",
    }


def test_a_prediction_is_found_by_its_id(run):
    from unetseg.report.entries import read_cases

    tile = list(make_tiles(SLIDES))[1]
    rows = [{"id": tile.name, "dice": "0.5", "objects_true": "9", "objects_predicted": "8"}]
    (case,) = read_cases(run / "arrays", run / "predictions", rows, threshold=0.5)

    assert (case.true, case.predicted) == (9, 8)
    np.testing.assert_array_equal(case.labels, tile.labels)
    np.testing.assert_array_equal(case.objects > 0, case.mask)
    assert np.count_nonzero(case.mask & (tile.labels > 0)) > 0.9 * np.count_nonzero(case.mask)
