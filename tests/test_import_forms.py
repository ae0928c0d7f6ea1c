import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from forms import (
    FORMS,
    IMAGES,
    OUTLINED,
    contours,
    differing,
    each_object,
    imported,
    make_beside,
    make_flat,
    make_layout,
    make_predictions,
    png,
)
from roifile import ROI_TYPE, ImagejRoi

from unetseg.cli import main
from unetseg.files import read_csv, sha256
from unetseg.images.opening import read_image

PAGE = Path(__file__).parents[1] / "docs" / "formats.md"


@pytest.mark.parametrize("form", [*FORMS, *OUTLINED])
def test_the_page_lists_every_form(form):
    assert f"\n| {form} | " in PAGE.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_images_and_objects_of_every_form_arrive_to_the_pixel(tmp_path, form):
    (tmp_path / "source").mkdir()
    samples = imported(tmp_path, FORMS[form](tmp_path / "source"))
    assert list(samples) == list(IMAGES)
    for name, (image, labels) in IMAGES.items():
        assert np.array_equal(samples[name].image[..., 0], image)
        assert len(np.unique(samples[name].labels)) == len(np.unique(labels))
        assert differing(samples[name], labels) == 0


@pytest.mark.parametrize("form", OUTLINED)
def test_outlines_through_pixel_centres_cost_half_a_pixel_of_the_border(tmp_path, form):
    (tmp_path / "source").mkdir()
    samples = imported(tmp_path, OUTLINED[form](tmp_path / "source"))
    for name, (_, labels) in IMAGES.items():
        assert len(np.unique(samples[name].labels)) == len(np.unique(labels))
        for number, mask in each_object(labels):
            found = samples[name].labels == number
            filled = cv2.drawContours(mask.astype(np.uint8), contours(mask), -1, 1, -1)
            inner, outer = cv2.erode(filled, np.ones((3, 3))), cv2.dilate(filled, np.ones((3, 3)))
            assert not (found & (outer == 0)).any()
            assert found[inner > 0].all()


def lines_of(capsys, *words):
    status = main(["import", *map(str, words)])
    printed = capsys.readouterr()
    return status, printed.out.splitlines(), [line for line in printed.err.splitlines() if "import:" not in line]


def test_what_was_understood_and_what_was_left_out_is_told_in_a_line_each(tmp_path, capsys):
    make_beside(tmp_path / "plate", "_masks")
    png(tmp_path / "plate" / "alone.tif", IMAGES["cell_0"][0])
    for other in ("notes.txt", "b.md"):
        (tmp_path / "plate" / other).write_text("")
    (tmp_path / "plate" / ".DS_Store").write_text("")
    status, out, err = lines_of(capsys, tmp_path / "plate", "--out", tmp_path / "a.zip")
    assert (status, err) == (0, [f"warning: {tmp_path}/plate: 1 images have no file of objects, such as alone.tif"])
    assert out[0] == f"{tmp_path}/plate: images with masks or label images"
    assert out[1].startswith(f"{tmp_path}/a.zip: 8 images with 28 objects (")
    assert out[1].endswith("left out: 2 files of no known form, such as b.md, notes.txt")


def test_images_without_objects_are_a_warning_and_objects_without_an_image_a_problem(tmp_path, capsys):
    source = make_flat(tmp_path / "in")
    (source / "masks" / "cell_0.png").rename(source / "masks" / "cel_0.png")
    for name in ("images/a.GIF", "masks/cell_1.webp"):
        (source / name).write_text("")
    status, out, err = lines_of(capsys, source, "--out", tmp_path / "a.zip")
    assert status == 1
    assert err == [
        f"{source}: 1 files of objects have no image, such as masks/cel_0.png",
        f"{source}: 2 files are of a format that is not read, such as images/a.GIF, masks/cell_1.webp",
        f"warning: {source}: 1 images have no file of objects, such as images/cell_0.png",
    ]
    assert "7 images" in out[1]


def test_strict_refuses_images_without_objects(tmp_path, capsys):
    source = make_flat(tmp_path / "in")
    (source / "masks" / "cell_0.png").unlink()
    with pytest.raises(SystemExit):
        main(["import", str(source), "--out", str(tmp_path / "b.zip"), "--strict"])
    assert f"{source}: 1 images have no file of objects, such as images/cell_0.png\n" in capsys.readouterr().err
    assert not (tmp_path / "b.zip").exists()


@pytest.mark.parametrize("place", ["labels", "masks/plate", "images"])
def test_what_the_folder_that_is_imported_is_called_does_not_matter(tmp_path, place):
    assert list(imported(tmp_path, make_beside(tmp_path / place, "_mask"))) == list(IMAGES)


def test_ids_that_the_pipeline_refuses_are_named(tmp_path, capsys):
    image, labels = IMAGES["cell_0"]
    for name in (".hidden", "x" * 210, "fine"):
        png(tmp_path / "in" / name / "images" / "a.png", image)
        png(tmp_path / "in" / name / "masks" / "a.png", (labels > 0) * np.uint8(255))
    status, out, err = lines_of(capsys, tmp_path / "in", "--out", tmp_path / "a.zip")
    assert status == 1
    assert "1 images" in out[1]
    assert sorted(line.split("' ")[1] for line in err) == [
        "begins with a dot, which hides it; rename it",
        "is 210 bytes long, more than 200; rename it",
    ]


def test_one_bad_image_is_named_and_costs_no_other_unless_strict(tmp_path, capsys):
    source = make_flat(tmp_path / "source")
    (source / "images" / "cell_3.png").write_bytes(b"")
    png(source / "masks" / "cell_4.png", np.zeros((9, 9), np.uint8))
    status, out, err = lines_of(capsys, source, "--out", tmp_path / "a.zip")
    assert status == 1
    assert [line.split(":")[0] for line in err] == [f"{source}/images/cell_3.png", f"{source}/masks/cell_4.png"]
    assert "6 images" in out[1]
    assert "2 problems" in out[1]
    with pytest.raises(SystemExit):
        main(["import", str(source), "--out", str(tmp_path / "b.zip"), "--strict"])
    assert "not written, because of --strict" in capsys.readouterr().err
    assert not (tmp_path / "b.zip").exists()


def test_cellposes_seg_npy_alone_is_refused_with_what_to_export(tmp_path, capsys):
    image, labels = IMAGES["cell_0"]
    for name in ("a", "b"):
        png(tmp_path / "x" / f"{name}.tif", image)
        np.save(tmp_path / "x" / f"{name}_seg.npy", {"masks": labels}, allow_pickle=True)
    png(tmp_path / "x" / "b_masks.tif", labels.astype(np.uint16))
    status, out, err = lines_of(capsys, tmp_path / "x", "--out", tmp_path / "a.zip")
    assert status == 1
    assert "1 images with 4 objects" in out[1]
    assert "a_seg.npy holds Python objects, which could run code; in Cellpose choose" in err[0]


def test_overlapping_objects_survive_as_one_file_each(tmp_path):
    image, _ = IMAGES["cell_0"]
    png(tmp_path / "x" / "a.png", image)
    squares = [np.array([[x, 4], [x + 10, 4], [x + 10, 14], [x, 14]]) for x in (4, 9)]
    with zipfile.ZipFile(tmp_path / "x" / "a.roi.zip", "w") as archive:
        for number, square in enumerate(squares):
            archive.writestr(f"{number}.roi", ImagejRoi.frompoints(square).tobytes())
    imported(tmp_path, tmp_path / "x")
    masks = sorted((tmp_path / "unpacked" / "a" / "masks").iterdir())
    assert [np.count_nonzero(cv2.imread(str(mask), 0)) for mask in masks] == [100, 100]


@pytest.mark.parametrize("runs", [["1 1600"], ["1 800", "801 800"]])
def test_objects_that_leave_no_background_arrive_as_they_are(tmp_path, runs):
    png(tmp_path / "in" / "a.png", IMAGES["cell_0"][0])
    (tmp_path / "in" / "a.csv").write_text("\n".join(["ImageId,EncodedPixels", *(f"a,{run}" for run in runs)]) + "\n")
    labels = imported(tmp_path, tmp_path / "in")["a"].labels
    assert (labels == np.repeat(np.arange(len(runs)), 40 // len(runs)) + 1).all()


def test_several_sources_are_merged_with_where_each_image_came_from_and_their_groups(tmp_path, capsys):
    make_layout(tmp_path / "first")
    (tmp_path / "first" / "groups.csv").write_text("id,patient\ngone,p1\n" + "".join(f"{name},p1\n" for name in IMAGES))
    for name in ("cell_7", "cell_e\u0301"):  # the second in Unicode's decomposed form
        image, labels = IMAGES["cell_1"]
        png(tmp_path / "second" / "images" / f"{name}.png", image + 1)
        png(tmp_path / "second" / "masks" / f"{name}.png", labels.astype(np.uint16))
    status, out, err = lines_of(capsys, tmp_path / "first", tmp_path / "second", "--out", tmp_path / "a.zip")
    assert status == 1
    assert err == [
        f"{tmp_path}/first/groups.csv: 1 rows are of no image, such as gone; names of images are such as cell_0",
        f"{tmp_path}/second: 'cell_7' is the name of an image of {tmp_path}/first too; rename one",
        "warning: 1 of 9 images have no row in groups.csv, such as cell_é",
    ]
    assert "9 images" in out[2]
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    sources = {row["id"]: row["source"] for row in read_csv(tmp_path / "unpacked" / "sources.csv")}
    assert sources == dict.fromkeys(IMAGES, "first") | {"cell_\u00e9": "second"}
    groups = {row["id"]: row["patient"] for row in read_csv(tmp_path / "unpacked" / "groups.csv")}
    assert groups == dict.fromkeys(IMAGES, "p1") | {"cell_\u00e9": ""}


def test_the_same_images_give_the_same_archive(tmp_path):
    source = make_flat(tmp_path / "source")
    for name in ("a.zip", "b.zip"):
        assert main(["import", str(source), "--out", str(tmp_path / name)]) == 0
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_finders_zips_are_named_right(tmp_path):
    image, labels = IMAGES["cell_0"]
    files = {"Zelle_a\u0308/images/x.png": image, "Zelle_a\u0308/masks/x.png": labels.astype(np.uint16)}
    with zipfile.ZipFile(tmp_path / "finder.zip", "w") as archive:
        for name, pixels in files.items():
            archive.writestr(name.replace("a\u0308", "a@@"), cv2.imencode(".png", pixels)[1].tobytes())
    content = (tmp_path / "finder.zip").read_bytes()
    (tmp_path / "finder.zip").write_bytes(content.replace(b"a@@", "a\u0308".encode()))  # UTF-8 without its flag
    assert list(imported(tmp_path, tmp_path / "finder.zip")) == ["Zelle_\u00e4"]


def test_a_16_bit_image_and_its_metadata_arrive_as_they_are(tmp_path):
    image = np.random.default_rng(0).integers(0, 4000, (40, 40), np.uint16)
    (tmp_path / "x").mkdir()
    tifffile.imwrite(tmp_path / "x" / "a.tif", image)
    png(tmp_path / "x" / "a_mask.tif", IMAGES["cell_0"][1].astype(np.uint16))
    sample = imported(tmp_path, tmp_path / "x")["a"]
    assert np.array_equal(sample.image, read_image(tmp_path / "x" / "a.tif"))
    assert sample.path.read_bytes() == (tmp_path / "x" / "a.tif").read_bytes()


@pytest.mark.parametrize(
    ("axes", "options"), [("CYX", ["--channel", "1"]), ("ZYX", ["--project", "max"]), ("YXS", ["--channel", "2"])]
)
def test_of_a_stack_the_values_and_the_size_of_a_pixel_arrive_as_they_are(tmp_path, axes, options):
    rng = np.random.default_rng(0)
    shape = {"Y": 40, "X": 40, "C": 2, "Z": 2, "S": 3}
    values = rng.integers(0, 4000, [shape[axis] for axis in axes], np.uint16)
    (tmp_path / "x").mkdir()
    about = {"axes": axes, "PhysicalSizeX": 0.325, "PhysicalSizeY": 0.5}
    tifffile.imwrite(tmp_path / "x" / "a.ome.tif", values, metadata=about)
    png(tmp_path / "x" / "a_mask.tif", IMAGES["cell_0"][1].astype(np.uint16))
    stored = imported(tmp_path, tmp_path / "x", *options)["a"].stored
    chosen = {"CYX": values[1], "ZYX": values.max(axis=0), "YXS": values[..., -1]}[axes]
    assert stored.pixels.dtype == np.uint16
    assert np.array_equal(stored.pixels[..., 0], chosen)
    assert stored.pixel == pytest.approx((0.5, 0.325))


@pytest.mark.parametrize("words", [["nothing"], ["empty"], ["broken.zip"], ["broken.tar.gz"]])
def test_what_holds_nothing_is_told_in_one_line(tmp_path, capsys, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.zip").write_bytes(b"PK\3\4")
    (tmp_path / "broken.tar.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(SystemExit) as ended:
        main(["import", str(tmp_path / words[0]), "--out", str(tmp_path / "a.zip")])
    assert ended.value.code == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "a.zip").exists()


def seal(out, *more):
    """Note the kinds and hashes of what was written, as `unetseg predict` does."""
    listing = json.loads((out / "predict.json").read_text())
    (out / "predict.json").write_text(json.dumps({**listing, "write": ["labels", *more]}))
    for name in IMAGES:
        files = {"labels": sha256(out / f"{name}.labels.tif"), **dict.fromkeys({*more} - {"roi"}, "")}
        (out / ".unetseg").mkdir(exist_ok=True)
        (out / ".unetseg" / f"{name}.json").write_text(json.dumps({"key": "", "files": files}))


def test_only_images_whose_objects_were_edited_are_taken_back_from_predictions(tmp_path, capsys):
    out = make_predictions(tmp_path)
    seal(out, "roi")
    edited = IMAGES["cell_2"][1].copy()
    edited[edited == 2] = 0
    tifffile.imwrite(out / "cell_2.labels.tif", edited.astype(np.uint16))
    roi = ImagejRoi.frompoints(np.array([[1, 1], [9, 1], [9, 9], [1, 9]]))
    with zipfile.ZipFile(out / "cell_5.roi.zip", "w") as archive:  # made by the user: there was none
        archive.writestr("1.roi", roi.tobytes())
    samples = imported(tmp_path, out, "--only-changed")
    assert list(samples) == ["cell_2", "cell_5"]
    assert differing(samples["cell_2"], edited) == 0
    assert np.count_nonzero(samples["cell_5"].labels) == 64
    assert "left out: 6 not changed since they were predicted" in capsys.readouterr().out


def test_predictions_of_one_channel_or_of_a_projection_are_imported_with_what_was_predicted(tmp_path):
    out = make_predictions(tmp_path)
    listing = json.loads((out / "predict.json").read_text())
    image, labels = next(iter(IMAGES.values()))
    channels, depth = np.stack([image // 2, image, image // 3]), np.stack([image, image // 2])
    for entry, array, axes, chosen in zip(
        listing["images"], (channels, depth), ("CYX", "ZYX"), ({"channel": 1}, {"project": "max"}), strict=False
    ):
        tifffile.imwrite(out / entry["path"], array, imagej=True, metadata={"axes": axes})
        tifffile.imwrite(out / f"{entry['image']}.labels.tif", labels.astype(np.uint16))
        entry.update(chosen)
    (out / "predict.json").write_text(json.dumps(listing))
    samples = list(imported(tmp_path, out).values())
    for sample in samples[:2]:
        assert np.array_equal(sample.image[..., 0], image)


def test_two_files_that_were_edited_are_told_apart_by_the_user(tmp_path, capsys):
    out = make_predictions(tmp_path)
    seal(out, "geojson")
    for name in ("cell_0", "cell_1"):
        tifffile.imwrite(out / f"{name}.labels.tif", (IMAGES[name][1] == 1).astype(np.uint16))
    (out / "cell_0.geojson").write_text("[]")
    status, _, err = lines_of(capsys, out, "--only-changed", "--out", tmp_path / "a.zip")
    assert status == 1
    assert err[0] == f"{out}: cell_0: labels and geojson were changed; keep one of them"


@pytest.mark.parametrize("options", [[], ["--only-changed"]])
def test_a_file_of_a_kind_that_the_last_run_did_not_write_is_no_correction_but_named(tmp_path, capsys, options):
    out = make_predictions(tmp_path)
    seal(out)
    tifffile.imwrite(out / "cell_0.labels.tif", (IMAGES["cell_0"][1] == 1).astype(np.uint16))
    for name in ("cell_1.geojson", "cell_2.roi.zip"):
        (out / name).write_text("[]")
    status, printed, err = lines_of(capsys, out, *options, "--out", tmp_path / "a.zip")
    assert status == 1
    assert f" {1 if options else 6} images with " in printed[1]
    told = "the last run wrote no {0} of this image; remove it if it is of an earlier run, "
    told += "else save it to a folder predicted with --write {0}"
    assert err == [f"{out}/cell_1.geojson: {told.format('geojson')}", f"{out}/cell_2.roi.zip: {told.format('roi')}"]


def test_what_is_left_out_of_several_files_of_one_image_is_counted_together(tmp_path, capsys):
    png(tmp_path / "x" / "images" / "a.png", IMAGES["cell_0"][0])
    (tmp_path / "x" / "rois" / "a").mkdir(parents=True)
    for number, kind in enumerate((ROI_TYPE.POLYGON, ROI_TYPE.POINT, ROI_TYPE.POLYLINE)):
        roi = ImagejRoi.frompoints([[4, 4], [14, 4], [14, 14]])
        roi.roitype = kind
        (tmp_path / "x" / "rois" / "a" / f"{number}.roi").write_bytes(roi.tobytes())
    status, out, _ = lines_of(capsys, tmp_path / "x", "--out", tmp_path / "a.zip")
    assert status == 0
    assert "1 images with 1 objects" in out[1]
    assert "left out: 2 ROIs that are no areas" in out[1]


def test_fijis_roiset_belongs_to_the_only_image_of_its_folder_and_has_to_be_renamed_beside_several(tmp_path, capsys):
    for place in ("a/a", "b/b", "b/c"):
        png(tmp_path / "x" / f"{place}.png", IMAGES["cell_0"][0])
    for place in "ab":
        with zipfile.ZipFile(tmp_path / "x" / place / "RoiSet.zip", "w") as archive:
            archive.writestr("1.roi", ImagejRoi.frompoints([[4, 4], [14, 4], [14, 14]]).tobytes())
    status, out, err = lines_of(capsys, tmp_path / "x", "--out", tmp_path / "a.zip")
    assert (status, err[0]) == (
        1,
        f"{tmp_path}/x: 1 files of objects have no image, such as b/RoiSet.zip; rename RoiSet.zip to IMAGE.roi.zip",
    )
    assert "1 images with 1 objects" in out[1]
    with pytest.raises(SystemExit):
        main(["import", str(tmp_path / "x" / "b"), "--out", str(tmp_path / "b.zip")])
    assert "such as RoiSet.zip; rename RoiSet.zip to IMAGE.roi.zip\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("one", "other"),
    [("a.roi.zip", "a.zip"), ("a.roi", "a.zip"), ("a.zip", "rois/a/1.roi"), ("rois/a/1.zip", "rois/a/2.zip")],
)
def test_two_files_of_rois_of_one_image_are_refused_and_not_added_up(tmp_path, capsys, one, other):
    content = ImagejRoi.frompoints([[4, 4], [14, 4], [14, 14]]).tobytes()
    png(tmp_path / "x" / "a.png", IMAGES["cell_0"][0])
    for file in (tmp_path / "x" / one, tmp_path / "x" / other):
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".zip":
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr("1.roi", content)
        else:
            file.write_bytes(content)
    with pytest.raises(SystemExit):
        main(["import", str(tmp_path / "x"), "--out", str(tmp_path / "a.zip")])
    names = f"{one} and {other}"
    assert f"{tmp_path}/x/a.png: has two files of objects, {names}; keep one\n" in capsys.readouterr().err


def test_of_a_mask_and_a_geojson_of_one_image_the_mask_is_taken_and_the_other_named(tmp_path, capsys):
    make_beside(tmp_path / "x", "_masks")
    (tmp_path / "x" / "cell_0.geojson").write_text("[]")
    _, out, _ = lines_of(capsys, tmp_path / "x", "--out", tmp_path / "a.zip")
    assert " with 28 objects" in out[1]
    reason = "files not looked at, as another one of their image was taken"
    assert out[1].endswith(f"; left out: 1 {reason}, such as cell_0.geojson")


@pytest.mark.parametrize(("form", "other", "objects"), [("geojson", "a_mask.png", 0), ("masks", "a.geojson", 4)])
def test_the_form_that_from_names_is_taken_and_files_of_others_are_named(tmp_path, capsys, form, other, objects):
    for name, pixels in zip(("a", "a_mask"), IMAGES["cell_0"], strict=True):
        png(tmp_path / "x" / f"{name}.png", pixels.astype(np.uint8))
    (tmp_path / "x" / "a.geojson").write_text("[]")
    status, out, _ = lines_of(capsys, tmp_path / "x", "--from", form, "--out", tmp_path / "a.zip")
    assert (status, f" with {objects} objects" in out[1]) == (0, True)
    assert out[1].endswith(f"; left out: 1 files not looked at, as --from names another form, such as {other}")


def test_groups_and_sources_are_kept_of_names_in_capitals_and_only_of_images_that_are_imported(tmp_path):
    for name in ("Cell_A", "broken"):
        png(tmp_path / "x" / f"{name}.png", IMAGES["cell_0"][0])
        png(tmp_path / "x" / f"{name}_mask.png", IMAGES["cell_0"][1].astype(np.uint16))
    (tmp_path / "x" / "broken_mask.png").write_bytes(b"")
    (tmp_path / "x" / "groups.csv").write_text("id,patient\nCell_A,p1\nbroken,p2\n")
    (tmp_path / "x" / "sources.csv").write_text("id,source\nbroken,lab\n")
    assert main(["import", str(tmp_path / "x"), "--out", str(tmp_path / "a.zip")]) == 1
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    assert read_csv(tmp_path / "unpacked" / "groups.csv") == [{"id": "Cell_A", "patient": "p1"}]
    assert read_csv(tmp_path / "unpacked" / "sources.csv") == [{"id": "Cell_A", "source": "x"}]
