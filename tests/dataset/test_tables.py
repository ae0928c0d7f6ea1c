import json

import numpy as np
import pytest
from forms import png

from unetseg.dataset.forms import find_items
from unetseg.errors import InputError

IMAGE = np.arange(64, dtype=np.uint8).reshape(8, 8)


def coco(path, *names):
    """Write a table whose entries hold a square each, of a side that grows from entry to entry."""
    images, annotations = [], []
    for side, name in enumerate(names, 2):
        images.append({"id": side, "file_name": name, "height": 8, "width": 8})
        annotations.append({"image_id": side, "segmentation": [[0, 0, side, 0, side, side, 0, side]]})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    return path


def bowl(path, *names):
    path.write_text("\n".join(["ImageId,EncodedPixels", *(f"{name},1 2" for name in names)]) + "\n")
    return path


def joined(found, root):
    """Say which file each sample is, and the area of its object."""
    areas = {item.name: item.read(8, 8).regions[0].mask.sum() for item in found.items}
    return {item.name: (item.image.relative_to(root).as_posix(), areas[item.name]) for item in found.items}


@pytest.mark.parametrize(("write", "suffix"), [(coco, "json"), (bowl, "csv")])
def test_of_a_table_that_is_named_no_other_table_is_read(tmp_path, write, suffix):
    for name in "abcd":
        png(tmp_path / f"{name}.png", IMAGE)
    train = write(tmp_path / f"train.{suffix}", "a.png", "b.png")
    write(tmp_path / f"val.{suffix}", "c.png", "d.png")
    found = find_items(train)
    assert ([item.name for item in found.items], found.problems) == (["a", "b"], [])
    assert found.left_out == {"images that no table names, such as c.png, d.png": 2}
    assert len(find_items(tmp_path).items) == 4


@pytest.mark.parametrize("name", ["notes.txt", "other.7z", "x.png", "x.geojson", "groups.csv"])
def test_a_file_that_is_no_table_and_no_archive_is_refused_with_the_folder_to_name(tmp_path, name):
    png(tmp_path / "x.png", IMAGE)
    png(tmp_path / "x_mask.png", IMAGE * 0)
    if name != "x.png":
        (tmp_path / name).write_text('{"type": "FeatureCollection"}')
    with pytest.raises(InputError) as error:
        find_items(tmp_path / name)
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"{tmp_path / name}: is neither a COCO or run-length file")
    assert line.endswith(f"name their folder, {tmp_path}")


def test_a_form_that_a_named_table_does_not_have_is_refused(tmp_path):
    png(tmp_path / "x.png", IMAGE)
    png(tmp_path / "x_mask.png", IMAGE * 0)
    with pytest.raises(InputError, match=r"c\.json: nothing there of the form masks"):
        find_items(coco(tmp_path / "c.json", "x.png"), "masks")


def test_an_entry_gets_the_file_at_its_path_and_samples_of_one_stem_are_named_after_their_paths(tmp_path):
    for part in ("train", "test"):
        png(tmp_path / part / "x.png", IMAGE)
    found = find_items(coco(tmp_path / "c.json", "train/x.png", "test\\x.png"))
    assert joined(found, tmp_path) == {"train_x": ("train/x.png", 4), "test_x": ("test/x.png", 9)}
    assert found.problems == []


def test_an_entry_never_gets_a_file_that_another_entry_names(tmp_path):
    png(tmp_path / "test" / "x.png", IMAGE)
    table = coco(tmp_path / "c.json", "train/x.png", "test/x.png")
    found = find_items(table)
    assert joined(found, tmp_path) == {"x": ("test/x.png", 9)}
    assert found.problems == [f"{table}: train/x.png: there is no file of its name in or below {tmp_path}"]


def test_a_path_may_start_at_the_tables_own_folder_or_at_the_one_that_is_imported(tmp_path):
    for name in ("ann/x.png", "y.png", "raw/z.png"):
        png(tmp_path / name, IMAGE)
    coco(tmp_path / "ann" / "c.json", "x.png", "../y.png", "raw/z.png")
    assert joined(find_items(tmp_path), tmp_path) == {
        "x": ("ann/x.png", 4), "y": ("y.png", 9), "z": ("raw/z.png", 16),
    }  # fmt: skip


def test_a_name_alone_is_enough_where_one_file_and_one_entry_have_it(tmp_path):
    for name in ("data/a.png", "data/b.png", "more/b.png", "data/c.tif", "data/d.png"):
        png(tmp_path / name, IMAGE)
    table = coco(tmp_path / "c.json", "/else/where/a.png", "b.png", "c.jpg", "1/d.png", "2/d.png")
    found = find_items(table)
    assert joined(found, tmp_path) == {"a": ("data/a.png", 4), "c": ("data/c.tif", 16)}
    both = f"{tmp_path}/data/b.png and {tmp_path}/more/b.png"
    assert found.problems == [
        f"{table}: b.png: 2 files have its name, such as {both}",
        f"{table}: 1/d.png: {tmp_path}/data/d.png may be its file or that of 2/d.png in {table}; keep one of the two",
        f"{table}: 2/d.png: {tmp_path}/data/d.png may be its file or that of 1/d.png in {table}; keep one of the two",
    ]


@pytest.mark.parametrize("write", [coco, bowl])
@pytest.mark.parametrize("place", ["masks", "label_masks/plate", "gt"])
def test_a_mask_is_no_image_of_an_entry_whose_image_is_missing(tmp_path, write, place):
    for name in ("images/a.tif", f"{place}/a.png", f"{place}/b.png"):
        png(tmp_path / name, IMAGE)
    table = write(tmp_path / "table", "a.jpg", "b.jpg")
    table = table.rename(tmp_path / f"t.{'json' if write == coco else 'csv'}")
    found = find_items(tmp_path)
    assert [item.image.name for item in found.items] == ["a.tif"]
    told = f"there is no file of its name but {tmp_path}/{place}/b.png, in a folder of objects"
    assert found.problems == [f"{table}: b.jpg: {told}"]
    assert list(found.left_out.values()) == [2]
    assert next(iter(found.left_out)).endswith(f"were taken, such as {place}/a.png, {place}/b.png")


def test_what_a_table_does_not_name_is_told(tmp_path):
    for name in ("a.png", "b.png", "masks/b.png"):
        png(tmp_path / name, IMAGE)
    for name in ("c.webp", "e.gif", "notes.txt", "b.geojson"):
        (tmp_path / name).touch()
    table = coco(tmp_path / "t.json", "a.png", "c.webp")
    found = find_items(tmp_path)
    assert found.problems == [
        f"{table}: c.webp: {tmp_path}/c.webp is of a format that is not read",
        f"{tmp_path}: 2 files are of a format that is not read, such as c.webp, e.gif",
    ]
    assert found.left_out == {
        "images that no table names, such as b.png": 1,
        "files not looked at, as COCO instances were taken, such as b.geojson, masks/b.png": 2,
        "files of no known form, such as notes.txt": 1,
    }


@pytest.mark.parametrize("names", [["gt/a.jpg", "b.jpg"], ["a.png", "b.png"]])
def test_an_entry_may_name_an_image_in_a_folder_that_is_named_after_objects(tmp_path, names):
    for name in ("gt/a.png", "gt/b.png"):
        png(tmp_path / name, IMAGE)
    coco(tmp_path / "gt" / "c.json", *names)
    assert [item.image.name for item in find_items(tmp_path).items] == ["a.png", "b.png"]


def test_only_the_suffix_of_an_image_is_taken_from_a_name(tmp_path):
    for name in ("slide.png", "other.v2.png"):
        png(tmp_path / name, IMAGE)
    table = bowl(tmp_path / "r.csv", "slide.1", "other.v2", "x" * 300, "\0/y.png")
    found = find_items(table)
    assert [item.image.name for item in found.items] == ["other.v2.png"]
    assert found.problems[0] == f"{table}: slide.1: there is no file of its name in or below {tmp_path}"
    assert len(found.problems) == 3


def test_a_table_that_cannot_be_read_is_named_and_the_pairs_beside_it_are_found(tmp_path):
    png(tmp_path / "x.png", IMAGE)
    png(tmp_path / "x_mask.png", IMAGE * 0)
    (tmp_path / "old.json").write_text('{"images": [')
    found = find_items(tmp_path)
    assert [item.name for item in found.items] == ["x"]
    assert [line.split(" (")[0] for line in found.problems] == [f"{tmp_path}/old.json: is not JSON"]


def test_an_entry_whose_folder_lacks_its_file_gets_no_file_of_another_folder(tmp_path):
    for name in ("train/a.png", "test/b.png", "test/c.tif"):
        png(tmp_path / name, IMAGE)
    table = coco(tmp_path / "train.json", "train/a.png", "train/b.png", "train/c.png")
    found = find_items(table)
    assert joined(found, tmp_path) == {"a": ("train/a.png", 4)}
    told = "there is no file of its name in a folder train"
    assert found.problems == [f"{table}: train/{name}.png: {told}" for name in "bc"]


def test_an_entry_of_a_table_beside_its_images_gets_no_file_of_another_set(tmp_path):
    for name in ("train/a.png", "train/b.png", "valid/c.png", "valid/sub/d.png"):
        png(tmp_path / name, IMAGE)
    coco(tmp_path / "train" / "_annotations.coco.json", "a.png")
    table = coco(tmp_path / "valid" / "_annotations.coco.json", "c.png", "b.png", "d.png")
    found = find_items(tmp_path)
    assert set(joined(found, tmp_path)) == {"a", "c", "d"}
    where = f"in or below {tmp_path}/valid, where others of this table are"
    assert found.problems == [f"{table}: b.png: there is no file of its name {where}"]


def test_an_entry_gets_the_one_file_whose_path_ends_as_it_says(tmp_path):
    for name in ("images/w0/a.png", "images/w1/a.png", "images/w0/b.png", "images/w0/sub/a.png"):
        png(tmp_path / name, IMAGE)
    coco(tmp_path / "ann" / "c.json", "w0/a.png", "w1\\a.jpg", "w0/b.png")
    found = find_items(tmp_path)
    files = {"w0_a": ("images/w0/a.png", 4), "w1_a": ("images/w1/a.png", 9), "b": ("images/w0/b.png", 16)}
    assert (joined(found, tmp_path)) == files
    assert found.problems == []


def test_an_entry_whose_folder_lies_deeper_gets_no_file_of_the_same_name_elsewhere(tmp_path):
    for name in ("images/w1/f.png", "images/w0/g.png"):
        png(tmp_path / name, IMAGE)
    table = coco(tmp_path / "ann" / "c.json", "w0/f.png", "w0/g.png")
    found = find_items(tmp_path)
    assert joined(found, tmp_path) == {"g": ("images/w0/g.png", 9)}
    assert found.problems == [f"{table}: w0/f.png: there is no file of its name in a folder w0"]
