import pytest

from unetseg.dataset.layout import find_layout

SAMPLE = ["ab/images/ab.png", "ab/masks/1.png"]


@pytest.mark.parametrize("root", ["", "stage1_train/", "a/b/c/", "masks/"])
def test_samples_stand_at_the_root_or_under_one_folder(root):
    found = find_layout(root + name for name in SAMPLE)
    assert found.paths == {name: root + name for name in SAMPLE}
    assert found.ids == ["ab"]
    assert found.faults == []


def test_folders_have_entries_of_their_own_or_none():
    found = find_layout(["t/", "t/ab/", "t/ab/images/", "t/ab/masks/", *(f"t/{name}" for name in SAMPLE)])
    assert found.ids == ["ab"]
    assert [path for path in found.paths if path.endswith("/")] == ["ab/images/", "ab/masks/"]
    assert found.left_out == []


def test_ids_are_sorted_and_come_from_images_and_masks():
    assert find_layout(["b/images/1.png", "c/masks/1.png", "a/images/", "d/notes.txt", "groups.csv"]).ids == [
        "a",
        "b",
        "c",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "__MACOSX/ab/images/x.png",
        "ab/images/.DS_Store",
        "ab/masks/THUMBS.DB",
        "._ab",
        "desktop.ini",
        "ab/masks/.gitkeep",
        "ab/images/.ipynb_checkpoints/ab.png",
    ],
)
def test_clutter_is_neither_kept_nor_counted(name):
    found = find_layout([*SAMPLE, name])
    assert list(found.paths) == SAMPLE
    assert found.left_out == []


def test_what_is_like_clutter_only_in_part_is_kept():
    names = ["ab/images/my.DS_Store.png", "ab/masks/1._2.png", "ab/masks/__MACOSX"]
    assert list(find_layout(names).paths) == names


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("ab/masks/sub/1.png", "is in a folder where a file should be"),
        ("ab/images/ab.png/", "is in a folder where a file should be"),
        ("cd/images", "is a file where a folder should be"),
    ],
)
def test_what_is_in_the_way_of_a_sample_is_told(name, rule):
    assert find_layout([*SAMPLE, name]).faults == [(name, rule)]


def test_one_name_twice_is_left_to_the_rules_on_members():
    assert find_layout([*SAMPLE, *SAMPLE]).faults == []


@pytest.mark.parametrize("names", [[], ["images/1.png"], ["ab/ab.png"], ["ab/Images/1.png"]])
def test_an_archive_without_samples_is_told_what_is_wanted(names):
    [(name, rule)] = find_layout(names).faults
    assert name is None
    assert rule.startswith("no sample found: expected <id>/images/<image>")
    assert (f"it holds {names[0]!r}" if names else "it holds nothing") in rule
    assert rule.endswith("unetseg import {archive} --out my.zip")


def test_images_and_masks_in_two_folders_for_all_are_told_with_what_to_run():
    names = [f"data/{kind}/{number}.png" for kind in ("images", "masks") for number in range(4)]
    [(name, rule)] = find_layout(names).faults
    assert name is None
    assert rule.startswith("4 images stand in 1 folders: expected <id>/images/<image>")
    assert rule.endswith("unetseg import {archive} --out my.zip")


def test_one_sample_with_two_images_is_left_to_the_reader_of_samples():
    names = [f"{number}/{kind}/0.png" for kind in ("images", "masks") for number in range(4)]
    assert find_layout([*names, "0/images/1.png"]).faults == []
