import csv
import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from forms import png
from values import params

from unetseg.dataset.archive import extract, opened
from unetseg.dataset.importing import import_archive
from unetseg.dataset.samples import read_sample
from unetseg.errors import InputError
from unetseg.files import hash_all, sha256
from unetseg.splitting.groups import joined

IMAGE = np.arange(64, dtype=np.uint8).reshape(8, 8)
MASK = (IMAGE > 9) * np.uint8(255)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def pair(*names):
    for name in names:
        png(Path(f"{name}.png"), IMAGE ^ sum(name.encode()) % 256)  # of several sources, no two may be equal
        png(Path(f"{name}_mask.png"), MASK)


def sample(*names):
    for name in names:
        png(Path(f"{name}/images/i.png"), IMAGE)
        png(Path(f"{name}/masks/m.png"), MASK)


def imported(*sources, **options):
    """Import; give the samples' names, the text of groups.csv and the summary."""
    summary = import_archive([Path(source) for source in sources], Path("o.zip"), **options)
    with zipfile.ZipFile("o.zip") as archive:
        names = archive.namelist()
        groups = archive.read("groups.csv").decode() if "groups.csv" in names else None
    return sorted({name.split("/")[0] for name in names if "/" in name}), groups, summary


def test_of_a_sources_groups_only_the_rows_of_images_that_were_taken_from_it_are_kept():
    pair("one/a", "one/b", "two/a", "two/c")
    Path("one/groups.csv").write_text("id,group\na,p1\nb,p1\n")
    Path("two/groups.csv").write_text("id,group\na,p9\nc,p9\n")
    names, groups, summary = imported("one", "two")
    assert (names, groups) == (["a", "b", "c"], "id,group\na,p1\nb,p1\nc,p9\n")
    assert summary.problems == ["two: 'a' is the name of an image of one too; rename one"]
    assert summary.left_out["rows of groups.csv whose images are left out"] == 1


@pytest.mark.parametrize("table", ["groups.csv", "Groups.CSV"])
def test_a_row_of_groups_names_an_image_with_or_without_its_suffix(table):
    pair("in/a", "in/b", "in/c.d")
    png(Path("in/bare.png"), IMAGE)
    Path("in", table).write_text("id,group\na.png,1\nb,2\nc.d.png,3\nbare.png,4\n")
    _, groups, summary = imported("in")
    assert groups == "id,group\na,1\nb,2\nc.d,3\n"
    assert summary.problems == []
    assert summary.left_out["rows of groups.csv whose images are left out"] == 1


def test_a_row_of_groups_with_a_path_is_of_the_image_in_that_folder():
    pair("in/w1/a", "in/w1/b", "in/x/c", "in/y/c")
    png(Path("in/w0/a.png"), IMAGE)
    png(Path("in/z/images/d.ome.tif"), IMAGE)
    png(Path("in/z/masks/d.png"), MASK)
    rows = {"w0/a.png": 0, "./W1/a.png": 1, "any/b": 2, "/far/x/c": 3, "y\\c.png": 4, "z/masks/d.png": 5}
    Path("in/groups.csv").write_text("id,group\n" + "".join(f"{name},{group}\n" for name, group in rows.items()))
    _, groups, summary = imported("in")
    assert groups == "id,group\na,1\nb,2\nd,5\nx_c,3\ny_c,4\n"
    assert summary.problems == []
    assert summary.left_out["rows of groups.csv whose images are left out"] == 1


def test_masks_without_a_pixel_are_counted_and_are_no_word_that_an_image_is_empty():
    for name in "ab":
        png(Path(f"in/images/{name}.png"), IMAGE)
        for number, pixels in enumerate([MASK * 0, MASK * (name == "a")]):
            png(Path(f"in/masks/{name}/{number}.png"), pixels)
    names, _, summary = imported("in")
    assert (names, summary.left_out["masks without a pixel"]) == (["a"], 1)
    (line,) = summary.problems
    assert line == "in/images/b.png: has objects, of which none can be used: 2 masks without a pixel"


def test_rows_of_groups_without_an_image_are_a_problem_and_images_without_a_row_a_warning():
    pair("in/a", "in/b", "in/c")
    Path("in/groups.csv").write_text("id,group\na,1\na.png,1\nB,1\nd.png,1\n")
    _, groups, summary = imported("in")
    assert groups == "id,group\na,1\nb,\nc,\n"
    assert summary.problems == [
        "in/groups.csv: a: has several rows, here or in another groups.csv; keep one",
        "in/groups.csv: 2 rows are of no image, such as B, d.png; names of images are such as a",
    ]
    assert summary.warnings == ["2 of 3 images have no row in groups.csv, such as b"]


def test_a_source_without_groups_beside_one_with_them_is_a_warning():
    pair("one/a", "one/b", "two/c")
    Path("one/groups.csv").write_text("id,group\na,1\nb,2\n")
    assert imported("one", "two")[2].warnings == ["1 of 3 images have no row in groups.csv, such as c"]


def test_a_name_of_two_images_in_groups_stands_for_neither():
    pair("in/x/a", "in/y/a", "in/b")
    Path("in/groups.csv").write_text("id,group\na,1\nb,2\n")
    _, groups, summary = imported("in")
    assert groups == "id,group\nb,2\nx_a,\ny_a,\n"
    assert summary.problems == ["in/groups.csv: 1 rows are of no image, such as a; names of images are such as b"]


def test_rows_of_groups_that_cannot_be_used_are_named_and_the_others_kept():
    pair("in/a", "in/b", "in/c")
    Path("in/groups.csv").write_text("id, group \na,1\na,2\nb,1,junk\nc, 3\n")
    _, groups, summary = imported("in")
    assert groups == "id,group\na,\nb,\nc,3\n"
    assert summary.problems == [
        "in/groups.csv: a: has several rows; keep one",
        "in/groups.csv: b: has more values than the header has columns; quote commas in values",
    ]


@pytest.mark.parametrize("table", ["ID,Crew\na,1\n", "id;group\na;1\n", 'id,group\n"a,1\n', "id,crew\na,1\n"])
def test_a_table_of_groups_that_cannot_be_read_is_one_line_and_the_images_are_imported(table):
    pair("in/a")
    Path("in/groups.csv").write_text(table)
    names, groups, summary = imported("in")
    assert (names, groups) == (["a"], None)
    (line,) = summary.problems
    assert line.startswith("in/groups.csv:")


def test_groups_beside_the_samples_in_the_one_folder_of_a_zip_are_kept():
    sample("data/a", "data/b")
    Path("data/groups.csv").write_text("id,group\na,1\nb,2\n")
    with zipfile.ZipFile("in.zip", "w") as archive:
        for file in filter(Path.is_file, Path("data").rglob("*")):
            archive.write(file)
    assert imported("in.zip")[1] == "id,group\na,1\nb,2\n"


@pytest.mark.parametrize("channel", ["DAPI", "dapi", 1])
def test_a_channel_that_is_imported_alone_is_found_by_what_it_was_chosen_by(channel):
    for number, name in enumerate(("one/a", "two/b")):
        png(Path(f"{name}_mask.png"), MASK)
        stack = np.stack([IMAGE, IMAGE // 2 + number, IMAGE // 3, IMAGE // 4]).reshape(2, 2, 8, 8)
        about = {"axes": "ZCYX", "Channel": {"Name": ["Actin", "DAPI"]}}
        tifffile.imwrite(f"{name}.ome.tif", stack, metadata=about)
    imported("one", channel=channel, project="max")
    Path("o.zip").rename("one.zip")
    names, _, summary = imported("one.zip", "two", channel=channel, project="max")
    assert (names, summary.problems) == (["a", "b"], [])
    Path("o.zip").rename("both.zip")
    imported("both.zip", project="max")
    with zipfile.ZipFile("o.zip") as archive:
        archive.extractall("samples")
    for number, name in enumerate(names):
        sample = read_sample(Path("samples", name), channel, "max")
        assert np.array_equal(sample.stored.pixels[..., 0], IMAGE // 2 + number)
    with pytest.raises(InputError, match=f"has no channel 'Actin'; it has 1 channel .{channel}., counted from 0"):
        read_sample(Path("samples/a"), "Actin")


def test_blank_images_of_two_sources_are_both_taken():
    for name in ("old/a", "new/b"):
        png(Path(f"{name}.png"), np.zeros_like(IMAGE))
        png(Path(f"{name}_mask.png"), np.zeros_like(MASK))
    names, _, summary = imported("old", "new")
    assert (names, summary.problems) == (["a", "b"], [])


def test_an_image_that_an_earlier_source_holds_under_another_name_is_a_problem_however_its_file_holds_it():
    deep = IMAGE.astype(np.uint16) * 9
    for name, image in {"old/g": deep, "old/twice": IMAGE, "old/again": IMAGE, "new/A/h": MASK}.items():
        png(Path(f"{name}.png"), image)
        png(Path(f"{name}_mask.png"), MASK)
    Path("new/A/h.png").unlink()
    tifffile.imwrite("new/A/h.tif", deep, byteorder=">", compression="zlib")
    names, _, summary = imported("old", "new")
    assert names == ["again", "g", "twice"]
    assert summary.problems == ["new: 'h' has the pixels of 'g' of old; keep one of them"]
    names, _, summary = imported("new", "old")
    assert names == ["again", "h", "twice"]
    assert summary.problems == ["old: 'g' has the pixels of 'h' of new; keep one of them"]


@pytest.mark.parametrize(("out", "reason"), [("in.zip", "is a source"), ("table.csv", "is no zip"), ("in", "a source")])
def test_only_another_zip_is_replaced(out, reason):
    sample("in/s")
    with zipfile.ZipFile("in.zip", "w") as archive:
        for file in ("s/images/i.png", "s/masks/m.png"):
            archive.write(f"in/{file}", file)
    Path("table.csv").write_text("kept")
    before = Path("in.zip").read_bytes()
    with pytest.raises(InputError, match=reason):
        import_archive([Path("in"), Path("in.zip")], Path(out))
    assert (Path("in.zip").read_bytes(), Path("table.csv").read_text()) == (before, "kept")
    for _ in range(2):
        import_archive([Path("in.zip")], Path("other.zip"))


def test_a_pipe_or_device_in_the_place_of_the_archive_is_refused_unread(monkeypatch):
    sample("in/s")
    os.mkfifo("o.zip")
    monkeypatch.setattr(zipfile, "is_zipfile", lambda _: pytest.fail("was read"))
    with pytest.raises(InputError, match=r"o\.zip: exists and is no zip"):
        imported("in")


def test_folders_behind_links_are_imported_each_once_and_loops_end():
    pair("elsewhere/a", "in/b")
    png(Path("shared/images/c.png"), IMAGE)
    png(Path("shared/masks/c.png"), MASK)
    Path("in/linked").symlink_to(Path("elsewhere").resolve())
    Path("in/again").symlink_to(Path("elsewhere").resolve())
    Path("in/loop").symlink_to(Path("in").resolve())
    for part in ("images", "masks"):
        Path(f"in/{part}").symlink_to(Path(f"shared/{part}").resolve())
    names, _, summary = imported("in")
    assert (names, summary.problems) == (["a", "b", "c"], [])
    assert summary.left_out["link to a folder that was searched"] == 2


def test_a_folder_that_cannot_be_read_is_a_problem_and_the_others_are_imported(monkeypatch):
    pair("in/a", "in/sub/b")
    listed = Path.iterdir

    def iterdir(self):
        if self.name == "sub":
            raise PermissionError(13, "Permission denied", str(self))
        return listed(self)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    names, _, summary = imported("in")
    assert (names, summary.problems) == (["a"], ["in/sub: cannot be read: Permission denied"])


@pytest.mark.parametrize("name", ["old.json", "old.csv", "old.geojson", "b.png", "b.roi.zip", "groups.csv"])
def test_a_link_that_leads_nowhere_is_a_problem_and_the_rest_is_imported(name):
    pair("in/a")
    Path("in", name).symlink_to("gone")
    names, _, summary = imported("in")
    assert names == ["a"]
    assert summary.problems == [f"in/{name}: cannot be read: it is a link to a file that is not there"]


@pytest.mark.parametrize("name", ["p.json", "p.csv", "p.png", "a.roi.zip", "groups.csv"])
def test_what_is_no_regular_file_is_counted_and_never_opened(name):
    pair("in/a")
    os.mkfifo(Path("in", name))
    names, _, summary = imported("in")
    assert (names, summary.problems) == (["a"], [])
    assert summary.left_out["no regular files"] == 1


def test_a_source_that_is_no_regular_file_is_refused():
    os.mkfifo("p.json")
    with pytest.raises(InputError, match=r"^p\.json: is neither a folder nor a regular file$"):
        imported("p.json")


def test_clutter_beside_the_masks_is_no_mask_and_other_folders_there_cost_their_sample_alone():
    sample("in/a", "in/b", "in/c")
    Path("in/a/masks/Thumbs.db").write_bytes(b"x")
    png(Path("in/a/masks/@eaDir/m.png"), IMAGE)
    png(Path("in/b/masks/old/m.png"), IMAGE)
    names, _, summary = imported("in")
    assert names == ["a", "c"]
    (line,) = summary.problems
    assert line.startswith("in/b/masks/old: is a folder")


@pytest.mark.parametrize(
    "names", [["\udce4.png", "b.png"], ["aux.png", "b.png"], ["a\\b.png", "c"], ["A.png", "a.PNG"]]
)
def test_masks_of_sample_folders_may_have_names_that_no_archive_can_hold(names):
    png(Path("in/x/images/i.png"), IMAGE)
    for number, name in enumerate(sorted(names)):
        png(Path("in/m.png"), np.uint8(255) * (number == IMAGE // 16))
        Path("in/x/masks").mkdir(exist_ok=True)
        Path("in/m.png").rename(Path("in/x/masks", name))
    assert imported("in")[0] == ["x"]
    with opened(Path("o.zip"), params().data) as found:
        extract(found, Path("out"))
    assert np.array_equal(read_sample(Path("out/x")).labels, (IMAGE // 16 + 1) * (IMAGE < 32))


def test_one_sample_with_two_images_costs_no_other():
    sample(*(f"in/s{number:02}" for number in range(11)))
    png(Path("in/s03/images/other.png"), IMAGE)
    Path("in/s04/images/notes.txt").write_text("")
    names, _, summary = imported("in")
    assert len(names) == 9
    assert [line.split(": ")[0] for line in summary.problems] == ["in/s03/images", "in/s04/images"]


def test_a_folder_that_holds_more_pairs_than_samples_is_one_of_pairs():
    sample("in/a")
    png(Path("in/a/masks/i.png"), MASK)
    Path("in/a/masks/m.png").unlink()
    pair("in/b", "in/c")
    assert imported("in")[0] == ["b", "c", "i"]
    assert imported("in", form="layout")[0] == ["a"]


def test_a_source_that_cannot_be_used_is_a_problem_and_the_others_are_imported():
    pair("in/a")
    Path("x.zip").write_text("no zip")
    names, _, summary = imported("x.zip", "gone", "in")
    assert names == ["a"]
    assert [line.split(": ")[0] for line in summary.problems] == ["x.zip", "gone"]
    with pytest.raises(InputError, match="not written, because of --strict"):
        imported("x.zip", "in", strict=True)


def test_what_is_unpacked_or_written_in_a_folder_that_is_imported_is_not_found_there():
    pair("in/a", "b")
    with zipfile.ZipFile("b.zip", "w") as archive:
        for name in ("b.png", "b_mask.png"):
            archive.write(name)
            Path(name).unlink()
    names, _, summary = imported("b.zip", ".")
    assert (names, summary.problems, summary.warnings) == (["a", "b"], [], [])


def test_an_archive_without_rois_in_a_folder_is_named_and_one_with_them_holds_objects():
    pair("in/a", "b")
    for name, member in (("b.zip", "b.png"), ("c.zip", "deep/1.roi")):
        with zipfile.ZipFile(f"in/{name}", "w") as archive:
            archive.write("b.png", member)
    _, _, summary = imported("in")
    assert summary.warnings == [
        "in: 1 archives are not unpacked; unpack them there, or name those with images as sources, such as b.zip"
    ]
    assert summary.problems == ["in: 1 files of objects have no image, such as c.zip"]


def test_a_table_that_is_a_source_is_read():
    png(Path("in/a.png"), IMAGE)
    Path("in/r.csv").write_text("ImageId,EncodedPixels\na,1 2\n")
    assert imported("in/r.csv")[0] == ["a"]


@pytest.mark.parametrize("options", [{}, {"only_changed": True}])
def test_a_result_of_predict_that_is_gone_is_a_problem_unless_another_was_edited(options):
    for name in "abc":
        png(Path(f"raw/{name}.png"), IMAGE)
    predicted(Path("out"), *(Path(f"raw/{name}.png") for name in "abc"))
    for name in "bc":
        Path(f"out/{name}.labels.tif").unlink()
    png(Path("out/c.png"), MASK * 0)
    names, _, summary = imported("out", **options)
    (line,) = summary.problems
    assert names == (["c"] if options else ["a", "c"])
    assert line.startswith("out/b.labels.tif: was written and is gone; predict again to have it back, or for an image")


@pytest.mark.parametrize("options", [{}, {"only_changed": True}])
def test_objects_that_were_predicted_on_another_image_of_the_same_name_are_refused(options):
    for name in "ab":
        png(Path(f"raw/{name}.png"), IMAGE)
    predicted(Path("out"), Path("raw/a.png"), Path("raw/b.png"))
    for name in "ab":
        seal = Path(f"out/.unetseg/{name}.json")
        seal.write_text(json.dumps({**json.loads(seal.read_text()), "image": sha256(Path(f"raw/{name}.png"))}))
        png(Path(f"out/{name}.png"), MASK * 0)
    png(Path("raw/a.png"), IMAGE // 2)
    names, _, summary = imported("out", **options)
    assert names == ["b"]
    rule = "is not the image that was predicted; put that one back or predict this one again"
    assert summary.problems == [f"out/../raw/a.png: {rule}"]


def test_without_what_predict_noted_no_edit_can_be_told():
    for name in "ab":
        png(Path(f"raw/{name}.png"), IMAGE)
    predicted(Path("out"), Path("raw/a.png"), Path("raw/b.png"))
    Path("out/.unetseg/a.json").unlink()
    png(Path("out/b.png"), MASK * 0)
    names, _, summary = imported("out")
    rule = "copy it from where it was predicted, or keep one of labels and mask"
    assert names == ["b"]
    assert summary.problems == [f"out: a: without out/.unetseg/a.json no edit can be told; {rule}"]
    names, _, summary = imported("out", only_changed=True)
    assert names == ["b"]
    assert summary.problems == [
        f"out: a: without out/.unetseg/a.json no edit can be told; {rule} and import without --only-changed"
    ]
    Path("out/a.png").unlink()
    assert imported("out")[0] == ["a", "b"]


@pytest.mark.parametrize("record", ["", "[]", '{"files": 1}'])
def test_a_damaged_record_of_a_prediction_costs_that_image_alone(record):
    png(Path("raw/a.png"), IMAGE)
    for name in ("a", "b"):
        png(Path(f"out/{name}.png"), MASK)
    Path("out/.unetseg").mkdir()
    Path("out/.unetseg/b.json").write_text(record)
    listed = [{"image": name, "path": "../raw/a.png"} for name in ("a", "b")]
    Path("out/predict.json").write_text(json.dumps({"images": [*listed, None, {"path": ""}]}))
    names, _, summary = imported("out")
    assert names == ["a"]
    assert len(summary.problems) == 3


def test_images_whose_names_are_not_utf_8_are_found_by_what_predict_lists():
    for name in ("zelle_%E4", "100%E4"):
        png(Path(f"raw/{name}.png"), IMAGE)
        png(Path(f"out/{name}.png"), MASK)
    Path("raw/zelle_%E4.png").rename(os.fsdecode(b"raw/zelle_\xe4.png"))
    listed = [{"image": name, "path": f"../raw/{name}.png"} for name in ("zelle_%E4", "100%E4")]
    Path("out/predict.json").write_text(json.dumps({"images": listed}))
    names, _, summary = imported("out")
    assert (names, summary.problems) == (["100%E4", "zelle_%E4"], [])


@pytest.mark.parametrize("make", [pair, sample])
def test_bytes_of_names_that_are_not_utf_8_are_written_as_predict_writes_them(make):
    make("in/ab")
    for file in (*Path("in").iterdir(), Path("in")):
        file.rename(file.with_name(file.name.replace("ab", "a\udce4").replace("in", "i\udce4")))
    names, _, summary = imported("i\udce4")
    assert (names, summary.problems) == (["a%E4"], [])


def predicted(out, *images):
    """Write the masks and label images of images as `unetseg predict` does, and a table."""
    files = {".png": MASK, ".labels.tif": (IMAGE > 9).astype(np.uint16)}
    (out / ".unetseg").mkdir(parents=True)
    for image in images:
        kinds = {}
        for kind, (end, pixels) in zip(("mask", "labels"), files.items(), strict=True):
            kinds[kind] = sha256(png(out / f"{image.stem}{end}", pixels))
        (out / ".unetseg" / f"{image.stem}.json").write_text(json.dumps({"files": kinds}))
    listed = [{"image": image.stem, "path": os.path.relpath(image, out)} for image in images]
    (out / "rle.csv").write_text("ImageId,EncodedPixels\na,1 2\n")
    told = {"images": listed, "write": ["labels"], "tables": {"rle.csv": sha256(out / "rle.csv")}}
    (out / "predict.json").write_text(json.dumps(told))


def test_results_of_a_run_that_did_not_end_hold_no_images():
    pair("in/a")
    predicted(Path("in/out"), Path("in/a.png"))
    Path("in/out/predict.json").unlink()
    Path("in/out/.unetseg/a.jsonl").touch()
    names, _, summary = imported("in")
    assert (names, summary.objects) == (["a"], 1)
    assert summary.warnings == ["in/out: left out: a run of unetseg predict did not end here"]
    Path("in/out/sub").mkdir()
    Path("in/out/.unetseg/sub").mkdir()
    Path("in/out/.unetseg/sub/b.jsonl").touch()
    for source in ("in/out", "in/out/sub"):
        with pytest.raises(InputError, match="/in/out: a run of unetseg predict did not end here; run it again with"):
            imported(source)


def test_an_ome_tiff_keeps_its_name_where_its_objects_come_from_predictions():
    tifffile.imwrite("a.ome.tif", IMAGE)
    predicted(Path("out"), Path("a.ome.tif"))
    assert imported("out")[0] == ["a"]


def predicted_planes(out, *stacks):
    """Write stacks of two planes, an image of one, and masks of all as `unetseg predict` does."""
    listed = [{"image": "one", "path": "../one.png", "plane": None}]
    png(Path("one.png"), IMAGE)
    for stack in stacks:
        tifffile.imwrite(f"{stack}.ome.tif", np.stack([IMAGE, IMAGE // 2]), metadata={"axes": "TYX"})
        listed += [{"image": f"{stack}.ome_{i:04}", "path": f"../{stack}.ome.tif", "plane": i} for i in range(2)]
    for image in listed:
        png(out / f"{image['image']}.png", MASK)
    (out / "predict.json").write_text(json.dumps({"images": listed}))


def test_planes_of_one_file_in_predictions_are_one_group_and_other_images_in_none():
    predicted_planes(Path("out"), "s", "t")
    _, groups, summary = imported("out")
    assert groups == "id,stack\none,\ns.ome_0000,s\ns.ome_0001,s\nt.ome_0000,t\nt.ome_0001,t\n"
    told = "4 planes of 2 files, those of one file in one group"
    assert summary.forms == {"out": f"a folder of unetseg predict; {told}"}
    assert summary.warnings == []
    Path("o.zip").rename("planes.zip")
    assert imported("planes.zip")[1] == groups


def test_the_file_of_planes_is_noted_beside_what_a_table_says_of_them():
    predicted_planes(Path("out"), "s", "t")
    Path("out/groups.csv").write_text("id,patient,group\ns.ome_0001,p1,g7\nt.ome_0000,p1,\n")
    _, _, summary = imported("out")
    with zipfile.ZipFile("o.zip") as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("groups.csv").decode())))
    assert [row["stack"] for row in rows] == ["", "s", "s", "t", "t"]
    assert [row["patient"] for row in rows] == ["", "", "p1", "p1", ""]
    assert joined(rows, [row["id"] for row in rows]) == {"one": "one"} | {row["id"]: "s.ome_0000" for row in rows[1:]}
    assert summary.warnings == ["1 of 5 images have no row in groups.csv, such as one"]


def test_planes_of_one_file_are_no_table_of_groups_and_stand_in_none_that_does_not_name_them():
    predicted_planes(Path("out"), "s")
    pair("in/a")
    assert imported("out", "in")[2].warnings == []
    Path("in/groups.csv").write_text("id,patient\na,p1\n")
    _, groups, summary = imported("out", "in")
    assert summary.warnings == ["3 of 4 images have no row in groups.csv, such as one"]
    assert groups == "id,patient,stack\na,p1,\none,,\ns.ome_0000,,s\ns.ome_0001,,s\n"


def test_one_sample_folder_with_two_images_is_named_and_the_others_are_imported():
    for number in range(6):
        sample(f"in/s{number}")
    png(Path("in/s3/images/other.png"), IMAGE)
    names, _, summary = imported("in")
    assert names == [f"s{number}" for number in (0, 1, 2, 4, 5)]
    assert [line.split(":")[0] for line in summary.problems] == ["in/s3/images"]


def test_two_sample_folders_of_one_name_are_told_by_their_paths():
    sample("in/b1/s0", "in/b2/s0")
    names, _, summary = imported("in")
    paths = "in/b2/s0/images/i.png and in/b1/s0/images/i.png"
    assert (names, summary.problems) == (["s0"], [f"in: 's0' is the name of {paths}; rename the folder of one"])


@pytest.mark.parametrize("name", ["shapes", "imageData", "geometry"])
def test_a_coco_file_is_known_whatever_its_categories_are_called(name):
    png(Path("in/a.png"), IMAGE)
    content = {"categories": [{"id": 0, "name": name, "supercategory": name}], "annotations": []}
    Path("in/coco.json").write_text(json.dumps(content | {"images": [{"id": 0, "file_name": "a.png"}]}))
    assert imported("in")[0] == ["a"]


def test_images_of_one_name_in_a_list_are_named_with_their_suffixes():
    png(Path("in/a.png"), IMAGE)
    tifffile.imwrite("in/a.tif", IMAGE // 2)
    listed = [{"id": name, "file_name": name} for name in ("a.png", "a.tif")]
    Path("in/coco.json").write_text(json.dumps({"images": listed, "annotations": []}))
    _, _, summary = imported("in")
    assert summary.problems == ["in: 'a' is the name of in/a.tif and in/a.png; rename one"]
    assert summary.warnings[0].startswith("1 images that a list of instances names without any (in a): taken as images")


def test_results_of_predict_in_a_folder_are_left_out_and_named():
    pair("in/a")
    predicted(Path("in/out"), Path("in/a.png"))
    names, _, summary = imported("in")
    assert (names, summary.objects) == (["a"], 1)
    assert summary.warnings == ["in/out: results of unetseg predict are left out; name it as a source"]
    Path("in/a_mask.png").unlink()
    with pytest.raises(InputError, match="in/out: results of unetseg predict are left out"):
        imported("in")


@pytest.mark.parametrize(("source", "form"), [("in/out/rle.csv", None), ("in/out", "masks"), ("in/out/sub", None)])
def test_of_the_results_of_predict_nothing_is_an_image(source, form):
    png(Path("in/a.png"), IMAGE)
    predicted(Path("in/out"), Path("in/a.png"))
    Path("in/out/.unetseg/sub").mkdir()
    Path("in/out/sub").mkdir()
    with pytest.raises(InputError, match=rf"^{source}: is of the results .* unetseg import \S*in/out$"):
        imported(source, form=form)
    assert imported("in/out")[0] == ["a"]


def test_where_no_image_of_a_prediction_was_changed_that_is_said_and_files_of_other_names_are_named():
    for name in "ab":
        png(Path(f"in/{name}.png"), IMAGE)
    predicted(Path("out"), Path("in/a.png"), Path("in/b.png"))
    with pytest.raises(InputError) as error:
        imported("out", only_changed=True)
    assert str(error.value) == "o.zip: not written, none of 2 images was changed"
    for name in ("a.tif.geojson", "sub/b.geojson"):
        Path("out", name).parent.mkdir(exist_ok=True)
        Path("out", name).write_text("[]")
    told = "2 files are of no image that predict.json lists, such as a.tif.geojson, sub/b.geojson; save corrections"
    with pytest.raises(InputError, match=rf"^out: {told} .*\no.zip: .* none of 2 images was changed"):
        imported("out", only_changed=True)
    (line,) = imported("out")[2].warnings
    assert line.startswith(f"out: {told}")


@pytest.mark.parametrize("options", [{}, {"only_changed": True}])
@pytest.mark.parametrize("noted", ["files", "earlier"])  # of the last run, and of one before it
def test_files_of_objects_that_were_edited_and_are_not_read_are_named(options, noted):
    png(Path("in/a.png"), IMAGE)
    predicted(Path("out"), Path("in/a.png"))
    png(Path("out/a.png"), MASK * 0)
    Path("out/a.ome.zarr").mkdir()
    Path("out/a.ome.zarr/.zattrs").write_text("{}")
    seal = json.loads(Path("out/.unetseg/a.json").read_text())
    seal.setdefault(noted, {})["zarr"] = hash_all(Path("out/a.ome.zarr"))
    Path("out/.unetseg/a.json").write_text(json.dumps(seal))
    assert imported("out", **options)[2].warnings == []
    for name in ("rle.csv", "coco.json", "a.ome.zarr/.zattrs"):
        Path("out", name).write_text('{"images": []}')
    told = "is not as the last run wrote it, and edits there are not taken"
    assert imported("out", **options)[2].warnings == [
        f"out/a.ome.zarr: {told}; save its labels as a.labels.tif in a folder that is predicted with --write labels",
        f"out/coco.json: {told}; copy it to the folder of the images, and import it there",
        f"out/rle.csv: {told}; copy it to the folder of the images, and import it there",
    ]


def test_tables_of_which_no_run_noted_a_hash_are_not_taken_for_edited():
    png(Path("in/a.png"), IMAGE)
    predicted(Path("out"), Path("in/a.png"))
    run = json.loads(Path("out/predict.json").read_text())
    del run["tables"]
    Path("out/predict.json").write_text(json.dumps(run))
    assert imported("out")[2].warnings == []


def test_results_among_the_images_are_told_from_them():
    png(Path("in/a.tif"), IMAGE)
    predicted(Path("in"), Path("in/a.tif"))
    names, _, summary = imported("in")
    assert (names, summary.warnings) == (["a"], [])


@pytest.mark.parametrize(
    ("images", "objects", "names"),
    [
        ("plate/{}", "labels/plate/{}_label", ["plate_B2_f", "plate_B3_f"]),
        ("images/plate/{}", "labels/plate/{}", ["plate_B2_f", "plate_B3_f"]),
        ("plate/images/{}", "plate/masks/{}_mask", ["plate_B2_f", "plate_B3_f"]),
        ("raw/images/{}", "raw/masks/{}", ["raw_B2_f", "raw_B3_f"]),
        ("images/{}", "masks/{}/1", ["B2_f", "B3_f"]),
    ],
)
def test_images_and_objects_may_lie_in_trees_beside_each_other(images, objects, names):
    for field in ("B2/f", "B3/f"):
        png(Path(f"in/{images.format(field)}.png"), IMAGE)
        png(Path(f"in/{objects.format(field)}.png"), MASK)
    taken, _, summary = imported("in")
    assert (taken, summary.objects, summary.problems, summary.warnings) == (names, 2, [], [])


@pytest.mark.parametrize(
    ("images", "mask", "owner"),
    [
        (["images/c1", "images/c1_seg"], "masks/c1_seg", "c1_seg"),
        (["images/c1"], "masks/c1_seg", "c1"),
        (["plate", "plate/f", "plate/g"], "labels/plate/f_label", "f"),
        (["plate", "plate/f"], "labels/plate/1", "plate"),
    ],
)
def test_a_mask_belongs_to_the_image_of_its_name_else_without_its_mark_else_to_that_of_its_folder(images, mask, owner):
    for name in images:
        png(Path(f"in/{name}.png"), IMAGE)
    png(Path(f"in/{mask}.png"), MASK)
    assert imported("in")[0] == [owner]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("RoiSet.geojson", {"geometry": {"type": "Polygon", "coordinates": [[[1, 1], [5, 1], [5, 5]]]}}),
        ("RoiSet.json", {"shapes": [{"shape_type": "polygon", "label": "a", "points": [[1, 1], [5, 1], [5, 5]]}]}),
    ],
)
def test_outlines_of_any_kind_under_the_name_of_fijis_rois_belong_to_the_only_image(name, content):
    png(Path("in/a.png"), IMAGE)
    Path("in", name).write_text(json.dumps(content))
    names, _, summary = imported("in")
    assert (names, summary.objects, summary.problems) == (["a"], 1, [])


def test_what_lies_below_labels_is_no_image_without_objects():
    pair("in/a")
    png(Path("in/labels/plate/B2/b.png"), MASK)
    names, _, summary = imported("in")
    assert (names, summary.warnings) == (["a"], [])
    assert summary.problems == ["in: 1 files of objects have no image, such as labels/plate/B2/b.png"]


@pytest.mark.parametrize(
    ("images", "objects"),
    [
        ("rawimages", "groundtruth"),
        ("images", "annotated_masks"),
        ("tissue images", "label masks"),
        ("img", "seg"),
        ("DAPI", "manual-segmentations"),
        ("label_free", "Ground_Truth"),
        ("DAPI", "masks"),
    ],
)
def test_a_folder_named_after_objects_in_any_words_is_paired_with_the_one_beside_it_and_both_are_told(images, objects):
    for name in ("plate/a", "b"):
        png(Path(f"in/{images}/{name}.png"), IMAGE)
        png(Path(f"in/{objects}/{name}.png"), MASK)
    names, _, summary = imported("in")
    assert (names, summary.problems, summary.warnings) == (["a", "b"], [], [])
    told = " and ".join(sorted([images, objects]))
    assert summary.forms == {"in": f"images with masks or label images, of the folders {told}"}


def test_two_folders_of_images_beside_one_of_objects_are_problems_that_name_both():
    for folder in ("DAPI", "GFP", "true masks"):
        png(Path(f"in/{folder}/a.png"), MASK if "masks" in folder else IMAGE)
    with pytest.raises(InputError, match=r"in/DAPI/a\.png: and GFP/a\.png have one name and could both be the image"):
        imported("in")


def test_each_folder_of_images_is_paired_with_the_folder_of_objects_that_is_named_after_it():
    for part, names in {"train": "ab", "train_labels": "abc", "val": "a", "val_labels": "a", "test": "c"}.items():
        for name in names:
            png(Path(f"in/{part}/{name}.png"), MASK if "labels" in part else IMAGE)
    names, _, summary = imported("in")
    assert names == ["b", "train_a", "val_a"]
    assert summary.problems == ["in: 1 files of objects have no image, such as train_labels/c.png"]
    assert summary.warnings == ["in: 1 images have no file of objects, such as test/c.png"]


def test_several_numbered_masks_of_an_image_are_refused_with_where_files_of_one_object_each_belong():
    pair("in/a", "in/b")
    png(Path("in/b_mask_1.png"), MASK)
    names, _, summary = imported("in")
    assert names == ["a"]
    two = (
        "has two files of objects, b_mask.png and b_mask_1.png; keep one; files of one object each belong into masks/b"
    )
    assert (summary.problems, summary.warnings) == ([f"in/b.png: {two}"], [])


def test_two_folders_of_masks_are_named_where_they_are_in_each_others_way():
    pair("in/x/c")
    for folder in ("images", "masks", "labels"):
        png(Path(f"in/{folder}/a.png"), IMAGE if folder == "images" else MASK)
    assert "has two files of objects, labels/a.png and masks/a.png; keep one" in imported("in")[2].problems[0]


def test_sample_folders_with_masks_are_taken_before_tables_of_other_images():
    sample("in/train/a", "in/train/b")
    png(Path("in/test/c/images/c.png"), IMAGE)
    Path("in/solution.csv").write_text("ImageId,EncodedPixels\nc,1 2\n")
    names, _, summary = imported("in")
    assert (names, summary.problems) == (["a", "b"], ["in/test/c: has no masks"])
    line = "files not looked at, as sample folders were taken (--from takes them), such as solution.csv"
    assert summary.left_out[line] == 1
    assert imported("in", form="rle")[0] == ["c"]


def test_a_table_of_more_images_than_there_are_sample_folders_is_taken():
    sample("in/example/e")
    for name in "ab":
        png(Path(f"in/photos/{name}.png"), IMAGE)
    Path("in/t.csv").write_text("ImageId,EncodedPixels\na,1 2\nb,1 3\n")
    assert imported("in")[0] == ["a", "b"]


def test_crops_named_after_what_was_cut_out_are_images():
    png(Path("in/slide.png"), IMAGE)
    pair("in/slide_roi1", "in/slide_roi2")
    assert imported("in")[0] == ["slide_roi1", "slide_roi2"]


def test_masks_of_a_format_that_is_not_read_and_archives_are_named_where_nothing_else_is_there():
    png(Path("in/images/a.png"), IMAGE)
    Path("in/masks").mkdir()
    Path("in/masks/a.gif").write_bytes(b"GIF89a")
    with zipfile.ZipFile("in/more.zip", "w") as archive:
        archive.writestr("a.png", b"")
    with pytest.raises(InputError) as caught:
        imported("in")
    assert str(caught.value).splitlines()[:2] == [
        "in: 1 files are of a format that is not read, such as masks/a.gif",
        "in: 1 archives are not unpacked; unpack them there, or name those with images as sources, such as more.zip",
    ]


def test_json_of_other_programs_is_counted_and_no_problem():
    pair("in/a")
    item = {"name": "a.png", "slots": [{"source_files": [{"file_name": "a.png"}]}]}
    Path("in/a.json").write_text(json.dumps({"version": "2.0", "item": item, "annotations": []}))
    Path("in/b.json").write_text('{"name": "x", "images": 3}')
    names, _, summary = imported("in")
    assert (names, summary.problems) == (["a"], [])
    assert summary.left_out["files of no known form, such as a.json, b.json"] == 2


def test_a_folder_of_pairs_may_be_named_after_objects():
    pair("in/my seg/a")
    assert imported("in")[0] == ["a"]


def test_an_ome_tiff_is_paired_without_the_ome_in_its_name():
    for name, pixels in (("x.ome", IMAGE), ("x_mask.ome", MASK), ("y.ome", IMAGE), ("y_mask", MASK)):
        path = Path(f"in/{name}.tif")
        path.parent.mkdir(exist_ok=True)
        tifffile.imwrite(path, pixels, photometric="minisblack")
    Path("in/groups.csv").write_text("id,group\nx.ome.tif,1\ny,2\n")
    names, groups, summary = imported("in")
    assert (names, groups, summary.problems) == (["x", "y"], "id,group\nx,1\ny,2\n", [])


@pytest.mark.parametrize("form", ["masks", "rle"])
def test_a_row_of_groups_names_an_ome_tiff_or_one_without_objects_with_or_without_its_suffix(form):
    Path("in").mkdir()
    for name in ("x", "y", "z"):
        tifffile.imwrite(f"in/{name}.ome.tif", IMAGE, photometric="minisblack")
        if form == "masks" and name != "z":
            png(Path(f"in/{name}_mask.png"), MASK)
    if form == "rle":
        Path("in/r.csv").write_text("ImageId,EncodedPixels\nx.ome.tif,1 2\ny,1 2\n")
    Path("in/groups.csv").write_text("id,group\nx.ome.tif,1\ny,2\nz,3\n")
    names, groups, summary = imported("in")
    assert (names, groups, summary.problems) == (["x", "y"], "id,group\nx,1\ny,2\n", [])
    assert summary.left_out["rows of groups.csv whose images are left out"] == 1


@pytest.mark.parametrize(
    ("axes", "told"),
    [
        ("ZYX", "holds 2 images; save the one you need as a separate file"),
        (
            "CYX",
            "has 2 channels, which are neither grey nor RGB with or without alpha; save the one with the objects alone",
        ),
    ],
)
def test_a_mask_of_several_pages_or_channels_is_not_told_to_be_projected_or_chosen_from(axes, told):
    for folder in ("images", "masks"):
        Path("in", folder).mkdir(parents=True)
        tifffile.imwrite(f"in/{folder}/z.tif", np.stack([IMAGE, IMAGE]), imagej=True, metadata={"axes": axes})
    with pytest.raises(InputError, match=rf"masks/z\.tif: {told}\n"):
        imported("in", project="max", channel=0)
