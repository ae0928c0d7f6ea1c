import os
import zipfile

import pytest
from values import params

from unetseg.dataset.archive import extract, opened
from unetseg.dataset.listing import check_listed, write_listing
from unetseg.errors import InputError
from unetseg.files import read_csv


@pytest.fixture
def unpacked(tmp_path):
    """Two samples, one of them named like a formula, and their list."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for name in ("=a", "b"):
            for path in ("images/i.png", "masks/0.png", "masks/1.png"):
                file.writestr(f"{name}/{path}", b"content")
    with opened(tmp_path / "a.zip", params().data) as contents:
        extract(contents, tmp_path / "samples")
        write_listing(tmp_path / "list.csv", contents)
    return tmp_path / "samples", tmp_path / "list.csv"


def test_what_was_unpacked_is_as_it_was_listed(unpacked):
    samples, listing = unpacked
    check_listed(samples, listing)
    assert next(row["path"] for row in read_csv(listing)) == "=a/images/i.png"


def test_what_a_file_manager_leaves_is_no_difference(unpacked):
    samples, listing = unpacked
    (samples / "b" / "masks" / ".DS_Store").touch()
    (samples / "b" / "masks" / "@eaDir" / "1.png").mkdir(parents=True)
    check_listed(samples, listing)


def add(samples):
    (samples / "b" / "masks" / "2.png").write_bytes(b"content")


def edit(samples):
    (samples / "b" / "masks" / "1.png").write_bytes(b"CONTENT")


def move_an_older_file_there(samples):
    other = samples.with_name("corrected.png")
    other.write_bytes(b"CONTENT")
    os.utime(other, (1e9, 1e9))
    other.replace(samples / "b" / "masks" / "1.png")


def remove(samples):
    (samples / "b" / "masks" / "0.png").unlink()


def link(samples):
    (samples / "c").symlink_to(samples / "b")


@pytest.mark.parametrize(
    ("change", "told", "count"),
    [
        (add, "b/masks/2.png is not in the archive", 1),
        (edit, "b/masks/1.png was changed", 1),
        (move_an_older_file_there, "b/masks/1.png was changed", 1),
        (remove, "b/masks/0.png is missing", 1),
        (link, "c is not in the archive", 1),
        (lambda samples: [change(samples) for change in (add, edit, remove, link)], "b/masks/0.png is missing", 4),
    ],
)
def test_files_that_were_added_edited_or_removed_are_told_with_what_to_do(unpacked, change, told, count):
    samples, listing = unpacked
    change(samples)
    with pytest.raises(InputError) as caught:
        check_listed(samples, listing)
    counted = f"(differences from {listing}: {count})"
    assert str(caught.value).startswith(f"{samples}: is not as it was unpacked: {told} {counted}; ")
    assert str(caught.value).count("`dvc repro --force --single-item unzip`") == 1


def test_files_that_were_only_copied_are_not_changed(unpacked):
    samples, listing = unpacked
    (samples / "b" / "masks" / "1.png").touch()
    check_listed(samples, listing)


def test_an_empty_folder_of_a_sample_is_listed_and_its_loss_is_told(unpacked):
    samples, listing = unpacked
    before = listing.read_bytes()
    with zipfile.ZipFile(samples.with_name("a.zip"), "a") as file:
        for name in ("b/masks/", "c/images/", "c/masks/"):
            file.writestr(name, b"")
    with opened(samples.with_name("a.zip"), params().data) as contents:
        extract(contents, samples)
        write_listing(listing, contents)
    assert [row["path"] for row in read_csv(listing)][-2:] == ["c/images/", "c/masks/"]
    assert listing.read_bytes().startswith(before)
    check_listed(samples, listing)
    (samples / "c" / "masks").rmdir()
    with pytest.raises(InputError, match="c/masks/ is missing"):
        check_listed(samples, listing)
