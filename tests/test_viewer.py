import importlib
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import yaml
from spots import MODEL, spots

from unetseg import viewer
from unetseg.cli import main
from unetseg.errors import InputError
from unetseg.model.file import save_model

MANIFEST = Path(viewer.__file__).with_name("napari.yaml")


@pytest.fixture
def model(tmp_path):
    save_model(tmp_path / "m.keras", MODEL, {})
    return tmp_path / "m.keras"


def test_every_command_of_the_manifest_is_a_function_of_the_plugin():
    for command in yaml.safe_load(MANIFEST.read_text())["contributions"]["commands"]:
        module, name = command["python_name"].split(":")
        assert callable(getattr(importlib.import_module(module), name))


def test_napari_accepts_the_manifest():
    if not (npe2 := shutil.which("npe2")):
        pytest.skip("npe2 is not installed")
    checked = subprocess.run([npe2, "validate", MANIFEST], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("labels", [True, False])
def test_a_folder_of_predictions_opens_as_a_labels_layer_per_image(tmp_path, model, labels):
    cv2.imwrite(str(tmp_path / "a.png"), spots(40, 50))
    words = ["--write", "labels"] if labels else []
    assert (
        main(["predict", "--model", str(model), "--out", str(tmp_path / "out"), *words, str(tmp_path / "a.png")]) == 0
    )
    read = viewer.get_reader(str(tmp_path / "out"))
    ((found, shown, kind),) = read(str(tmp_path / "out"))
    assert (shown["name"], kind, found.shape) == ("a", "labels", (40, 50))
    assert found.max() == (2 if labels else 1)


def test_the_objects_of_an_earlier_run_are_not_shown(tmp_path, model):
    cv2.imwrite(str(tmp_path / "a.png"), spots(40, 50))
    common = ["predict", "--model", str(model), "--out", str(tmp_path / "out"), str(tmp_path / "a.png")]
    assert main([*common, "--write", "labels"]) == 0
    assert main([*common, "--threshold", "0.999999"]) == 0
    ((found, _, _),) = viewer.read_predictions(str(tmp_path / "out"))
    np.testing.assert_array_equal(found > 0, cv2.imread(str(tmp_path / "out" / "a.png"), cv2.IMREAD_GRAYSCALE) > 0)


def test_an_image_without_the_label_image_that_others_have_opens_as_its_mask(tmp_path, model):
    cv2.imwrite(str(tmp_path / "a.png"), spots(40, 50))
    common = ["predict", "--model", str(model), "--out", str(tmp_path / "out"), str(tmp_path / "a.png")]
    assert main(common) == 0
    cv2.imwrite(str(tmp_path / "out" / "a.png"), np.full((40, 50), 255, np.uint8))
    assert main([*common, "--write", "labels,coco", "--resume"]) == 0
    ((found, _, _),) = viewer.read_predictions(str(tmp_path / "out"))
    assert found.min() == 1


def test_a_mask_that_is_gone_is_told_by_its_name(tmp_path, model):
    cv2.imwrite(str(tmp_path / "a.png"), spots(40, 50))
    assert main(["predict", "--model", str(model), "--out", str(tmp_path / "out"), str(tmp_path / "a.png")]) == 0
    (tmp_path / "out" / "a.png").unlink()
    with pytest.raises(InputError, match=r"out/a\.png: is gone or damaged"):
        viewer.read_predictions(str(tmp_path / "out"))


def test_other_files_and_folders_are_left_to_other_plugins(tmp_path):
    assert viewer.get_reader(str(tmp_path)) is None
    assert viewer.get_reader([str(tmp_path)]) is None


@pytest.mark.parametrize("zoom", [0.5, 1.0, 2.0])
def test_the_widget_numbers_the_objects_at_the_size_of_the_image(model, zoom):
    found = viewer.label(spots(80, 100), model, zoom)
    assert found.shape == (80, 100)
    assert set(np.unique(found)) == {0, 1, 2}


def test_the_widget_takes_the_full_size_of_a_pyramid_and_lies_where_the_image_lies(model):
    big, place = spots(80, 100), {"scale": np.array([0.5, 0.5]), "translate": np.array([100.0, 200.0])}
    image = SimpleNamespace(data=[big, big[::2, ::2]], multiscale=True, rgb=False, name="a", **place)
    found, shown, kind = viewer.find_objects(image, model, zoom=1.0)
    assert (found.shape, kind, shown["name"]) == ((80, 100), "labels", "a objects")
    assert all(np.array_equal(shown[name], place[name]) for name in place)


def test_a_model_of_one_channel_asks_for_the_channel_of_a_colour_layer(tmp_path):
    save_model(tmp_path / "m.keras", MODEL, {"trained_with": {"data": {"channel": 1}}})
    (tmp_path / "m.json").write_text("{}")
    data = np.dstack([np.zeros((40, 50), np.uint8), spots(40, 50)[..., :2]])
    place = {"scale": np.ones(2), "translate": np.zeros(2)}
    image = SimpleNamespace(data=data, multiscale=False, rgb=True, name="a", **place)
    with pytest.raises(InputError, match="3 channels, and the model was trained on channel 1"):
        viewer.find_objects(image, tmp_path / "m.keras", zoom=1.0)
    assert viewer.find_objects(image, tmp_path / "m.keras", channel=1, zoom=1.0)[0].max() == 2


@pytest.mark.parametrize("shape", [(40, 50), (2, 3, 40, 50)])
def test_a_channel_is_chosen_of_layers_with_three_axes(model, shape):
    image = SimpleNamespace(data=np.zeros(shape, np.uint8), multiscale=False, rgb=False)
    with pytest.raises(InputError, match=r"channel 0: needs a layer of three axes; this one has the shape \("):
        viewer.find_objects(image, model, channel=0)


def test_a_stack_without_a_chosen_plane_is_refused_in_a_line(model):
    with pytest.raises(InputError, match=r"shape \(9, 40, 50\): choose one plane of it with `channel`"):
        viewer.label(np.zeros((9, 40, 50), np.uint8), model, 1.0)
