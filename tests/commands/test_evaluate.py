import json
import zipfile
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from spots import MODEL

from unetseg.cli import main
from unetseg.commands import scoring
from unetseg.errors import InputError
from unetseg.files import read_csv, write_json
from unetseg.model.file import save_model
from unetseg.synthetic.sample import Slide, make_tiles, write_archive

SLIDES = tuple(Slide(kind, 1, 1, 48, 40, 4, 3) for kind in ("fluorescence", "tissue"))


@pytest.mark.slow
def test_a_model_is_scored_on_each_archive_and_one_that_cannot_be_used_is_named(tmp_path, capsys):
    MODEL.save(tmp_path / "m.keras")
    write_archive(tmp_path / "good.zip", make_tiles(SLIDES))
    with zipfile.ZipFile(tmp_path / "good.zip", "a") as archive:
        archive.writestr("s/Images/i.png", "")
    (tmp_path / "bad.zip").write_bytes(b"no zip")
    (tmp_path / "folder").mkdir()
    archives = [str(tmp_path / name) for name in ("bad.zip", "good.zip", "none.zip", "folder")]
    assert main(["evaluate", "--model", str(tmp_path / "m.keras"), "--out", str(tmp_path / "out"), *archives]) == 1
    out, err = capsys.readouterr()
    assert f"{archives[0]}: is not a zip file" in err
    assert f"{archives[2]}: no such file\n" in err
    assert f"{archives[3]}: is a folder, not a zip file" in err
    assert "params.yaml" not in err
    assert f"{archives[1]}: left out 1 files that belong to no sample, such as 's/Images/i.png'" in err
    assert out.startswith(f"{archives[1]}: Dice 0.")
    (written,) = (tmp_path / "out").iterdir()
    assert written.name == "good"
    names = {"evaluate.json", "per_image.csv", "thresholds.csv", "reliability.csv", "plots", "report.html"}
    assert {path.name for path in written.iterdir()} == names
    assert json.loads((written / "evaluate.json").read_text())["images"] == 2
    assert {"by_kind.png", "examples_worst.png"} <= {path.name for path in (written / "plots").iterdir()}


def test_images_in_no_group_of_an_archive_are_grouped_by_their_fields(tmp_path, monkeypatch):
    monkeypatch.setattr(scoring, "draw_run", draw)
    MODEL.save(tmp_path / "m.keras")
    write_archive(tmp_path / "a.zip", make_tiles(SLIDES))
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        first = archive.namelist()[0].split("/")[0]
        for name in [each for each in archive.namelist() if each.startswith(f"{first}/")]:
            archive.writestr(name.replace(first, "copy"), archive.read(name))
        others = {each.split("/")[0] for each in archive.namelist()} - {first, "copy"}
        archive.writestr("groups.csv", f"id,group\n{others.pop()},x\n{first},\ncopy,\n")
    out = tmp_path / "out"
    assert main(["evaluate", "--model", str(tmp_path / "m.keras"), "--out", str(out), str(tmp_path / "a.zip")]) == 0
    groups = {row["id"]: row["group"] for row in read_csv(out / "per_image.csv")}
    assert groups["copy"] == groups[first]
    assert len(set(groups.values())) == 2


def draw(plots, page, **_options):
    """Stand in for `draw_run`, which takes seconds."""
    plots.mkdir()
    (plots / "a.png").touch()
    page.touch()


def test_two_evaluations_into_one_folder_at_a_time_each_end_and_leave_the_results_of_one(tmp_path, monkeypatch):
    MODEL.save(tmp_path / "m.keras")
    for name, slides in (("first", SLIDES), ("second", SLIDES[:1])):
        write_archive(tmp_path / f"{name}.zip", make_tiles(slides))
    score = scoring.open_scorer(tmp_path / "m.keras")
    out = tmp_path / "out"

    def draw_late(*paths, **_options):
        monkeypatch.setattr(scoring, "draw_run", draw)
        score(tmp_path / "second.zip", out)
        draw(*paths)

    monkeypatch.setattr(scoring, "draw_run", draw_late)
    assert "2 images" in score(tmp_path / "first.zip", out)
    assert len(read_csv(out / "per_image.csv")) == json.loads((out / "evaluate.json").read_text())["images"] == 2
    assert not list(out.glob(".*"))
    before = (out / "evaluate.json").read_bytes()
    (out / "plots" / "mine.txt").touch()
    with pytest.raises(InputError, match=r"mine\.txt: is not of an earlier run"):
        score(tmp_path / "second.zip", out)
    assert (out / "evaluate.json").read_bytes() == before


@pytest.mark.parametrize(("moved", "left"), [("out/per_image.csv", 2), ("results/plots", 1)])
def test_an_evaluation_that_is_stopped_leaves_the_results_of_one_run_alone(moved, left, tmp_path, monkeypatch):
    monkeypatch.setattr(scoring, "draw_run", draw)
    MODEL.save(tmp_path / "m.keras")
    for count in (1, 2):
        write_archive(tmp_path / f"{count}.zip", make_tiles(SLIDES[:count]))
    score, out, rename = scoring.open_scorer(tmp_path / "m.keras"), tmp_path / "out", Path.rename
    score(tmp_path / "2.zip", out)

    def stop(path, to):
        if path.as_posix().endswith(moved):
            raise KeyboardInterrupt
        rename(path, to)

    monkeypatch.setattr(Path, "rename", stop)
    with pytest.raises(KeyboardInterrupt):
        score(tmp_path / "1.zip", out)
    assert {path.name for path in out.iterdir()} == {"evaluate.json", "per_image.csv"}
    assert len(read_csv(out / "per_image.csv")) == json.loads((out / "evaluate.json").read_text())["images"] == left


def test_an_archive_is_seen_as_the_model_was_trained_unless_another_channel_is_asked_for(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(scoring, "draw_run", draw)
    save_model(tmp_path / "m.keras", MODEL, {"trained_with": {"data": {"channel": 1, "project": "none"}}})
    (tile,) = make_tiles(SLIDES[:1])
    empty = np.zeros_like(tile.image[..., 0])
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        stack = BytesIO()
        tifffile.imwrite(
            stack, np.stack([empty, tile.image[..., 0]]), photometric="minisblack", metadata={"axes": "CYX"}
        )
        archive.writestr("a/images/a.tif", stack.getvalue())
        archive.writestr("a/masks/a.png", cv2.imencode(".png", (tile.labels > 0) * np.uint8(255))[1].tobytes())
    words = ["evaluate", "--model", str(tmp_path / "m.keras"), str(tmp_path / "a.zip"), "--out"]
    assert main([*words, str(tmp_path / "second")]) == 0
    assert main([*words, str(tmp_path / "first"), "--channel", "0"]) == 0
    second, first = (line.split("Dice ")[1][:5] for line in capsys.readouterr().out.splitlines())
    assert float(second) > float(first) + 0.1


@pytest.mark.parametrize("scale", ["resize", "tiles"])
def test_an_image_whose_size_of_pixels_cannot_be_is_named_and_may_be_left_out(tmp_path, capsys, monkeypatch, scale):
    monkeypatch.setattr(scoring, "draw_run", draw)
    MODEL.save(tmp_path / "m.keras")
    write_json(tmp_path / "m.json", {"pixel_size": 0.5, "scale": scale})
    write_archive(tmp_path / "a.zip", make_tiles(SLIDES[:1]))
    (tile,) = make_tiles(SLIDES[:1])
    printed = BytesIO()
    tifffile.imwrite(printed, tile.image, photometric="rgb", resolution=(118, 118), resolutionunit=3)
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.writestr("odd/images/a.tif", printed.getvalue())
        archive.writestr("odd/masks/a.png", cv2.imencode(".png", (tile.labels > 0) * np.uint8(255))[1].tobytes())
    words = ["evaluate", "--model", str(tmp_path / "m.keras"), "--out", str(tmp_path / "out"), str(tmp_path / "a.zip")]
    assert main(words) == 1
    told = f"{tmp_path / 'a.zip'}: odd: its pixels are 84.7 µm, those of the model 0.5: a zoom of 169"
    assert told in capsys.readouterr().err
    assert main([*words, "--skip-bad"]) == 0
    printed = capsys.readouterr()
    assert f"left out: {told}" in printed.err
    assert "1 images" in printed.out


def test_the_values_in_use_are_told_and_averaging_can_be_switched_off(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(scoring, "draw_run", draw)
    MODEL.save(tmp_path / "m.keras")
    write_json(tmp_path / "m.json", {"tta": True})
    write_archive(tmp_path / "a.zip", make_tiles(SLIDES[:1]))
    words = ["evaluate", "--model", str(tmp_path / "m.keras"), str(tmp_path / "a.zip"), "--out"]
    assert main([*words, str(tmp_path / "own")]) == 0
    assert f"tta True (from {tmp_path / 'm.json'})" in capsys.readouterr().err
    assert main([*words, str(tmp_path / "asked"), "--no-tta", "--threshold", "0.4"]) == 0
    assert "threshold 0.4, depth 1.0, min size 8, tta False (from" in (err := capsys.readouterr().err)
    assert "m.json; --threshold, --tta as given)" in err


def test_archives_of_one_name_are_refused_before_any_work(tmp_path, capsys):
    archives = [str(tmp_path / folder / "x.zip") for folder in ("a", "b")]
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", "--model", "m.keras", "--out", str(tmp_path / "out"), *archives])
    assert stop.value.code == 1
    assert capsys.readouterr().err.startswith("two archives are named x:")
