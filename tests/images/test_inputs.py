import json
import os
from pathlib import Path

import cv2
import fsspec
import numpy as np
import pytest
import tifffile

from unetseg.errors import InputError
from unetseg.images.inputs import find_inputs
from unetseg.images.names import as_text, from_text


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b/c.JPG", "b/d/e.tif", "notes.txt", ".hidden.png", "__MACOSX/a.png"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".txt":
            path.write_text("no image")
        else:
            cv2.imwrite(str(path), np.zeros((9, 9), np.uint8))
    return tmp_path / "images"


def names(words, out):
    return [source.name for source in find_inputs([str(word) for word in words], out).images]


def test_a_folder_is_searched_through_and_clutter_left_out(folder):
    assert names([folder], folder.parent / "out") == ["a", "b/c", "b/d/e"]


def test_the_masks_of_a_sample_are_no_images_unless_a_pattern_names_them(tmp_path):
    for name in ("ab/images/ab.png", "ab/masks/1.png", "masks/2.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / name), np.zeros((9, 9), np.uint8))
    assert names([tmp_path], tmp_path / "out") == ["ab/images/ab", "masks/2"]
    assert names([tmp_path / "*/masks/*.png"], tmp_path / "out") == ["ab/masks/1"]


def test_what_is_no_regular_file_is_told_as_such_and_the_others_are_found(folder):
    os.mkfifo(folder / "pipe.png")
    found = find_inputs([str(folder / "pipe.png"), str(folder / "a.png")], folder.parent / "out")
    assert found.failed == [f"{folder / 'pipe.png'}: is no regular file"]
    assert [source.name for source in found.images] == ["a"]


def test_a_file_is_named_after_itself_whatever_its_suffix(folder):
    (folder / "notes.txt").rename(folder / "notes.dat")
    assert names([folder / "b/d/e.tif", folder / "notes.dat"], folder.parent / "out") == ["e", "notes"]


def test_names_of_a_pattern_start_at_its_first_open_part(folder):
    assert names([folder / "b/**/*.tif"], folder.parent / "out") == ["d/e"]
    assert names([folder / "*/*.JPG"], folder.parent / "out") == ["b/c"]


def test_results_of_an_earlier_run_are_no_images(folder):
    assert names([folder], folder / "b") == ["a"]


def test_images_in_the_folder_of_results_or_below_it_are_images_all_the_same(folder):
    assert names([folder], folder) == names([folder], folder.parent) == ["a", "b/c", "b/d/e"]
    assert names([folder / "a.png"], folder) == ["a"]


def test_a_file_named_twice_is_predicted_once(folder):
    assert names([folder, folder / "*.png"], folder.parent / "out") == ["a", "b/c", "b/d/e"]


def test_images_that_differ_in_their_suffix_alone_keep_it(folder):
    cv2.imwrite(str(folder / "a.bmp"), np.zeros((9, 9), np.uint8))
    assert names([folder], folder.parent / "out") == ["a.bmp", "a.png", "b/c", "b/d/e"]


def test_images_of_two_folders_with_one_name_are_refused_and_the_others_are_found(folder):
    other = folder.parent / "other"
    other.mkdir()
    cv2.imwrite(str(other / "a.png"), np.zeros((9, 9), np.uint8))
    found = find_inputs([str(folder), str(other)], folder.parent / "out")
    assert [each.name for each in found.images] == ["b/c", "b/d/e"]
    (line,) = found.failed
    assert line.endswith("both would be written to 'a.png'; predict them into two folders")
    assert str(other / "a.png") in line
    assert str(found) == "files found: 6, to predict: 2; left out: 1 hidden, 1 .txt; cannot be used: 2"


def test_a_file_that_two_paths_lead_to_is_predicted_once(folder):
    assert names([folder / "a.png", folder / "b" / ".." / "a.png"], folder.parent / "out") == ["a"]


def test_the_mask_of_an_ome_tiff_is_no_image(folder):
    for name in ("x.ome.tif", "x_mask.ome.tif", "y.ome.tif", "y_labels.tif"):
        tifffile.imwrite(folder / "b" / "d" / name, np.zeros((9, 9), np.uint16), photometric="minisblack")
    assert names([folder / "b" / "d"], folder.parent / "out") == ["e", "x.ome", "y.ome"]


def test_each_plane_of_a_stack_is_an_image(folder):
    tifffile.imwrite(folder / "b/d/e.tif", np.zeros((3, 9, 9), np.uint16), photometric="minisblack")
    found = find_inputs([str(folder / "b/d/e.tif")], folder.parent / "out").images
    assert [(source.image, source.plane, source.name) for source in found] == [
        ("e.tif", 0, "e_0000"),
        ("e.tif", 1, "e_0001"),
        ("e.tif", 2, "e_0002"),
    ]


def test_a_stack_is_known_by_its_content_whatever_it_is_named(folder):
    tifffile.imwrite(folder / "b/c.JPG", np.zeros((2, 9, 9), np.uint16), photometric="minisblack")
    assert names([folder], folder.parent / "out") == ["a", "b/c_0000", "b/c_0001", "b/d/e"]


def test_a_broken_tiff_is_left_for_its_turn(folder):
    (folder / "b/d/e.tif").write_bytes(b"II*\0broken")
    assert names([folder], folder.parent / "out") == ["a", "b/c", "b/d/e"]


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("missing.png", "no such file or folder"),
        ("missing/", "no such file or folder"),
        ("*.png", "no image found"),
        ("empty", "no image found"),
    ],
)
def test_a_word_that_names_no_image_is_told(tmp_path, word, told, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=told):
        names([word], tmp_path / "out")


def put(*names):
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite("x.png", np.zeros((9, 9), np.uint8))
        Path("x.png").rename(path)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def search(*words, results=()):
    return find_inputs(words, Path("out"), earlier=lambda _: results)


def test_a_path_that_exists_is_never_a_pattern():
    put("[DAPI] plate/a.png", "[DAPI] plate/[b].png", "D plate/c.png", "[x]/y/d.png")
    assert [each.name for each in search("[DAPI] plate").images] == ["[b]", "a"]
    assert [each.name for each in search("[DAPI] plate/[b].png").images] == ["[b]"]
    assert [each.name for each in search("[DAPI] plate/*.png").images] == ["[b]", "a"]
    assert [each.name for each in search("[x]/**/*.png").images] == ["y/d"]


def test_folders_behind_links_are_searched_each_once_and_loops_end(here):
    put("in/a.png", "elsewhere/b.png", "elsewhere/deep/c.png")
    Path("in/linked").symlink_to(here / "elsewhere")
    Path("in/again").symlink_to(here / "elsewhere/deep")
    Path("in/loop").symlink_to(here / "in")
    found = search("in")
    assert len(found.images) == 3
    assert found.left_out["link to a folder that was searched"] == 2
    assert {each.path.name for each in search("in/**/*.png").images} == {"a.png", "b.png", "c.png"}


def test_a_link_that_leads_nowhere_is_a_failure():
    put("in/a.png")
    Path("in/b.png").symlink_to("missing.png")
    Path("in/c").symlink_to("c")
    found = search("in")
    assert [each.name for each in found.images] == ["a"]
    assert found.failed == [
        "in/b.png: cannot be read: it is a link to a file that is not there",
        "in/c: cannot be read: Too many levels of symbolic links",
    ]
    Path("in/a.png").unlink()
    assert not search("in").images


def test_a_folder_that_cannot_be_read_is_a_failure(monkeypatch):
    put("in/a.png", "in/sub/b.png")
    listed = Path.iterdir

    def iterdir(self):
        if self.name == "sub":
            raise PermissionError(13, "Permission denied", str(self))
        return listed(self)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    found = search("in")
    assert [each.name for each in found.images] == ["a"]
    assert found.failed == ["in/sub: cannot be read: Permission denied"]


@pytest.mark.parametrize("folders", [("images", "labels"), ("Raw", "ground_truth"), ("t/tiles", "t/tiles_masks")])
def test_a_folder_of_masks_beside_that_of_its_images_is_left_out_if_its_images_are_searched(folders):
    for folder in folders:
        put(f"in/{folder}/a.png", f"in/{folder}/b.png")
    found = search("in")
    assert [each.name for each in found.images] == [f"{folders[0]}/{name}" for name in "ab"]
    assert found.left_out == {"masks of images": 2}


def test_a_folder_called_labels_beside_none_of_images_holds_images():
    put("in/labels/a.png", "in/slides/a.png")
    assert [each.name for each in search("in").images] == ["labels/a", "slides/a"]


def test_what_was_found_used_and_left_out_is_counted_in_one_line():
    put(
        "in/a.png",
        "in/a_masks.tif",
        "in/a_cp_masks.png",
        "in/b_img.tif",
        "in/b_masks.tif",
        "in/.c.png",
        "in/c_labels.png",
        "in/a-lbl.tif",
        "in/a_Object Identities.tiff",
    )
    for name in ("in/a_seg.npy", "in/d.txt", "in/e.TXT", "in/f.vsi\n"):
        Path(name).touch()
    Path("in/h.png").symlink_to("nowhere")
    os.mkfifo("in/g.png")
    found = search("in")
    assert [each.name for each in found.images] == ["a", "b_img", "c_labels"]
    assert found.left_out == {
        "masks of images": 6, "hidden": 1, ".txt": 2, ".vsi\n": 1, "no regular files": 1,
    }  # fmt: skip
    line = str(found)
    assert line.startswith("files found: 15, to predict: 3; left out: 6 masks of images, 2 .txt, ")
    assert r"1 .vsi\n" in line
    assert "\n" not in line


def test_planes_are_counted():
    Path("in").mkdir()
    tifffile.imwrite("in/a.tif", np.zeros((3, 9, 9), np.uint16), photometric="minisblack")
    assert str(search("in")) == "files found: 1, to predict: 1 with 3 planes"


def test_a_name_that_is_not_utf_8_is_escaped():
    put("in/a.png")
    Path("in/a.png").rename(os.fsdecode(b"in/zelle_\xe4.png"))
    (image,) = search("in").images
    assert (image.image, image.name) == ("zelle_%E4.png", "zelle_%E4")
    assert from_text(as_text(image.path.name)) == image.path.name


def test_results_beside_their_images_are_not_predicted_again():
    put("in/a.tif", "in/a.png", "in/b.png")
    found = search("in", results={Path("in/a.png").resolve()})
    assert [each.path.name for each in found.images] == ["a.tif", "b.png"]
    assert found.left_out == {"results of an earlier run": 1}


def test_an_image_in_the_folder_of_results_that_no_run_wrote_is_told():
    put("in/a.png", "in/out/b.png", "in/out/c.png", "in/out/predict.json")
    for word in ("in", "in/**"):
        found = find_inputs([word], Path("in/out"), earlier=lambda _: {Path("in/out/c.png").resolve()})
        assert [each.path.name for each in found.images] == ["a.png"]
        assert found.left_out == {"results of an earlier run": 1, "images in the folder of results": 1}


def test_an_empty_path_is_told():
    put("a.png")
    with pytest.raises(InputError, match="'': is empty"):
        search("")


def test_a_folder_without_images_says_what_it_holds():
    Path("in").mkdir()
    Path("in/a.vsi").touch()
    with pytest.raises(InputError, match=r"in: no image found; .* left out: 1 \.vsi"):
        search("in")


IMAGE = {"multiscales": [{}]}


@pytest.fixture
def plates():
    for group in ("a.zarr", "a.zarr/OME", "plate.zarr", "plate.zarr/A/1"):
        put_zarr(f"p/{group}", {})
    for image in ("a.zarr/0", "plate.zarr/A/1/0"):
        put_zarr(f"p/{image}", IMAGE)


def put_zarr(folder, told):
    Path(folder).mkdir(parents=True, exist_ok=True)
    Path(folder, "zarr.json").write_text(json.dumps({"attributes": {"ome": told}}))


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("p/a.zarr/0", ["0"]),
        ("p/*.zarr/*", ["a/0"]),
        ("p/plate.zarr/*/*/*", ["A/1/0"]),
        ("p", ["a", "plate"]),
        ("p/**", ["a", "plate"]),
        ("p/**/0", []),
        ("p/plate.zarr/**", []),
        ("p/plate.zarr/A", []),
    ],
)
@pytest.mark.parametrize("storage", ["", "memory://"])
@pytest.mark.usefixtures("plates")
def test_an_image_inside_an_ome_zarr_is_taken_where_it_is_named(word, names, storage):
    for path in filter(Path.is_file, Path("p").rglob("*")):
        fsspec.filesystem("memory").pipe(f"/{path}", path.read_bytes())
    if names:
        assert [each.name for each in search(f"{storage}{word}").images] == names
    else:
        with pytest.raises(InputError, match="no image found"):
            search(f"{storage}{word}")


@pytest.mark.usefixtures("plates")
def test_the_present_folder_is_an_image_under_its_own_name(monkeypatch):
    monkeypatch.chdir("p/a.zarr/0")
    assert [each.name for each in search(".").images] == ["0"]
    Path("labels").mkdir()
    assert [each.name for each in search("labels/..").images] == ["0"]


def test_a_part_of_a_result_is_no_image():
    put_zarr("in/a.ome.zarr/labels/objects", IMAGE)
    put_zarr("in/b.ome.zarr/labels/objects", IMAGE)
    found = search("in/*.zarr/labels/*", results={Path("in/a.ome.zarr").resolve()})
    assert [each.name for each in found.images] == ["b.ome/labels/objects"]
    assert found.left_out == {"results of an earlier run": 1}


@pytest.mark.parametrize("text", ["", "[]", "null", '{"attributes": 1}', '{"attributes": {"ome": null}}', "{}"])
def test_a_folder_with_other_metadata_is_searched(text):
    put("in/a.png")
    Path("in/zarr.json").write_text(text)
    assert [each.name for each in search("in").images] == ["a"]


@pytest.mark.parametrize(
    ("word", "count"), [("in", 5), ("in/*.png", 2), ("in/b", 2), ("in/b/c.png", 1), ("in/v.zarr", 1), ("in/**/c.*", 1)]
)
def test_a_url_names_the_images_that_a_path_names(word, count):
    files = ("a.png", "a_masks.png", "b/c.png", "b/.d.png", "b/e.jpg", "m/images/1.png", "m/GT/1.png", "notes.txt")
    put(*(f"in/{name}" for name in files))
    Path("in/v.zarr/0").mkdir(parents=True)
    Path("in/v.zarr/zarr.json").touch()
    memory = fsspec.filesystem("memory")
    for path in filter(Path.is_file, Path("in").rglob("*")):
        memory.pipe(f"/{path}", b"")
    on_disk, by_url = search(word), find_inputs([f"memory://{word}"], Path("out"))
    assert [each.image for each in by_url.images] == [each.image for each in on_disk.images]
    assert [each.path for each in by_url.images] == [f"memory:///{each.path}" for each in on_disk.images]
    assert len(by_url.images) == count


def test_a_url_without_images_or_of_no_storage_is_told():
    for url, told in (("memory://none", "no image found"), ("nowhere://a", "nowhere://a: cannot be used")):
        with pytest.raises(InputError, match=told):
            find_inputs([url], Path("out"))
