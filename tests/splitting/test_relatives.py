import zipfile

import cv2
import numpy as np
import pytest
import tifffile

from unetseg.images.fingerprint import FINGERPRINT, LENGTH, SIDES, fingerprint
from unetseg.images.opening import read_stored
from unetseg.splitting import relatives
from unetseg.splitting.relatives import find_relatives
from unetseg.splitting.splits import describe, random_split


def find(paths):
    return find_relatives(list(paths), np.stack([fingerprint(read_stored(path).pixels) for path in paths.values()]))


def _tiles(seed: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    light = 20 + 90 * cv2.GaussianBlur(random.normal(size=(192, 192)), (0, 0), 3) + random.normal(0, 1, (192, 192))
    field = np.clip(np.rint(light), 0, 255).astype(np.uint8)
    return [field[row : row + 96, column : column + 96] for row in (0, 96) for column in (0, 96)]


@pytest.fixture
def paths(tmp_path):
    made = {}
    for field in range(3):
        for number, tile in enumerate(_tiles(field)):
            made[f"{field}{number}"] = tmp_path / f"{field}{number}.png"
            cv2.imwrite(str(made[f"{field}{number}"]), tile)
    return made


SQUARE = [("0", "1"), ("0", "2"), ("1", "3"), ("2", "3")]
PAIRS = {(field + first, field + second) for field in "012" for first, second in SQUARE}


def test_neighbours_are_found_in_files(paths):
    found = find(paths)
    assert {tuple(sorted(pair)) for pair in found.neighbours} == PAIRS
    assert found.duplicates == []
    assert (found.images_with_neighbour, found.control) == (12, 0)


@pytest.mark.parametrize(("count", "apart"), [(2, 2e-4), (60, 2e-4), (60, 0.5)])
def test_the_nearest_borders_are_found_even_where_single_precision_cannot_tell(count, apart):
    random = np.random.default_rng(0)
    images = np.zeros(count + 1, FINGERPRINT)
    images["pixels"] = LENGTH
    images["values"] = random.normal(8, 4, (4, LENGTH)) + random.normal(0, apart, (count + 1, 4, LENGTH))
    rights = images["values"][:, SIDES.index("right")]
    images["values"][:, SIDES.index("left")] = [*np.roll(rights[:count], 1, axis=0), rights[count]]  # a ring; one alone
    images["step"][:, SIDES.index("left")] = 5
    found = find_relatives([f"{number:02d}" for number in range(count + 1)], images)
    assert set(found.neighbours) == {(f"{number:02d}", f"{(number + 1) % count:02d}") for number in range(count)}


def test_the_order_of_the_names_does_not_matter(paths):
    assert find(dict(reversed(paths.items()))) == find(paths)


def test_blocks_of_images_that_are_compared_at_a_time_change_nothing(paths, tmp_path, monkeypatch):
    for name, source in (("copy", "01"), ("flipped", "12")):
        paths[name] = tmp_path / f"{name}.png"
        image = cv2.imread(str(paths[source]))
        cv2.imwrite(str(paths[name]), image if name == "copy" else np.rot90(image)[::-1])
    whole = find(paths)
    for name, size in {"BLOCK": 5, "WIDE": 6, "NARROW": 4, "FEW": 1}.items():
        monkeypatch.setattr(relatives, name, size)
    assert find(paths) == whole
    assert whole.duplicates == [("01", "copy"), ("12", "flipped")]
    assert {tuple(sorted(pair)) for pair in whole.neighbours} >= PAIRS


def test_a_copy_does_not_hide_the_neighbours_of_its_original(paths, tmp_path):
    paths["copy"] = tmp_path / "copy.jpg"
    cv2.imwrite(str(paths["copy"]), cv2.imread(str(paths["01"])), [cv2.IMWRITE_JPEG_QUALITY, 95])
    found = find(paths)
    assert found.duplicates == [("01", "copy")]
    assert {tuple(sorted(pair)) for pair in found.neighbours} == PAIRS


def test_a_turned_copy_is_related_too(paths, tmp_path):
    paths["turned"] = tmp_path / "turned.png"
    cv2.imwrite(str(paths["turned"]), np.rot90(cv2.imread(str(paths["01"]))))
    found = find(paths)
    assert ("01", "turned") in found.pairs
    assert {tuple(sorted(pair)) for pair in found.neighbours} == PAIRS


def test_images_of_floating_point_between_0_and_1_are_understood(tmp_path):
    paths = {}
    for field in range(3):
        for number, tile in enumerate(_tiles(field)):
            paths[f"{field}{number}"] = tmp_path / f"{field}{number}.tif"
            tifffile.imwrite(paths[f"{field}{number}"], (tile / 255).astype(np.float32))
    assert {tuple(sorted(pair)) for pair in find(paths).neighbours} == PAIRS


@pytest.mark.slow
@pytest.mark.realdata
def test_most_real_images_have_a_neighbour_and_the_control_has_almost_none(realdata, tmp_path):
    with zipfile.ZipFile(realdata / "stage1_train.zip") as archive:
        members = [name for name in archive.namelist() if "/images/" in f"/{name}" and name.endswith(".png")]
        archive.extractall(tmp_path, members)
    paths = {name.split("/")[-3]: tmp_path / name for name in members if "__MACOSX" not in name}
    found = find(paths)
    assert len(paths) == 664
    assert found.images_with_neighbour >= 560
    assert found.control <= 0.01 * found.images_with_neighbour
    assert len(found.duplicates) == 1  # two slices of one embryo
    alone = dict.fromkeys(paths, "")
    subsets = random_split(paths, validation=0.1, test=0.1, seed=0)
    leaks = describe(subsets, alone, alone, found.pairs, seed=0)["test_with_neighbour"]
    assert leaks["random"] >= 0.7 * 66
