import cv2
import numpy as np
import pytest
import tifffile

from unetseg.errors import InputError
from unetseg.images.inputs import find_inputs


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
    return [source.name for source in find_inputs([str(word) for word in words], out)]


def test_a_folder_is_searched_through_and_clutter_left_out(folder):
    assert names([folder], folder.parent / "out") == ["a", "b/c", "b/d/e"]


def test_the_masks_of_a_sample_are_no_images_unless_a_pattern_names_them(tmp_path):
    for name in ("ab/images/ab.png", "ab/masks/1.png", "masks/2.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / name), np.zeros((9, 9), np.uint8))
    assert names([tmp_path], tmp_path / "out") == ["ab/images/ab", "masks/2"]
    assert names([tmp_path / "*/masks/*.png"], tmp_path / "out") == ["ab/masks/1"]


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


def test_images_of_two_folders_with_one_name_are_refused(folder):
    other = folder.parent / "other"
    other.mkdir()
    cv2.imwrite(str(other / "a.png"), np.zeros((9, 9), np.uint8))
    with pytest.raises(InputError, match=r"images/a\.png and .*other/a\.png"):
        names([folder, other], folder.parent / "out")


def test_each_plane_of_a_stack_is_an_image(folder):
    tifffile.imwrite(folder / "b/d/e.tif", np.zeros((3, 9, 9), np.uint16), photometric="minisblack")
    found = find_inputs([str(folder / "b/d/e.tif")], folder.parent / "out")
    assert [(source.image, source.plane, source.name) for source in found] == [
        ("e.tif", 0, "e_0000"),
        ("e.tif", 1, "e_0001"),
        ("e.tif", 2, "e_0002"),
    ]


def test_a_broken_tiff_is_left_for_its_turn(folder):
    (folder / "b/d/e.tif").write_bytes(b"II*\0broken")
    assert names([folder], folder.parent / "out") == ["a", "b/c", "b/d/e"]


@pytest.mark.parametrize("word", ["missing.png", "missing/", "*.png", "empty"])
def test_a_word_that_names_no_image_is_told(tmp_path, word, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"no image found"):
        names([word], tmp_path / "out")
