import functools
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from values import small_unet

from unetseg.errors import InputError
from unetseg.export import runtimes as export
from unetseg.export.runtimes import export_model
from unetseg.model import keras

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
PACKAGES = {"savedmodel": "tensorflow", "onnx": "onnxruntime", "litert": "ai_edge_litert"}
pytestmark = pytest.mark.filterwarnings("ignore")  # of the converters, about themselves


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return small_unet(32, stem_stride=2, depth=1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, model):
    """Export the model in 32 bits once for each format."""

    @functools.cache
    def export_once(to):
        pytest.importorskip(PACKAGES[to], reason=f"{PACKAGES[to]} is not installed")
        out = tmp_path_factory.mktemp("whole") / f"model{export.EXPORTS[to].suffix}"
        return out, *export_model(model, out, to=to, precision="float32", images=IMAGES)

    return export_once


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("to", PACKAGES)
def test_an_export_predicts_what_keras_predicts(whole, to):
    out, difference, dice = whole(to)
    assert out.exists()
    assert difference < 1e-5
    assert dice > 0.999


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_fewer_bits_make_a_smaller_file_that_still_predicts(tmp_path, model, whole, precision):
    larger, *_ = whole("litert")
    difference, _ = export_model(
        model, tmp_path / "small.tflite", to="litert", precision=precision, images=IMAGES, allow_loss=True
    )
    assert 0 < difference < 0.2
    assert (tmp_path / "small.tflite").stat().st_size != larger.stat().st_size


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_eight_bits_divide_by_no_zero_where_the_model_finds_nothing(tmp_path, model):
    pytest.importorskip(PACKAGES["litert"])
    sure = keras.models.clone_model(model)
    sure.set_weights(model.get_weights())
    head = [layer for layer in sure.get_layer("unet").layers if layer.weights][-1]
    head.kernel.assign(1000 * head.kernel)
    head.bias.assign([-20.0])
    images = np.concatenate([IMAGES, np.full((1, 32, 32, 3), 99, np.uint8)])
    found = sure.predict_on_batch(images.astype(np.float32))
    assert found[:3].max() > 0.9
    assert found[3].max() < 0.01
    export_model(sure, tmp_path / "m.tflite", to="litert", precision="int8", images=images, allow_loss=True)


def test_an_export_that_predicts_something_else_is_refused_and_not_left(tmp_path, model, monkeypatch):
    monkeypatch.setattr(model, "export", lambda path, **_: Path(path).mkdir())
    nothing = export.EXPORTS["savedmodel"]._replace(runtime=lambda _: lambda _: np.zeros((1, 32, 32, 1), np.float32))
    monkeypatch.setitem(export.EXPORTS, "savedmodel", nothing)
    with pytest.raises(InputError, match=r"differ by .* from Keras', over 1e-04"):
        export_model(model, tmp_path / "model", to="savedmodel", precision="float32", images=IMAGES)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named_with_what_to_install(tmp_path, model, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    importlib.invalidate_caches()
    monkeypatch.setattr(model, "export", lambda path, **_: Path(path).touch())
    with pytest.raises(InputError, match=r"pip install 'unetseg\[export\]'"):
        export_model(model, tmp_path / "m.onnx", to="onnx", precision="float32", images=IMAGES)


def test_a_suffix_of_another_format_and_a_precision_that_is_not_there_are_refused(tmp_path, model):
    with pytest.raises(InputError, match=r"m\.tflite: --to onnx writes \.onnx"):
        export_model(model, tmp_path / "m.tflite", to="onnx", precision="float32", images=IMAGES)
    with pytest.raises(InputError, match="--precision int8: only --to litert has it"):
        export_model(model, tmp_path / "m.onnx", to="onnx", precision="int8", images=IMAGES)


def test_a_folder_that_is_no_savedmodel_is_refused_before_any_work_and_stays(tmp_path, model, monkeypatch):
    monkeypatch.setattr(model, "export", None)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "t.txt").write_text("mine")
    with pytest.raises(InputError, match=r"thesis: is there already and holds no saved_model\.pb"):
        export_model(model, tmp_path / "thesis", to="savedmodel", precision="float32", images=IMAGES)
    (tmp_path / "thesis.onnx").mkdir()
    with pytest.raises(InputError, match=r"thesis\.onnx: is a folder"):
        export_model(model, tmp_path / "thesis.onnx", to="onnx", precision="float32", images=IMAGES)
    assert (tmp_path / "thesis" / "t.txt").read_text() == "mine"


def test_an_older_export_is_replaced(tmp_path, model, monkeypatch):
    def write(path, **_):
        Path(path).mkdir()
        (Path(path) / "saved_model.pb").write_text("new")

    same = export.EXPORTS["savedmodel"]._replace(runtime=lambda _: model.predict_on_batch)
    monkeypatch.setitem(export.EXPORTS, "savedmodel", same)
    monkeypatch.setattr(model, "export", write)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").write_text("old")
    export_model(model, tmp_path / "model", to="savedmodel", precision="float32", images=IMAGES)
    assert [(each.name, each.read_text()) for each in (tmp_path / "model").iterdir()] == [("saved_model.pb", "new")]


def test_what_a_runtime_cannot_take_is_told_in_a_line(tmp_path, model, monkeypatch):
    def export(*_, **__):
        raise RuntimeError("Select TensorFlow op(s) are needed\nhere is how")

    monkeypatch.setattr(model, "export", export)
    with pytest.raises(InputError, match=r"^--to litert cannot take this model: Select TensorFlow op\(s\) are needed$"):
        export_model(model, tmp_path / "m.tflite", to="litert", precision="float32", images=IMAGES)


def test_images_that_show_nothing_are_refused_where_bits_are_saved(tmp_path, model, monkeypatch):
    flat = np.full_like(IMAGES, 7)
    with pytest.raises(InputError, match="--images: each is of one value, which gives int8 no ranges"):
        export_model(model, tmp_path / "m.tflite", to="litert", precision="int8", images=flat)
    empty = export.EXPORTS["litert"]._replace(runtime=lambda _: lambda _: np.zeros((1, 32, 32, 1), np.float32))
    monkeypatch.setitem(export.EXPORTS, "litert", empty)
    monkeypatch.setattr(model, "export", lambda path, **_: Path(path).touch())
    monkeypatch.setattr(model, "predict_on_batch", lambda _: np.zeros((1, 32, 32, 1), np.float32))
    wanted = {"to": "litert", "precision": "float16", "images": IMAGES}
    with pytest.raises(InputError, match="cannot be told from images on which nothing is found"):
        export_model(model, tmp_path / "m.tflite", **wanted)
    assert export_model(model, tmp_path / "m.tflite", **wanted, allow_loss=True) == (0, None)


def test_a_full_disk_is_told_as_one(tmp_path, model, monkeypatch):
    def export(path, **_):
        Path(path).mkdir()
        raise tensorflow.errors.ResourceExhaustedError(None, None, path)

    tensorflow = pytest.importorskip("tensorflow")
    monkeypatch.setattr(model, "export", export)
    with pytest.raises(OSError, match=r"No space left on device: '.*/model'"):
        export_model(model, tmp_path / "model", to="savedmodel", precision="float32", images=IMAGES)
    assert list(tmp_path.iterdir()) == []


def test_fewer_bits_that_cost_dice_are_refused_unless_the_loss_is_allowed(tmp_path, model, monkeypatch):
    lossy = export.EXPORTS["litert"]._replace(runtime=lambda _: lambda _: np.zeros((1, 32, 32, 1), np.float32))
    monkeypatch.setitem(export.EXPORTS, "litert", lossy)
    monkeypatch.setattr(model, "export", lambda path, **_: Path(path).touch())
    wanted = {"to": "litert", "precision": "int8", "images": IMAGES}
    with pytest.raises(InputError, match=r"its masks have Dice 0\.0000 against those of Keras, under 0\.995"):
        export_model(model, tmp_path / "m.tflite", **wanted)
    assert not (tmp_path / "m.tflite").exists()
    export_model(model, tmp_path / "m.tflite", **wanted, allow_loss=True)
    assert (tmp_path / "m.tflite").exists()
