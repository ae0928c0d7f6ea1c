import json
import os

import cv2
import fsspec
import numpy as np
import pytest
import tifffile

from unetseg.cli import main
from unetseg.errors import InputError
from unetseg.files import write_json
from unetseg.report import predicted


@pytest.fixture
def folder(tmp_path):
    """What a prediction of one image left: its mask is where it is bright, its probability 0 or 1 or in doubt."""
    image = np.zeros((40, 60, 3), np.uint8)
    image[10:20, 30:50] = 200
    cv2.imwrite(str(tmp_path / "cells.png"), image)
    out = tmp_path / "out"
    out.mkdir()
    cv2.imwrite(str(out / "cells_mask.png"), image[..., 0] // 200 * 255)
    probability = np.zeros((40, 60), np.uint16)
    probability[:20] = 32768
    tifffile.imwrite(out / "cells_probability.tif", probability)
    listed = {"image": "cells.png", "path": "../cells.png", "plane": None, "mask": "cells_mask.png", "objects": 1}
    write_json(
        out / "predict.json",
        {"model": "m.keras", "images": [listed, listed | {"probability": "cells_probability.tif"}]},
    )
    return out


def test_a_prediction_is_read_with_its_image_mask_and_scores(folder):
    without, _ = predicted.predicted_entries(folder, predicted.read_predictions(folder)["images"])
    assert without.id == "cells.png"
    assert (without.image[..., 0] == without.mask * 200).all()
    assert without.mask.sum() == 200
    assert without.truth is without.probability is None
    assert without.scores == {"objects": 1}


def test_an_image_on_other_storage_is_read_from_there(folder):
    fsspec.filesystem("memory").pipe("/plates/%41.png", (folder.parent / "cells.png").read_bytes())
    image = predicted.read_predictions(folder)["images"][0] | {"path": "memory://plates/%41.png"}
    write_json(folder / "predict.json", {"images": [image]})
    (entry,) = predicted.predicted_entries(folder, predicted.read_predictions(folder)["images"])
    assert (entry.image[..., 0] == entry.mask * 200).all()


def test_the_uncertainty_is_that_of_the_whole_probability(folder):
    _, entry = predicted.predicted_entries(folder, predicted.read_predictions(folder)["images"])
    assert entry.scores["uncertainty"] == pytest.approx(0.5, abs=1e-4)
    assert entry.probability[:20] == pytest.approx(0.5, abs=1e-4)
    assert (entry.probability[20:] == 0).all()


def test_an_image_shrunk_strip_by_strip_is_the_image_shrunk_at_once(monkeypatch):
    image = np.random.default_rng(0).integers(0, 256, (300, 220, 3), np.uint8)
    monkeypatch.setattr(predicted, "LARGEST", 50)
    at_once = predicted.shrink(lambda start, stop: image[start:stop], 300, 220)
    asked = []
    monkeypatch.setattr("unetseg.images.tiling.STRIP", 220 * 40)
    strips = predicted.shrink(lambda start, stop: asked.append(stop - start) or image[start:stop], 300, 220)
    assert max(asked) <= 40
    assert strips.shape == at_once.shape == (50, 37, 3)
    assert (strips == at_once).all()


def test_what_predict_did_not_write_is_refused_in_one_line(tmp_path):
    with pytest.raises(InputError, match=r"predict\.json: not there; DIR is the folder"):
        predicted.read_predictions(tmp_path)
    (tmp_path / "predict.json").write_text("[1]")
    with pytest.raises(InputError, match="is not what `unetseg predict` writes"):
        predicted.read_predictions(tmp_path)


def test_every_file_that_is_gone_is_named(folder):
    (folder / "../cells.png").unlink()
    (folder / "cells_probability.tif").unlink()
    with pytest.raises(InputError) as raised:
        predicted.read_predictions(folder)
    assert len(str(raised.value).splitlines()) == 2


def test_the_command_writes_one_page_that_holds_every_image(folder, capsys):
    assert main(["report", str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder / 'report.html'}\n"
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count('"id":"cells.png"') == 2
    assert "<h1>Predictions in out</h1>" in page
    assert '"params":{"model":"m.keras"}' in page


def test_the_command_says_in_one_line_that_a_folder_holds_no_predictions(tmp_path, capsys):
    with pytest.raises(SystemExit, match="1"):
        main(["report", str(tmp_path)])
    assert capsys.readouterr().err.count("\n") == 1


def test_a_damaged_mask_is_named(folder, capsys):
    (folder / "cells_mask.png").write_bytes(b"no picture")
    with pytest.raises(SystemExit, match="1"):
        main(["report", str(folder)])
    assert "cells_mask.png: is damaged" in capsys.readouterr().err
    assert not (folder / "report.html").exists()


FINE = {"image": "a", "path": "../cells.png", "plane": None, "mask": "cells_mask.png"}


@pytest.mark.parametrize(
    "content",
    [
        "", "{", "[]", "null", "3", '"text"', "[" * 9000, "{}", '{"images": null}', '{"images": 3}', '{"images": {}}',
        '{"images": [3]}', '{"images": [{}]}', '{"images": [], "threshold": NaN}', '{"images": [], "threshold": 1e999}',
        *(
            json.dumps({"images": [FINE | changed]})
            for changed in (
                {"image": 3}, {"path": None}, {"path": ["a"]}, {"mask": 3}, {"mask": None}, {"plane": -1},
                {"plane": 7}, {"plane": "x"}, {"channel": -1}, {"channel": "x"}, {"channel": []}, {"project": "x"},
                {"objects": []}, {"objects": {"a": 1}}, {"objects": 10**400}, {"probability": 3}, {"path": "a\0b"},
                {"path": "x" * 300}, {"mask": "../out"}, {"probability": "cells_mask.png", "mask": "predict.json"},
            )
        ),
    ],
)  # fmt: skip
def test_a_malformed_list_is_one_line(content, folder, capsys):
    (folder / "predict.json").write_text(content)
    with pytest.raises(SystemExit) as stop:
        main(["report", str(folder)])
    assert stop.value.code == 1
    told = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("report: ")]
    assert len(told) == 1
    assert str(folder) in told[0] or "cells.png" in told[0]


def test_an_image_whose_name_is_not_utf_8_is_found(folder):
    name = os.fsdecode(b"zelle_\xe4.png")
    (folder.parent / "cells.png").rename(folder.parent / name)
    write_json(folder / "predict.json", {"images": [FINE | {"path": "../zelle_%E4.png"}]})
    (entry,) = predicted.predicted_entries(folder, predicted.read_predictions(folder)["images"])
    assert entry.image.any()


def test_the_page_of_many_images_shows_the_least_certain_and_a_sample_and_says_so(folder, monkeypatch, capsys):
    monkeypatch.setattr("unetseg.report.entries.MOST", 4)
    listed = predicted.read_predictions(folder)["images"][0]
    estimates = [0.9, 0.5, None, 0.8, 0.95, 0.85, 0.7]
    images = [listed | {"image": f"of {value}", "estimated_dice": value} for value in estimates]
    write_json(folder / "predict.json", {"images": images})
    assert main(["report", str(folder)]) == 0
    rule = "Of 7 images the 2 least certain and an even sample of 2 others."
    assert f"{folder}: {rule}" in capsys.readouterr().err
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert rule in page
    assert [value for value in estimates if f'"of {value}"' in page] == [0.5, None, 0.95, 0.7]
