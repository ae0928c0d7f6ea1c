"""Every form of images and objects, made of the same eight images, against what the archive then holds."""

import json
import shutil
import tarfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from labelled import strip_of
from roifile import ImagejRoi

from unetseg.annotations.about import About
from unetseg.annotations.formats import FORMATS
from unetseg.annotations.runs import bowl_text, find_runs
from unetseg.cli import main
from unetseg.dataset.samples import read_sample
from unetseg.files import read_csv, sha256
from unetseg.images.inputs import Input
from unetseg.images.opening import read_image

COUNT, SIDE = 8, 40


def image_and_labels(number):
    """Make an image with touching, pierced and lone objects, and their numbers; the last image has none."""
    rng = np.random.default_rng(number)
    labels = np.zeros((SIDE, SIDE + number), np.int32)
    if number < COUNT - 1:
        labels[2:14, 3:12] = 1
        labels[2:14, 12:20] = 2
        labels[20:34, 5:20] = 3
        labels[24:28, 9:14] = 0
        cv2.circle(labels, (30, 28), 3 + number % 5, 4, -1)
    image = rng.integers(0, 60, labels.shape, np.uint8)
    image[labels > 0] += 120
    return image, labels


IMAGES = {f"cell_{number}": image_and_labels(number) for number in range(COUNT)}


def png(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)
    return path


def each_object(labels):
    return [(number, labels == number) for number in range(1, labels.max() + 1)]


def written(kind, path, image, labels):
    """Write objects with the project's own writer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FORMATS[kind].write(path, About(Input(image, image.name, None, image.stem), *labels.shape, 0.5, 1)) as add:
        add(strip_of(labels))


def make_layout(root):
    for name, (image, labels) in IMAGES.items():
        png(root / name / "images" / f"{name}.png", image)
        for number, mask in each_object(labels) or [(0, labels > 0)]:
            png(root / name / "masks" / f"{number}.png", mask * np.uint8(255))
    return root


def make_flat(root, folder="masks", suffix=".png"):
    for name, (image, labels) in IMAGES.items():
        png(root / "images" / f"{name}{suffix}", image)
        png(root / folder / f"{name}{suffix}", labels.astype(np.uint16))
    return root


def make_beside(root, mark="_label", suffix=".tif"):
    for name, (image, labels) in IMAGES.items():
        png(root / f"{name}{suffix}", image)
        png(root / f"{name}{mark}{suffix}", labels.astype(np.uint16))
    return root


def make_stardist(root):
    for number, (name, (image, labels)) in enumerate(IMAGES.items()):
        part = "train" if number < 6 else "test"
        for folder, pixels in (("images", image), ("masks", labels.astype(np.uint16))):
            png(root / part / folder / f"{name}.tif", pixels)
    return root


def make_by_writer(kind):
    def make(root):
        for name, (image, labels) in IMAGES.items():
            written(kind, root / f"{name}{FORMATS[kind].name}", png(root / f"{name}.png", image), labels)
        return root

    return make


def make_single_rois(root):
    for name, (image, labels) in IMAGES.items():
        png(root / "images" / f"{name}.png", image)
        written("roi", root / "all" / f"{name}.zip", root / f"{name}.png", labels)
        with zipfile.ZipFile(root / "all" / f"{name}.zip") as archive:
            archive.extractall(root / "rois" / name)
        if not labels.any():
            (root / "rois" / f"{name}.zip").write_bytes((root / "all" / f"{name}.zip").read_bytes())
    shutil.rmtree(root / "all")
    return root


def make_labelme(root):
    for name, (image, labels) in IMAGES.items():
        written("labelme", root / f"{name}.json", png(root / f"{name}.png", image), labels)
    return root


def make_coco(polygons):
    def make(root):
        images, annotations = [], []
        for number, (name, (image, labels)) in enumerate(IMAGES.items()):
            png(root / "data" / f"{name}.png", image)
            size = dict(zip(("height", "width"), labels.shape, strict=True))
            images.append({"id": number, "file_name": f"{name}.png", **size})
            for _, mask in each_object(labels):
                annotations.append({"image_id": number, "segmentation": polygon(mask) if polygons else rle(mask)})
        (root / "instances.json").write_text(json.dumps({"images": images, "annotations": annotations}))
        return root

    return make


def polygon(mask):
    """Outline an object through the centres of its outermost pixels, as OpenCV and many tools do; holes are lost."""
    return [contour.ravel().tolist() for contour in contours(mask)]


def contours(mask):
    return cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]


def rle(mask):
    from unetseg.annotations.coco import coco_counts

    return {"size": list(mask.shape), "counts": coco_counts(*find_runs(mask, 0, 0, len(mask)), mask.size)}


def make_rle(root):
    rows = ["ImageId,EncodedPixels"]
    for name, (image, labels) in IMAGES.items():
        png(root / "stage1_train" / f"{name}.png", image)
        texts = [bowl_text(*find_runs(mask, 0, 0, len(mask))) for _, mask in each_object(labels)]
        rows += [f"{name},{text}" for text in texts or [""]]
    (root / "stage1_train_labels.csv").write_text("\n".join(rows) + "\n")
    return root


def make_predictions(root):
    listed = []
    for name, (image, labels) in IMAGES.items():
        source = png(root / "raw" / f"{name}.png", image)
        written("labels", root / "out" / f"{name}.labels.tif", source, labels)
        listed.append({"image": name, "path": f"../raw/{name}.png", "plane": None})
    (root / "out" / "predict.json").write_text(json.dumps({"images": listed}))
    return root / "out"


def make_zip(root):
    make_layout(root / "data")
    return Path(shutil.make_archive(str(root / "packed"), "zip", root / "data"))


def make_nested_zip(root):
    make_zip(root)
    with zipfile.ZipFile(root / "outer.zip", "w") as archive:
        archive.write(root / "packed.zip", "packed.zip")
    return root / "outer.zip"


def make_tar(root):
    make_layout(root / "data")
    with tarfile.open(root / "packed.tar.gz", "w:gz") as archive:
        archive.add(root / "data", "data")
    return root / "packed.tar.gz"


FORMS = {
    "layout, a folder": make_layout,
    "layout, a zip": make_zip,
    "layout, a zip in a zip": make_nested_zip,
    "layout, a .tar.gz": make_tar,
    "images/ + masks/": make_flat,
    "images/ + labels/": lambda root: make_flat(root, "labels", ".tif"),
    "x.tif + x_label.tif": make_beside,
    "x.png + x_mask.png": lambda root: make_beside(root, "_mask", ".png"),
    "Cellpose, x.tif + x_masks.tif": lambda root: make_beside(root, "_masks"),
    "Cellpose, x.png + x_cp_masks.png": lambda root: make_beside(root, "_cp_masks", ".png"),
    "StarDist, train/ and test/": make_stardist,
    "ImageJ ROI zips": make_by_writer("roi"),
    "ImageJ .roi files": make_single_rois,
    "QuPath GeoJSON": make_by_writer("geojson"),
    "LabelMe": make_labelme,
    "COCO, run lengths": make_coco(False),
    "Data Science Bowl CSV": make_rle,
    "unetseg predict": make_predictions,
}
OUTLINED = {"COCO, polygons through pixel centres": make_coco(True)}


def imported(folder, source, *options):
    """Import, unpack, and read every sample."""
    words = [source] if isinstance(source, Path) else source
    assert main(["import", *map(str, words), "--out", str(folder / "a.zip"), *options]) == 0
    with zipfile.ZipFile(folder / "a.zip") as archive:
        archive.extractall(folder / "unpacked")
    places = [path for path in sorted((folder / "unpacked").iterdir()) if path.is_dir()]
    return {path.name: read_sample(path) for path in places}


def differing(sample, labels):
    """Count the pixels that are not in the object that they were in, whatever the objects' numbers."""
    pairs = np.unique(np.stack([sample.labels.ravel(), labels.ravel()]), axis=1)
    matched = len(pairs[0]) == len(np.unique(sample.labels)) == len(np.unique(labels))
    return 0 if matched else int(np.count_nonzero((sample.labels > 0) != (labels > 0)))


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
    (tmp_path / "plate" / "notes.txt").write_text("")
    (tmp_path / "plate" / ".DS_Store").write_text("")
    status, out, err = lines_of(capsys, tmp_path / "plate", "--out", tmp_path / "a.zip")
    assert (status, err) == (0, [])
    assert out[0] == f"{tmp_path}/plate: images with masks or label images"
    assert out[1].startswith(f"{tmp_path}/a.zip: 8 images with 28 objects (")
    assert out[1].endswith("left out: 1 files of no known form; 1 images without objects' files")


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


def test_several_sources_are_merged_with_where_each_image_came_from_and_their_groups(tmp_path, capsys):
    make_layout(tmp_path / "first")
    (tmp_path / "first" / "groups.csv").write_text("id,patient\n" + "".join(f"{name},p1\n" for name in IMAGES))
    for name in ("cell_7", "cell_e\u0301"):  # the second in Unicode's decomposed form
        image, labels = IMAGES["cell_1"]
        png(tmp_path / "second" / "images" / f"{name}.png", image)
        png(tmp_path / "second" / "masks" / f"{name}.png", labels.astype(np.uint16))
    status, out, err = lines_of(capsys, tmp_path / "first", tmp_path / "second", "--out", tmp_path / "a.zip")
    assert status == 1
    assert err == [f"{tmp_path}/second: 'cell_7' is the name of an image of {tmp_path}/first too; rename one"]
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


def seal(out):
    """Note the hashes of what was written, as `unetseg predict` does."""
    for name in IMAGES:
        files = {"labels": sha256(out / f"{name}.labels.tif")}
        (out / ".unetseg").mkdir(exist_ok=True)
        (out / ".unetseg" / f"{name}.json").write_text(json.dumps({"key": "", "files": files}))


def test_only_images_whose_objects_were_edited_are_taken_back_from_predictions(tmp_path, capsys):
    out = make_predictions(tmp_path)
    seal(out)
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


def test_two_files_that_were_edited_are_told_apart_by_the_user(tmp_path, capsys):
    out = make_predictions(tmp_path)
    seal(out)
    for name in ("cell_0", "cell_1"):
        tifffile.imwrite(out / f"{name}.labels.tif", (IMAGES[name][1] == 1).astype(np.uint16))
    (out / "cell_0.geojson").write_text("[]")
    status, _, err = lines_of(capsys, out, "--only-changed", "--out", tmp_path / "a.zip")
    assert status == 1
    assert err[0] == f"{out}: cell_0: labels and geojson were changed; keep one of them"
