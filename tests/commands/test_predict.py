import json
import os
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import cv2
import fsspec
import numpy as np
import pytest
import tifffile
import zarr
from spots import MODEL, spots
from values import small_unet

from unetseg.cli import main
from unetseg.files import read_csv
from unetseg.model.file import save_model
from unetseg.prediction import api
from unetseg.prediction.results import Results
from unetseg.prediction.stored import StoredResults

TWO_PARTS = small_unet(32, depth=1, normalization="none")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_model(Path("m.keras"), MODEL, {})
    Path("images").mkdir()
    for name in "abc":
        cv2.imwrite(f"images/{name}.png", spots(40, 50))


def predict(*words):
    return main(["predict", "--model", "m.keras", "--out", "out", *words])


def times():
    return {path.name: path.stat().st_mtime_ns for path in Path("out").glob("*.png")}


@pytest.mark.filterwarnings("ignore:a model that is not from unetseg.load_model")
def test_masks_and_a_table_are_written_and_the_exit_is_0(capsys):
    assert predict("images") == 0
    assert sorted(path.name for path in Path("out").glob("*.*")) == [
        ".unetseg", "a.png", "b.png", "c.png", "images.csv", "objects.csv", "predict.json",
    ]  # fmt: skip
    objects, images = read_csv(Path("out/objects.csv")), read_csv(Path("out/images.csv"))
    assert len(objects) == 6
    assert {(row["name"], row["image"]) for row in objects} == {(row["name"], row["image"]) for row in images}
    told = capsys.readouterr().err
    assert "predict: 3 images in " in told
    assert "of 3 images look fine; " in told
    listed = json.loads(Path("out/predict.json").read_text())["images"]
    api_found = api.predict(spots(40, 50), MODEL)
    assert [image["estimated_dice"] for image in listed] == [pytest.approx(api_found.estimated_dice, abs=1e-4)] * 3
    assert [float(row["estimated_dice"]) for row in read_csv(Path("out/images.csv"))] == [
        listed[0]["estimated_dice"]
    ] * 3


def test_images_inside_an_ome_zarr_are_predicted_resumed_and_reported(capsys):
    datasets = [{"path": "0"}]
    for name in ("0", "1"):
        ome = {"multiscales": [{"axes": [{"name": axis} for axis in "yx"], "datasets": datasets}]}
        image = zarr.create_group(f"images/a.zarr/{name}", attributes={"ome": ome})
        image.create_array("0", data=spots(40, 50)[..., 0])
    assert predict("images/*.zarr/0") == 0
    assert predict("--resume", "images/*.zarr/*") == 0
    assert "predict: 1 images in " in capsys.readouterr().err
    assert [row["image"] for row in read_csv(Path("out/images.csv"))] == ["a.zarr/0", "a.zarr/1"]
    assert {str(path) for path in Path("out").rglob("*.png")} == {"out/a/0.png", "out/a/1.png"}
    assert main(["report", "out"]) == 0


def test_a_broken_image_is_named_on_stderr_and_the_exit_is_1(capsys):
    Path("images/b.png").write_text("no image")
    assert predict("images") == 1
    assert "\nimages/b.png: " in capsys.readouterr().err
    assert set(times()) == {"a.png", "c.png"}


def test_resuming_does_what_is_missing_and_nothing_else():
    predict("images")
    before = times()
    Path("out/b.png").unlink()
    assert predict("--resume", "images") == 0
    after = times()
    assert [name for name in after if after[name] != before[name]] == ["b.png"]
    assert len(read_csv(Path("out/objects.csv"))) == 6


def test_a_result_that_was_edited_is_kept_and_told(capsys):
    predict("--write", "labels", "images")
    edited = np.zeros((40, 50), np.uint16)
    edited[3:9, 3:9] = 1
    tifffile.imwrite("out/b.labels.tif", edited)
    predict("--write", "labels", "--threshold", "0.6", "--resume", "images")
    assert (
        "edited since and kept: 1 images, such as out/b.labels.tif; the tables have them as they were predicted;"
        in capsys.readouterr().err
    )
    np.testing.assert_array_equal(tifffile.imread("out/b.labels.tif"), edited)
    assert [each["image"] for each in json.loads(Path("out/predict.json").read_text())["images"]] == ["a", "b", "c"]
    Path("out/b.labels.tif").unlink()
    predict("--write", "labels", "--threshold", "0.6", "--resume", "images")
    assert tifffile.imread("out/b.labels.tif").max() == 2


def test_a_result_is_known_as_edited_after_a_run_that_wrote_others_whatever_kinds_are_asked_for(capsys):
    predict("--write", "labels", "images")
    predict("--write", "geojson", "images")
    tifffile.imwrite("out/b.labels.tif", np.ones((40, 50), np.uint16))
    for kind in ("labels", "geojson", "roi"):
        assert predict("--write", kind, "--threshold", "0.6", "images") == 2
        assert "such as out/b.labels.tif; --resume keeps them" in capsys.readouterr().err
        assert predict("--write", kind, "--threshold", "0.6", "--resume", "images") == 0
        assert "edited since and kept: 1 images, such as out/b.labels.tif" in capsys.readouterr().err
    assert tifffile.imread("out/b.labels.tif").min() == 1


def test_a_table_that_lacks_an_edited_image_is_named(capsys):
    predict("--objects", "none", "images")
    cv2.imwrite("out/b.png", np.full((40, 50), 255, np.uint8))
    assert predict("--write", "roi,rle", "--resume", "images") == 0
    told = capsys.readouterr().err.splitlines()
    for lacking in ("roi", "rle.csv"):
        rule = "kept from a run that did not make it or note what it needs"
        assert f"{lacking}: lacks 1 images, such as b, {rule}" in told
    assert [row["objects"] for row in read_csv(Path("out/images.csv")) if row["name"] == "b"] == [""]


def test_without_resume_an_edited_result_is_not_written_over(capsys):
    predict("--write", "labels", "images")
    tifffile.imwrite("out/b.labels.tif", np.ones((40, 50), np.uint16))
    assert predict("--write", "labels", "images") == 2
    told = "edited since they were predicted: 1 images, such as out/b.labels.tif; --resume keeps them"
    assert told in capsys.readouterr().err
    assert tifffile.imread("out/b.labels.tif").min() == 1


def test_rois_drawn_by_hand_of_an_image_without_objects_stay(capsys):
    cv2.imwrite("images/empty.png", np.zeros((40, 50, 3), np.uint8))
    words = ("--write", "roi", "images")
    assert predict(*words) == 0
    assert "no objects, so no .roi.zip: 1 images, such as empty\n" in capsys.readouterr().err
    drawn = Path("out/b.roi.zip").read_bytes()
    Path("out/empty.roi.zip").write_bytes(drawn)
    assert predict("--resume", *words) == 0
    told = capsys.readouterr().err
    assert "edited since and kept: 1 images, such as out/empty.roi.zip;" in told
    assert "no .roi.zip" not in told
    assert predict(*words) == 2
    assert "edited since they were predicted: 1 images, such as out/empty.roi.zip;" in capsys.readouterr().err
    assert Path("out/empty.roi.zip").read_bytes() == drawn


def test_results_of_before_are_named_where_an_image_fails_now(capsys):
    predict("--write", "labels", "images")
    Path("images/b.png").write_bytes(Path("images/b.png").read_bytes()[:60])
    capsys.readouterr()
    assert predict("--write", "labels", "images") == 1
    told = "files of an earlier run stay, and may show other objects: 1 images, such as out/b.png"
    assert told in capsys.readouterr().err


def test_tables_that_are_not_written_again_are_named(capsys):
    predict("--write", "rle,coco", "images")
    assert predict("--write", "coco", "--threshold", "0.6", "images/a.png") == 0
    assert "of an earlier run, with its images and objects: out/rle.csv\n" in capsys.readouterr().err


def test_the_same_fault_of_all_planes_is_told_once(capsys):
    tifffile.imwrite("images/s.tif", np.zeros((3, 2, 40, 50), np.uint8), imagej=True, metadata={"axes": "ZCYX"})
    assert predict("images") == 1
    assert capsys.readouterr().err.count("images/s.tif: has 2 channels") == 1


def test_files_of_kinds_that_are_not_written_again_are_named(capsys):
    predict("--write", "labels,geojson", "images")
    assert "earlier run" not in capsys.readouterr().err
    predict("--write", "labels", "--threshold", "0.6", "images")
    told = "files of an earlier run stay, and may show other objects: 3 images, such as out/a.geojson"
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("out", ["out", "memory://earlier"])
def test_images_of_an_earlier_run_that_leave_the_tables_are_named(out, capsys):
    assert predict("--out", out, "images/a.png", "images/b.png") == 0
    assert "no longer" not in capsys.readouterr().err
    assert predict("--out", out, "images/a.png") == 0
    assert "1 images of earlier runs are no longer in the tables, such as b; predict all in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--zoom", "2", "--scale", "resize"], "zoom 2: an image is either fitted to the model's size or zoomed"),
        (["--pixel-size", "0.5"], "pixel size 0.5: the model does not know the size of the pixels"),
        (["--pixel-size", "0.5", "--zoom", "2"], "pixel size 0.5: it decides the zoom"),
        (["--depth", "7", "--objects", "connected"], "--depth does nothing with --objects connected"),
        (["--min-size", "7", "--objects", "none"], "--min-size does nothing with --objects none"),
    ],
)
def test_options_that_would_do_nothing_are_refused(words, told, capsys):
    assert predict(*words, "images") == 2
    assert told in capsys.readouterr().err


def test_without_resume_all_is_done_again():
    predict("images")
    before = times()
    predict("images")
    assert all(before[name] != time for name, time in times().items())


def test_more_kinds_are_written_on_demand():
    assert predict("--write", "labels,coco", "images/a.png") == 0
    assert Path("out/a.labels.tif").is_file()
    assert Path("out/coco.json").is_file()


def test_the_threshold_is_the_models_own_unless_another_is_given():
    faint = np.full((32, 32, 3), 100, np.uint8)
    cv2.imwrite("images/faint.png", faint)
    save_model(Path("m.keras"), MODEL, {"threshold": 0.2})
    predict("images/faint.png")
    assert cv2.imread("out/faint.png")[16, 16, 0] == 255
    predict("--threshold", "0.5", "images/faint.png")
    assert cv2.imread("out/faint.png")[16, 16, 0] == 0


def test_the_values_that_evaluate_chose_are_used_and_told_unless_others_are_given(capsys):
    Path("m.json").write_text('{"threshold": 0.2, "depth": 1.5, "min_size": 3, "tta": true}')
    assert predict("images/a.png") == 0
    used = json.loads(Path("out/predict.json").read_text())
    assert [used[name] for name in ("threshold", "depth", "min_size", "tta")] == [0.2, 1.5, 3, True]
    assert "threshold 0.2, depth 1.5, min size 3, tta True (from m.json)" in capsys.readouterr().err
    assert predict("--threshold", "0.5", "--no-tta", "images/a.png") == 0
    used = json.loads(Path("out/predict.json").read_text())
    assert [used[name] for name in ("threshold", "depth", "tta")] == [0.5, 1.5, False]
    assert "(from m.json; --threshold, --tta as given)" in capsys.readouterr().err


def test_malformed_values_are_told_and_the_exit_is_2(capsys):
    Path("m.json").write_text('{"threshold": 2}')
    assert predict("images/a.png") == 2
    _, *told = capsys.readouterr().err.splitlines()  # the first line counts the images
    assert len(told) == 1
    assert told[0].startswith("m.json: threshold: ")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "zooms"),
    [
        ({}, {(): 0.7155}),
        ({"mode": "resize"}, {(): 0.7155, ("--scale", "tiles"): 1.0, ("--scale", "native"): 1.0}),
        ({"mode": "tiles"}, {(): 1.0, ("--scale", "resize"): 0.7155, ("--zoom", "0.5"): 0.5}),
    ],
)
def test_images_of_usual_sizes_are_seen_as_in_training_unless_a_zoom_is_given(mode, zooms):
    save_model(Path("m.keras"), TWO_PARTS, {"trained_with": {"image": {"size": 32} | mode}})
    for words, expected in zooms.items():
        assert predict(*words, "images/a.png") == 0
        assert json.loads(Path("out/predict.json").read_text())["images"][0]["zoom"] == expected


def test_channel_and_depth_are_those_of_the_models_training_unless_others_are_given():
    stack = np.zeros((3, 2, 32, 32), np.uint16)  # depth, channel
    stack[1, 1, 4:20, 4:20] = 1000
    tifffile.imwrite("images/stack.tif", stack, imagej=True, metadata={"axes": "ZCYX"})
    save_model(Path("m.keras"), MODEL, {"trained_with": {"data": {"channel": 1, "project": "max"}}})
    assert predict("images/stack.tif") == 0
    assert cv2.imread("out/stack.png")[8, 8, 0] == 255
    assert predict("--channel", "0", "--project", "none", "images/stack.tif") == 0
    assert not any(cv2.imread(f"out/stack_000{plane}.png").any() for plane in range(3))
    assert json.loads(Path("out/predict.json").read_text())["images"][2]["channel"] == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:a model that is not from unetseg.load_model")
def test_views_are_averaged_on_demand():
    save_model(Path("m.keras"), TWO_PARTS, {})
    image = spots(40, 50)
    cv2.imwrite("images/a.png", image)
    assert predict("--tta", "--write", "probability", "images/a.png") == 0
    expected = api.predict(image, TWO_PARTS, tta=True).probability
    assert np.abs(tifffile.imread("out/a.probability.tif") / 65535 - expected).max() < 1e-4
    assert json.loads(Path("out/predict.json").read_text())["tta"] is True


@pytest.mark.slow
def test_the_model_that_comes_along_is_used_where_none_is_named():
    save_model(Path("pretrained/nuclei.keras"), MODEL, {})
    assert main(["predict", "--out", "out", "images"]) == 0
    assert len(times()) == 3


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["missing"], "missing: no such file or folder"),
        (["missing/*.png"], "missing/*.png: no image found"),
        (["--out", "m.keras", "images"], "m.keras: is no folder"),
        (["--model", "none.keras", "images"], "none.keras: cannot be read"),
        (["--out", "images", "images/a.png"], "would be replaced"),
        (["--write", "jpeg", "images"], "'jpeg' is not one of probability, labels"),
        (["--threshold", "1.5", "images"], "--threshold"),
        (["--threshold", "x", "images"], "--threshold"),
        (["--scale", "half", "images"], "--scale"),
        (["--depth", "0", "images"], "--depth"),
        (["--depth", "inf", "images"], "--depth"),
        ([""], "'': is empty"),
        ([], "PATH"),
    ],
)
def test_unusable_arguments_are_told_and_the_exit_is_2(words, told, capsys):
    try:
        status = predict(*words)
    except SystemExit as stop:  # argparse's way
        status = stop.code
    assert status == 2
    assert told in capsys.readouterr().err


def test_what_was_found_is_told_before_the_model_is_loaded(capsys):
    Path("images/notes.txt").touch()
    assert predict("images") == 0
    first = capsys.readouterr().err.splitlines()[0]
    assert first == "files found: 4, to predict: 3; left out: 1 .txt; loading the model"


def test_one_bad_name_spoils_nothing(capsys):
    names = [b"zelle_\xe4.png", b"x" * 251 + b".png", b"=1+1.png", b"new\nline\x1b[31m.png"]
    for name in names:
        shutil.copy("images/a.png", os.fsdecode(b"images/" + name))
    Path("images/gone.png").symlink_to("missing.png")
    assert predict("--write", "coco,rle", "images") == 1
    told = capsys.readouterr().err
    assert "images/gone.png: cannot be read: it is a link to a file that is not there\n" in told
    assert "shorten the image's name\n" in told
    assert "\x1b" not in told
    images = [row["name"] for row in read_csv(Path("out/images.csv"))]
    assert sorted(images) == ["=1+1", "a", "b", "c", "new\nline\x1b[31m", "zelle_%E4"]
    assert "\n=1+1" not in Path("out/images.csv").read_text()
    assert len(json.loads(Path("out/predict.json").read_text())["images"]) == 6


def test_results_beside_the_images_are_not_predicted_again(capsys):
    for name in "abc":
        Path(f"images/{name}.png").rename(f"images/{name}.bmp")
    for _ in range(2):
        assert main(["predict", "--model", "m.keras", "--out", "images", "images"]) == 0
        assert "to predict: 3;" in capsys.readouterr().err
    assert len(read_csv(Path("images/images.csv"))) == 3


def test_results_in_another_folder_below_the_input_are_not_predicted(capsys):
    assert predict("--out", "images/old", "--write", "overlay", "images") == 0
    shutil.copy("images/a.png", "images/old/new.png")
    capsys.readouterr()
    assert predict("images") == 0
    assert sorted(image["name"] for image in read_csv(Path("out/images.csv"))) == ["a", "b", "c", "old/new"]
    first = capsys.readouterr().err.splitlines()[0]
    assert first.startswith(
        "files found: 13, to predict: 4; left out: 3 masks of images, 3 results of an earlier run, "
    )


def test_a_folder_that_another_process_writes_to_is_refused(capsys):
    code = "import fcntl, sys; file = open('out/.unetseg/lock', 'w'); fcntl.flock(file, fcntl.LOCK_EX); "
    code += "print('process 7', file=file, flush=True); print(flush=True); sys.stdin.read()"
    Path("out/.unetseg").mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        assert predict("images") == 2
        assert "out: process 7" in capsys.readouterr().err
        other.kill()
    assert predict("images") == 0


def test_an_image_that_vanishes_is_a_failure_and_the_others_are_done(capsys, monkeypatch):
    check = Results.check

    def vanish(self, sources):
        Path("images/b.png").unlink()
        return check(self, sources)

    monkeypatch.setattr(Results, "check", vanish)
    assert predict("images") == 1
    assert "\nimages/b.png: cannot be read: No such file or directory\n" in capsys.readouterr().err
    assert len(read_csv(Path("out/images.csv"))) == 2


@pytest.mark.slow
def test_images_and_results_may_be_on_other_storage(capsys):
    memory = fsspec.filesystem("memory")
    tifffile.imwrite("images/d.tif", np.stack([spots(300, 50)] * 2)[..., 0], photometric="minisblack")
    assert predict("--write", "labels,overlay,zarr", "images") == 0
    for path in Path("images").iterdir():
        memory.pipe(f"/{path}", path.read_bytes())
    words = ("--write", "labels,overlay,zarr", "--out", "memory://out", "memory://images")
    assert predict(*words) == 0
    files = [path.relative_to("out") for path in Path("out").rglob("*") if path.is_file()]
    files = [file for file in files if ".unetseg" not in file.parts]
    assert len(files) > 20
    for file in files:
        expected = Path("out", file).read_bytes().replace(b"../images", b"memory:///images")
        assert memory.cat(f"/out/{file}") == expected
    memory.pipe("/images/a.png", memory.cat("/images/b.png"))
    capsys.readouterr()
    assert predict("--resume", *words) == 0
    assert "predict: 1 images in " in capsys.readouterr().err
    memory.rm("/out/b.png")
    edited = BytesIO()
    tifffile.imwrite(edited, np.ones((300, 50), np.uint16))
    assert predict("--resume", *words) == 0
    assert "predict: 1 images in " in capsys.readouterr().err
    assert memory.exists("/out/b.png")
    memory.pipe("/out/d_0000.labels.tif", edited.getvalue())
    assert predict("--resume", "--threshold", "0.6", *words) == 0
    told = capsys.readouterr().err
    assert "edited since and kept: 1 images, such as memory:///out/d_0000.labels.tif;" in told
    assert "predict: 4 images in " in told
    assert memory.cat("/out/d_0000.labels.tif") == edited.getvalue()


def test_files_of_somebody_else_at_a_url_are_not_replaced_and_a_run_without_results_can_be_repeated(capsys):
    memory = fsspec.filesystem("memory")
    memory.pipe("/theirs/b.png", b"mine")
    assert predict("--out", "memory://theirs", "images") == 2
    told = "memory:///theirs/b.png: is there already and not of an earlier run; move it or name another output"
    assert told in capsys.readouterr().err
    assert memory.find("/theirs") == ["/theirs/b.png"]
    Path("images/d.png").write_text("no image")
    for _ in range(2):
        assert predict("--out", "memory://none", "images/d.png") == 1


def test_a_table_of_somebody_else_among_results_at_a_url_is_not_replaced(capsys):
    memory, words = fsspec.filesystem("memory"), ("--out", "memory://tables", "images/b.png")
    assert predict(*words) == 0
    memory.pipe("/tables/rle.csv", b"mine")
    assert predict(*words, "--write", "rle") == 2
    assert "memory:///tables/rle.csv: is there already and not of an earlier run" in capsys.readouterr().err
    memory.rm("/tables/rle.csv")
    for _ in range(2):
        assert predict(*words, "--write", "rle") == 0


def test_images_whose_results_cannot_be_sent_are_in_no_table(capsys, monkeypatch):
    send = StoredResults._send

    def fail(self, paths):
        if any(path.suffix == ".jsonl" for path in paths):
            raise OSError("no space")
        send(self, paths)

    monkeypatch.setattr(StoredResults, "_send", fail)
    assert predict("--out", "memory://full", "images") == 1
    told = capsys.readouterr().err
    assert told.count("memory://full: cannot be used: no space\n") == 1
    assert "look fine" not in told
    assert len(fsspec.filesystem("memory").cat("/full/images.csv").splitlines()) == 1


def test_images_whose_pixels_are_as_large_as_printed_dots_are_counted(capsys):
    assert predict("images") == 0
    assert "µm" not in capsys.readouterr().err
    tifffile.imwrite("images/d.tif", spots(40, 50), resolution=(118, 118), resolutionunit=3)
    assert predict("images") == 0
    told = capsys.readouterr().err
    assert "pixels of 40 µm or more: 1 images, such as d; if their files state a resolution for printing, areas" in told


def test_a_size_of_pixels_that_is_given_is_that_of_the_areas_too():
    Path("m.json").write_text('{"pixel_size": 1.0}')
    tifffile.imwrite("images/d.tif", spots(40, 50), imagej=True, resolution=(2, 4), metadata={"unit": "um"})
    assert predict("--pixel-size", "0.5", "images") == 0
    assert {float(row["zoom"]) for row in read_csv(Path("out/images.csv"))} == {0.5}
    rows = read_csv(Path("out/objects.csv"))
    assert {row["image"] for row in rows} >= {"a.png", "d.tif"}
    assert all(float(row["area_um2"]) == int(row["area"]) * 0.25 for row in rows)


def test_a_page_that_shows_an_earlier_run_is_named_and_so_is_a_run_without_results(capsys):
    predict("images")
    Path("out/report.html").touch()
    predict("--resume", "images")
    assert "report.html" not in capsys.readouterr().err
    predict("--threshold", "0.4", "images")
    assert "out/report.html: shows an earlier run; `unetseg report out` writes it anew" in capsys.readouterr().err
    assert predict("--channel", "5", "images") == 1
    assert capsys.readouterr().err.endswith("no image has a result\n")
