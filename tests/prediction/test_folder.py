import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from spots import MODEL, SIZE, spots

from unetseg.dataset.arrays import write_arrays
from unetseg.dataset.samples import read_sample
from unetseg.evaluation.evaluation import predict_subset
from unetseg.files import write_csv
from unetseg.images.inputs import find_inputs
from unetseg.images.resampling import resize
from unetseg.model import keras
from unetseg.prediction import folder as folder_of_files
from unetseg.prediction import results
from unetseg.prediction.folder import FilePredictor
from unetseg.prediction.predictor import Predictor
from unetseg.prediction.results import Results
from unetseg.prediction.settings import Settings, Tuning
from unetseg.prediction.zoom import Zooming


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("m.keras").write_bytes(b"a model")
    Path("images").mkdir()


def run(scale="resize", words=("images",), kinds=(), tta=False, model=MODEL):
    sources, settings = find_inputs(list(words), Path("out")).images, Settings(scale=scale)
    results = Results(Path("out"), settings, kinds, Path("m.keras"), Tuning())
    return list(FilePredictor(Predictor(model, tta=tta), Zooming(settings, Tuning())).predict(sources, results))


def mask(name):
    return cv2.imread(f"out/{name}.png", cv2.IMREAD_UNCHANGED)


def evaluated(samples, model, size, tta=False):
    """The masks that `evaluate` scores at native size, by sample."""
    write_arrays(samples, Path("arrays"), size=size, skip_bad=False)
    ids = sorted(folder.name for folder in samples.iterdir())
    rows = [{"id": name, "subset": "test", "group": name, "stratum": "x"} for name in ids]
    write_csv(Path("split.csv"), rows, ("id", "subset", "group", "stratum"))
    predictor = Predictor(model, tta=tta)
    subset = predict_subset(predictor, Path("arrays"), Path("split.csv"), name="test", out=Path("predicted"))
    sizes = {name: read_sample(samples / name).labels.shape for name in ids}
    seen = zip((row["id"] for row in subset.rows), subset.probabilities, strict=True)
    return {name: resize(np.array(probability), *sizes[name]) >= np.float32(0.5) for name, probability in seen}


def write_sample(name, pixels, suffix="png"):
    for kind, content in (("images", pixels), ("masks", np.where(pixels.max(axis=2) > 100, 255, 0).astype(np.uint8))):
        path = Path("samples", name, kind, f"{name}.{suffix if kind == 'images' else 'png'}")
        path.parent.mkdir(parents=True)
        assert cv2.imwrite(str(path), content)


@pytest.mark.parametrize("tta", [False, True])
def test_the_masks_are_to_the_pixel_those_that_evaluate_scored(tta):
    write_sample("a", spots(50, 70))
    write_sample("b", spots(32, 45), "tif")
    write_sample("c", spots(200, 90).astype(np.uint16) * 15)
    write_sample("d", np.dstack([spots(60, 41), np.full((60, 41), 200, np.uint8)]))
    write_sample("e", spots(33, 64), "bmp")
    expected = evaluated(Path("samples"), MODEL, SIZE, tta)
    assert run(words=["samples/*/images/*"], tta=tta) == [None] * 5
    for name, scored in expected.items():
        assert np.array_equal(mask(f"{name}/images/{name}") > 0, scored)
        assert scored.any()


@pytest.mark.usefixtures("compiled")
def test_images_predicted_at_once_get_the_files_of_images_predicted_one_by_one(monkeypatch):
    for number in range(12):
        cv2.imwrite(f"images/{number:02d}.png", spots(60 + 7 * number, 90))
    assert run("tiles", kinds=["probability"]) == [None] * 12
    at_once = {path.name: path.read_bytes() for path in Path("out").glob("[01]*")}
    monkeypatch.setattr(folder_of_files, "SEVERAL", map)
    run("tiles", kinds=["probability"])
    assert at_once == {path.name: path.read_bytes() for path in Path("out").glob("[01]*")}
    assert len(at_once) == 24


@pytest.mark.slow
@pytest.mark.realdata
def test_on_real_images_the_masks_are_to_the_pixel_those_that_evaluate_scored(realdata, tmp_path):
    with zipfile.ZipFile(realdata / "stage1_small.zip") as archive:
        archive.extractall("samples")
    expected = evaluated(tmp_path / "samples", MODEL, SIZE)
    assert not any(run(words=["samples/*/images/*.png"]))
    assert len(expected) == 32
    for name, scored in expected.items():
        assert np.array_equal(mask(f"{name}/images/{name}") > 0, scored)


@pytest.mark.parametrize("scale", ["resize", "tiles"])
def test_a_broken_image_is_named_and_the_others_are_done(scale):
    for name in ("a", "b", "d"):
        cv2.imwrite(f"images/{name}.png", spots(40, 50))
    Path("images/c.png").write_text("no image")
    outcomes = run(scale)
    assert [outcome is None for outcome in outcomes] == [True, True, False, True]
    assert "images/c.png" in outcomes[2]
    assert {path.name for path in Path("out").glob("*.png")} == {"a.png", "b.png", "d.png"}


@pytest.mark.parametrize("small", [folder_of_files.SMALL, 1])
def test_an_image_that_the_model_cannot_predict_in_tiles_is_named(monkeypatch, small):
    monkeypatch.setattr(folder_of_files, "SMALL", small)  # at 1 an image is predicted while it is read
    image = keras.Input((SIZE, SIZE, 3))
    model = keras.Model(image, keras.layers.Conv2D(1, 1, activation="sigmoid")(image))
    for name in ("a", "b"):
        cv2.imwrite(f"images/{name}.png", spots(40, 50))
    rule = "the model has no parts 'normalise' and 'unet': it cannot be taken apart"
    assert run("tiles", model=model) == [f"images/{name}.png: {rule}" for name in ("a", "b")]


def test_a_plane_that_breaks_in_the_middle_leaves_no_result():
    noise = np.random.default_rng(0).integers(0, 256, (2, 64, 50), np.uint8)
    tifffile.imwrite("images/a.tif", noise, photometric="minisblack", compression="zlib", rowsperstrip=8)
    with tifffile.TiffFile("images/a.tif") as file:
        offset = file.pages[1].dataoffsets[5]
    content = bytearray(Path("images/a.tif").read_bytes())
    content[offset : offset + 9] = bytes(9)
    Path("images/a.tif").write_bytes(content)
    fine, broken = run("tiles")
    assert fine is None
    assert "images/a.tif" in broken
    left = {path.name for path in Path("out").rglob("*") if path.is_file()}
    assert left == {"a_0000.png", "a_0000.jsonl", "a_0000.json"}


def test_each_plane_of_a_stack_gets_a_mask():
    stack = np.stack([spots(40, 50)[..., 0], spots(40, 50)[::-1, :, 0]]).astype(np.uint16) * 9
    tifffile.imwrite("images/a.tif", stack, photometric="minisblack")
    assert run() == [None, None]
    assert np.array_equal(mask("a_0000"), mask("a_0001")[::-1])
    assert mask("a_0000").any()


@pytest.mark.parametrize("scale", ["resize", "tiles"])
def test_every_kind_agrees_with_the_mask(scale):
    cv2.imwrite("images/a.png", spots(60, 90))
    assert run(scale, kinds=("probability", "labels", "overlay", "roi", "geojson", "coco", "rle")) == [None]
    assert np.array_equal(tifffile.imread("out/a.labels.tif") > 0, mask("a") > 0)
    assert np.array_equal(tifffile.imread("out/a.probability.tif") >= 32768, mask("a") > 0)


def test_a_large_image_says_how_far_it_is(monkeypatch, capsys):
    monkeypatch.setattr(folder_of_files, "SMALL", 100)
    monkeypatch.setattr(results, "LARGE", 100)
    image = np.tile(spots(40, 50), (5, 3, 1))
    cv2.imwrite("images/a.png", image)
    assert run("tiles") == [None]
    assert "a.png: 1 strips" in capsys.readouterr().err


def test_an_image_for_which_the_model_gives_nan_is_named_and_the_others_are_written():
    image = keras.Input((SIZE, SIZE, 3))
    mean = keras.ops.mean(image, axis=(1, 2, 3), keepdims=True)
    unsure = keras.Model(image, image[..., :1] / 255 * (mean / mean))  # of a black image 0 / 0
    for name, pixels in (("a", spots(50, 70)), ("black", np.zeros((40, 40, 3), np.uint8)), ("c", spots(33, 64))):
        cv2.imwrite(f"images/{name}.png", pixels)
    done = run("resize", model=unsure)
    assert done[::2] == [None, None]
    assert done[1].startswith("images/black.png: the model predicts NaN")
    assert mask("c").any()
    assert not Path("out/black.png").exists()
