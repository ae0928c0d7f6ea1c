import functools
import itertools
import json
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from unetseg.dataset.predictions import find_predictions
from unetseg.errors import InputError
from unetseg.files import read_csv, sha256
from unetseg.images.inputs import Input, find_inputs
from unetseg.prediction.quality import uncertainty
from unetseg.prediction.results import Known, Results
from unetseg.prediction.settings import Settings, Tuning
from unetseg.prediction.stored import find_earlier
from unetseg.report.predicted import predicted_entries, read_predictions

ALL = ("probability", "labels", "overlay", "roi", "geojson", "coco", "rle")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("images/deep").mkdir(parents=True)
    for name in ("images/a.png", "images/deep/b.png"):
        cv2.imwrite(name, np.full((20, 30, 3), 9, np.uint8))
    Path("m.keras").write_bytes(b"a model")
    return tmp_path


def results(kinds=(), tuning=None, **settings):
    return Results(Path("out"), Settings(**settings), kinds, Path("m.keras"), tuning or Tuning())


def sources():
    return find_inputs(["images"], Path("out")).images


def probability():
    strip = np.zeros((20, 30), np.float32)
    strip[3:9, 4:12] = strip[12:18, 20:25] = 0.9
    return strip


def write(to, source):
    to.write(Known(source, 20, 30, None, 25 / 600**0.5), [probability()[:10], probability()[10:]])


def test_every_kind_is_written_under_the_images_relative_path():
    to = results(ALL)
    for source in sources():
        write(to, source)
    to.gather(sources())
    suffixes = (".png", ".probability.tif", ".labels.tif", ".overlay.png", ".roi.zip", ".geojson")
    expected = {f"{name}{suffix}" for name in ("a", "deep/b") for suffix in suffixes}
    expected |= {"objects.csv", "coco.json", "rle.csv", "predict.json", ".unetseg/a.jsonl", ".unetseg/deep/b.jsonl"}
    expected |= {".unetseg/a.json", ".unetseg/deep/b.json", "images.csv"}
    assert {path.relative_to("out").as_posix() for path in Path("out").rglob("*") if path.is_file()} == expected
    assert np.array_equal(cv2.imread("out/deep/b.png", cv2.IMREAD_UNCHANGED) > 0, probability() > 0.5)
    assert tifffile.imread("out/deep/b.labels.tif").max() == 2
    assert [row["image"] for row in read_csv(Path("out/objects.csv"))] == ["a.png", "a.png", "deep/b.png", "deep/b.png"]
    assert {row["image"] for row in read_csv(Path("out/images.csv"))} == {"a.png", "deep/b.png"}
    tables = {name: sha256(Path("out", name)) for name in ("coco.json", "rle.csv")}
    assert json.loads(Path("out/predict.json").read_text())["tables"] == tables


def test_labelmes_json_names_the_image_from_the_folder_it_lies_in_as_labelme_looks_for_it():
    to = results(("labelme",))
    for source in sources():
        write(to, source)
        file = to.files(source)["labelme"]
        assert (file.parent / json.loads(file.read_text())["imagePath"]).samefile(source.path)


def test_a_name_too_long_for_kinds_that_nobody_asked_for_is_no_hindrance():
    name = "a" * 249
    Path("images/a.png").rename(f"images/{name}.png")
    to, (long, _) = results(), sources()
    assert not to.check([long])
    write(to, long)
    assert [image["image"] for image in to.gather([long])] == [name]
    assert not to.of_earlier_runs([long])
    (item,) = find_predictions(Path("out"), {}).items
    assert item.image.name == f"{name}.png"


def test_only_masks_and_tables_are_written_where_nothing_else_is_asked_for():
    to = results()
    write(to, sources()[0])
    to.gather(sources())
    visible = {path.name for path in Path("out").rglob("*") if path.is_file() and ".unetseg" not in path.parts}
    assert visible == {"a.png", "images.csv", "objects.csv", "predict.json"}


def test_the_report_reads_what_was_written():
    to = results(("probability",))
    for source in sources():
        write(to, source)
    to.gather(sources())
    run = read_predictions(Path("out"))
    entries = list(predicted_entries(Path("out"), run["images"]))
    assert [entry.id for entry in entries] == ["a", "deep/b"]
    assert np.array_equal(entries[0].mask > 0, probability() > 0.5)
    assert np.abs(entries[1].probability - probability()).max() < 1e-4
    assert entries[0].scores["objects"] == 2
    assert (run["threshold"], run["model"]) == (0.5, "m.keras")


def test_the_report_finds_the_images_of_results_in_a_folder_that_is_a_link():
    Path("far/away").mkdir(parents=True)
    Path("out").symlink_to("far/away")
    to = results()
    write(to, sources()[0])
    to.gather(sources())
    assert [entry.id for entry in predicted_entries(Path("out"), read_predictions(Path("out"))["images"])] == ["a"]


def test_a_kind_that_an_edited_image_lacks_is_not_listed():
    before, to = results(("labels",)), results(("labels", "probability"))
    write(before, sources()[0])
    tifffile.imwrite("out/a.labels.tif", np.ones((20, 30), np.uint8))
    assert to.edited(sources()[0])
    write(to, sources()[1])
    first, second = to.gather(sources())
    assert "probability" not in first
    assert second["probability"] == "deep/b.probability.tif"
    read_predictions(Path("out"))


def test_a_table_lacks_an_edited_image_whose_run_did_not_note_what_it_needs_and_names_it():
    first, second = sources()
    for options, kinds, tables in (
        ({}, ("labels",), ["coco.json", "rle.csv"]),
        ({"objects": "none"}, (), ["objects.csv", "coco.json", "rle.csv"]),
    ):
        write(results(kinds, **options), first)
        cv2.imwrite("out/a.png", np.zeros((20, 30), np.uint8))
        to = results(("coco", "rle"))
        assert to.edited(first)
        write(to, second)
        assert ["objects" in image for image in to.gather([first, second])] == [not options, True]
        assert to.lacking([first, second], [first]) == {table: ["a"] for table in tables}
        listed = json.loads(Path("out/coco.json").read_text())["images"]
        assert [image["file_name"] for image in listed] == ["deep/b.png"]


def test_an_edited_image_whose_mask_is_gone_is_refused():
    to, source = results(("labels",)), sources()[0]
    write(to, source)
    tifffile.imwrite("out/a.labels.tif", np.ones((20, 30), np.uint8))
    Path("out/a.png").unlink()
    with pytest.raises(InputError, match=r"^out/a\.labels\.tif: was edited, but out/a\.png is gone; put it back"):
        to.check_edited({source: to.edited(source)})


def test_what_was_edited_of_another_image_of_the_same_name_is_refused_and_a_copy_is_the_same_image():
    to, source = results(("labels",)), sources()[0]
    write(to, source)
    tifffile.imwrite("out/a.labels.tif", np.ones((20, 30), np.uint8))
    shutil.copy("images/a.png", "images/deep/a.png")
    to.check_edited({replace(source, path=Path("images/deep/a.png")): to.edited(source)})
    cv2.imwrite("images/a.png", np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(InputError, match=r"^out/a\.labels\.tif: was edited, but images/a\.png is not the image that"):
        to.check_edited({source: to.edited(source)})


def test_a_run_that_begins_removes_the_tables_of_the_run_before():
    to = results(("rle",))
    write(to, sources()[0])
    to.gather(sources())
    to.begin_all(sources())
    assert {path.name for path in Path("out").iterdir()} == {".unetseg", "a.png"}


def test_the_uncertainty_is_known_without_the_probabilities():
    for kinds in ((), ("probability",)):
        to = results(kinds)
        write(to, sources()[0])
        to.gather(sources())
        (entry,) = predicted_entries(Path("out"), read_predictions(Path("out"))["images"])
        assert entry.scores["uncertainty"] == pytest.approx(uncertainty(probability()), abs=1e-4)
    assert uncertainty(probability()) > 0.05


def test_an_image_is_done_when_all_its_files_are_there():
    to, source = results(("labels",)), sources()[0]
    assert not to.is_done(source)
    write(to, source)
    assert to.is_done(source)
    Path("out/a.labels.tif").unlink()
    assert not to.is_done(source)


def test_an_image_is_not_done_for_another_request():
    write(results(threshold=0.5), sources()[0])
    assert results(threshold=0.5).is_done(sources()[0])
    assert not results(threshold=0.6).is_done(sources()[0])
    assert not results(("rle",), threshold=0.5).is_done(sources()[0])
    assert not results(tuning=Tuning(doubt=0.5), threshold=0.5).is_done(sources()[0])
    Path("m.keras").write_bytes(b"another model")
    assert not results(threshold=0.5).is_done(sources()[0])


def test_an_image_that_changed_is_not_done():
    write(results(), sources()[0])
    os.utime("images/a.png", (time.time() + 9, time.time() + 9))
    assert not results().is_done(sources()[0])


def test_an_image_that_is_a_folder_is_not_done_if_a_file_in_it_changed():
    chunk = Path("images/c.zarr/0/c/0/0")
    chunk.parent.mkdir(parents=True)
    chunk.write_bytes(b"old")
    source = Input(Path("images/c.zarr"), "c.zarr", None, "c")
    write(results(), source)
    assert results().is_done(source)
    os.utime(chunk, (time.time() + 9, time.time() + 9))
    assert not results().is_done(source)


def test_an_image_that_breaks_half_way_leaves_nothing():
    def strips():
        yield probability()[:10]
        raise InputError("broken")

    with pytest.raises(InputError, match="broken"):
        results(ALL).write(Known(sources()[0], 20, 30, None, 25 / 600**0.5), strips())
    assert [path for path in Path("out").rglob("*") if path.is_file()] == []


def test_tables_hold_what_is_done_in_the_images_order():
    to = results(("coco", "rle"))
    write(to, sources()[1])
    to.gather(sources())
    assert [row["image"] for row in read_csv(Path("out/objects.csv"))] == ["deep/b.png"] * 2
    assert [image["file_name"] for image in json.loads(Path("out/coco.json").read_text())["images"]] == ["deep/b.png"]


def test_a_result_never_replaces_an_image():
    to = Results(Path("images"), Settings(), (), Path("m.keras"), Tuning())
    with pytest.raises(InputError, match=r"a\.png: is an image and would be replaced"):
        to.check(find_inputs(["images/a.png"], Path("out")).images)


def test_two_images_never_share_a_result():
    cv2.imwrite("images/a.overlay.png", np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(InputError, match=r"a\.overlay\.png: would be the result of two images"):
        results(("overlay",)).check(find_inputs(["images/*.png"], Path("out")).images)
    results().check(sources())


def test_where_no_objects_are_looked_for_the_mask_is_the_same_and_no_table_written():
    write(results(), sources()[0])
    before = cv2.imread("out/a.png", cv2.IMREAD_UNCHANGED)
    to = results(("probability",), objects="none")
    write(to, sources()[0])
    to.gather(sources())
    assert np.array_equal(cv2.imread("out/a.png", cv2.IMREAD_UNCHANGED), before)
    assert not Path("out/objects.csv").exists()
    assert "objects" not in json.loads(Path("out/predict.json").read_text())["images"][0]


def test_what_is_made_of_objects_cannot_be_had_without():
    with pytest.raises(InputError, match="labels, roi: needs objects"):
        results(("roi", "labels", "probability"), objects="none")


def damage(path, how):
    content = path.read_bytes()
    lines = content.splitlines(keepends=True)
    damaged = {
        "emptied": b"",
        "shortened": content[:-9],
        "cut after a line": lines[0],
        "a line lost": b"".join(lines[:1] + lines[2:]),
        "a byte changed": content[:40] + b"?" + content[41:],
        "no text": b"\xff\xfe",
        "nested": b"[" * 9000,
        "a list": b"[1]",
    }
    path.write_bytes(damaged[how])


@pytest.mark.parametrize(
    "how", ["emptied", "shortened", "cut after a line", "a line lost", "a byte changed", "no text"]
)
@pytest.mark.parametrize("name", [".unetseg/a.jsonl", "a.png", "a.probability.tif", "a.roi.zip"])
def test_an_image_with_a_damaged_file_is_not_done(name, how):
    to, source = results(ALL), sources()[0]
    write(to, source)
    damage(Path("out", name), how)
    assert not results(ALL).is_done(source)


@pytest.mark.parametrize("how", ["emptied", "shortened", "a byte changed", "no text", "nested", "a list"])
def test_an_image_whose_seal_is_damaged_is_not_done(how):
    write(results(), sources()[0])
    damage(Path("out/.unetseg/a.json"), how)
    assert not results().is_done(sources()[0])


def test_killed_between_two_files_of_other_settings_an_image_is_not_done_for_either(monkeypatch):
    write(results(threshold=0.5), sources()[0])
    rename, renamed = Path.replace, []

    def killed(self, target):
        if len(renamed) == 1:
            raise KeyboardInterrupt
        renamed.append(target)
        return rename(self, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", killed)
        write(results(threshold=0.95), sources()[0])
    assert not results(threshold=0.5).is_done(sources()[0])
    assert not results(threshold=0.95).is_done(sources()[0])


def test_an_image_that_fails_while_it_is_predicted_keeps_its_older_results():
    def strips():
        yield probability()[:10]
        raise InputError("broken")

    write(results(), sources()[0])
    with pytest.raises(InputError, match="broken"):
        results(threshold=0.9).write(Known(sources()[0], 20, 30, None, 25 / 600**0.5), strips())
    assert results().is_done(sources()[0])


def test_an_image_that_changes_while_it_is_predicted_is_not_done():
    to, source = results(), sources()[0]
    to.begin(source)
    cv2.imwrite("images/a.png", np.full((20, 30, 3), 99, np.uint8))
    write(to, source)
    assert not results().is_done(source)


def test_an_image_that_vanishes_after_it_was_read_is_in_the_tables():
    to, source = results(), sources()[0]
    to.begin(source)
    Path("images/a.png").unlink()
    write(to, source)
    assert [image["image"] for image in to.gather([source])] == ["a"]
    with pytest.raises(InputError, match=r"images/a\.png: cannot be read"):
        to.begin(source)


def test_a_folder_in_the_place_of_a_result_is_told_before_any_work_and_stays():
    for name in ("a.png", ".unetseg/a.jsonl", "predict.json"):
        Path("out", name).mkdir(parents=True)
        with pytest.raises(InputError, match=f"{name}: is a folder"):
            results().check(sources())
        Path("out", name).rmdir()
    Path("out/deep").write_text("mine")
    with pytest.raises(InputError, match="out/deep: would be a file and a folder"):
        results().check(sources())


def test_a_result_is_never_a_folder_of_results():
    Path("images/a.png").rename("images/x.bmp")
    Path("images/x.png").mkdir()
    cv2.imwrite("images/x.png/b.png", np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(InputError, match=r"x\.png: would be a file and a folder"):
        results().check(sources())


def test_a_name_that_is_too_long_with_its_suffix_refuses_that_image_alone():
    long = "x" * 246
    Path("images/a.png").rename(f"images/{long}.png")
    assert results().check(sources()) == {}
    ((source, told),) = results(("probability",)).check(sources()).items()
    assert source.name == long
    assert "the name of a result would have 262 bytes, the file system takes 255; shorten" in told


def test_two_processes_never_write_to_one_folder():
    with results().locked(), pytest.raises(InputError, match=f"out: process {os.getpid()} on .* is writing to it"):
        results().locked().__enter__()
    with results().locked():
        pass


def test_a_lock_of_a_dead_process_is_taken_over():
    Path("out/.unetseg").mkdir(parents=True)
    Path("out/.unetseg/lock").write_text("process 1 on elsewhere")
    with results().locked():
        assert Path("out/.unetseg/lock").read_text().startswith(f"process {os.getpid()} ")


def test_earlier_results_are_known():
    write(results(("labels",)), sources()[1])
    assert {Path("out/deep/b.png").resolve(), Path("out/deep/b.labels.tif").resolve()} <= find_earlier(Path("out"))


def test_results_are_known_in_a_copy_without_what_is_hidden():
    write(to := results(("labels",)), sources()[1])
    to.gather(sources())
    shutil.copytree("out", "copy", ignore=shutil.ignore_patterns(".unetseg"))
    assert {Path("copy/deep/b.png").resolve(), Path("copy/deep/b.labels.tif").resolve()} <= find_earlier(Path("copy"))
    Path("copy/predict.json").write_text('{"images": 3}')
    assert find_earlier(Path("copy")) == set()


@pytest.mark.parametrize(("name", "kind"), [("a", ".labels.tif"), ("deep/b", ".png")])
def test_a_file_of_a_person_in_the_place_of_a_result_is_not_replaced(name, kind):
    write(results(("labels", "geojson")), sources()[1])
    write(results(), sources()[0])
    if kind == ".png":
        for part in ("json", "jsonl"):
            Path(f"out/.unetseg/{name}.{part}").unlink()
    else:
        Path(f"out/{name}{kind}").write_text("mine")
    with pytest.raises(InputError, match=f"out/{name}{kind}: is there already and not of an earlier run"):
        results(("labels",)).check(sources())


def test_a_kind_that_a_run_did_not_write_may_be_written_again_later():
    Path("out/.unetseg").mkdir(parents=True)
    begun = {"key": None, "files": {}, "begun": ["mask", "overlay"], "earlier": {}}  # as a kill may leave it
    Path("out/.unetseg/a.json").write_text(json.dumps(begun))
    Path("out/a.overlay.png").touch()
    for kinds in (("probability", "labels"), (), ("geojson",), ("probability", "labels", "overlay")):
        to = results(kinds)
        to.check(sources())
        for source in sources():
            write(to, source)


def write_nothing(to, source):
    to.write(Known(source, 20, 30, None, 1.0), [np.zeros((20, 30), np.float32)])


def test_an_image_without_objects_gets_no_roi_zip_because_imagej_refuses_an_empty_one():
    to, source = results(("roi", "geojson")), sources()[0]
    write(to, source)
    assert Path("out/a.roi.zip").exists()
    write_nothing(to, source)
    assert not Path("out/a.roi.zip").exists()  # nor does one of an earlier run stay
    assert Path("out/a.geojson").exists()
    assert to.is_done(source)
    write(to, source)
    Path("out/a.roi.zip").unlink()
    assert not to.is_done(source)


def run_all(resume=True):
    to = results(("probability", "labels", "roi"))
    for source in sources():
        if not (resume and to.is_done(source)):
            write(to, source)
    to.gather(sources())


def run_all_but_die(kill_at):
    """Run in a process of its own, killed before its call number `kill_at` that changes or syncs a file."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == signal.SIGKILL
    steps = itertools.count(1)

    def step(real, *words, **options):
        if next(steps) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*words, **options)

    for name in ("replace", "unlink", "fsync"):
        setattr(os, name, functools.partial(step, getattr(os, name)))
    run_all()
    os._exit(0)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_killed_at_any_step_and_resumed_the_folder_is_that_of_a_run_without_kills(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)  # a busy disk takes its time; the kill is of the process alone

    def contents():  # but for what the next process removes
        files = (path for path in Path("out").rglob("*") if path.is_file() and ".partial" not in str(path))
        return {path: path.read_bytes() for path in files}

    run_all(resume=False)
    expected, killed = contents(), 0
    for kill_at in range(1, 35, 3):  # all 45 took too long for every day; not one byte differed
        if kill_at % 2:  # go on from an empty folder, or from results of other settings
            write(results(threshold=0.6), sources()[kill_at // 3 % 2])
        else:
            shutil.rmtree("out")
        killed += run_all_but_die(kill_at)
        run_all()
        assert contents() == expected
    assert killed >= 9


@pytest.mark.parametrize("kinds", [("labels", "roi"), ("labels",)])
def test_rois_that_a_person_draws_where_no_objects_were_found_count_as_edited(kinds):
    source, empty = sources()[0], [np.zeros((20, 30), np.float32)]
    for earlier in (("labels", "roi"), kinds):
        results(earlier).write(Known(source, 20, 30, None, 1.0), empty)
    to = results(kinds)
    assert to.is_done(source)
    assert to.edited(source) == []
    Path("out/a.roi.zip").write_bytes(b"drawn")
    to = results(("labels", "roi"))
    to.check([source])
    assert not to.is_done(source)
    assert to.edited(source) == [Path("out/a.roi.zip")]


@pytest.mark.parametrize(
    ("before", "now", "name"),
    [
        ({"kinds": ("labels",)}, {"kinds": ("labels", "coco")}, "coco.json"),
        ({"kinds": ("coco",)}, {"kinds": ("rle",)}, "rle.csv"),
        ({"objects": "none"}, {}, "objects.csv"),
        ({"objects": "none"}, {"objects": "none"}, "objects.csv"),
    ],
)
@pytest.mark.parametrize("noted", [True, False])  # earlier versions noted nothing
def test_a_table_of_a_person_is_not_replaced_nor_taken_for_one_of_an_earlier_run(before, now, name, noted):
    for to in [results()] * noted + [results(**before)]:
        to.begin_all(sources())
        to.gather(sources())
    if not noted:
        Path("out/.unetseg/.tables").unlink()
    Path("out", name).write_text("mine")
    with pytest.raises(InputError, match=f"^out/{name}: is there already and not of an earlier run"):
        results(**now).check(sources())
    assert Path("out", name) not in results().tables_of_earlier_runs()


def test_a_table_that_any_run_wrote_or_was_about_to_write_may_be_written_again():
    for kinds in (("coco",), ("rle",), ()):
        to = results(kinds)
        to.check(sources())
        to.begin_all(sources())
        to.gather(sources())
    assert to.tables_of_earlier_runs() == [Path("out/coco.json"), Path("out/rle.csv")]
    results(objects="none").begin_all(sources())  # and is killed
    results(("coco", "rle")).check(sources())
    to.begin_all(sources())
    Path("out/objects.csv").write_text("name,imag")  # killed
    results(objects="none").check(sources())
