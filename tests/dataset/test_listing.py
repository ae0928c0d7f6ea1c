import re
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
    check_listed(samples, listing)


def add(masks):
    (masks / "2.png").write_bytes(b"content")


def edit(masks):
    (masks / "1.png").write_bytes(b"other content")


def remove(masks):
    (masks / "0.png").unlink()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (add, "1 files more are there; 1 differences"),
        (edit, "b/masks/1.png has 13 bytes, not 7; 1 differences"),
        (remove, "b/masks/0.png is missing; 1 differences"),
    ],
)
def test_files_that_were_added_edited_or_removed_are_told_with_what_to_do(unpacked, change, told):
    samples, listing = unpacked
    change(samples / "b" / "masks")
    wanted = f"{samples}: is not as it was unpacked: {told} from {listing} in all; `dvc repro --force"
    with pytest.raises(InputError, match=f"^{re.escape(wanted)}"):
        check_listed(samples, listing)


def test_all_differences_are_counted(unpacked):
    samples, listing = unpacked
    for change in (add, edit, remove):
        change(samples / "b" / "masks")
    with pytest.raises(InputError, match="is missing; 3 differences"):
        check_listed(samples, listing)
