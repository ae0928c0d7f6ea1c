import errno
import resource

import cv2
import numpy as np
import pytest

from unetseg.dataset.arrays import write_arrays
from unetseg.errors import InputError
from unetseg.evaluation.matching import match, mean_average_precision
from unetseg.files import read_csv
from unetseg.objects.separation import connected_objects
from unetseg.parallel import FEW


def save(folder, image, *masks):
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    cv2.imwrite(str(folder / "images" / "i.png"), image)
    for number, mask in enumerate(masks):
        cv2.imwrite(str(folder / "masks" / f"{number}.png"), mask)


def grey(value=40):
    return np.full((16, 16), value, np.uint8)


def mask(rows, columns):
    empty = np.zeros((16, 16), np.uint8)
    empty[rows, columns] = 255
    return empty


def load(folder):
    return [np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("images", "masks", "labels")]


def test_preprocess_gives_what_was_worked_out_by_hand(tmp_path):
    image = grey()
    image[0:2, 0:2] = [[0, 100], [100, 200]]  # the mean of these four is 100
    image[14:16, 14:16] = [[1, 1], [1, 0]]  # 0.75, which rounds to 1
    # Halved, an output pixel shows the four that it covers; of labels it takes the lower right one, whose centre is as
    # near as the others' and the last of them.
    save(tmp_path / "in" / "a", image, mask(np.s_[0:4], np.s_[0:4]), mask(np.s_[5:8], np.s_[8:11]), mask(10, 10))
    write_arrays(tmp_path / "in", tmp_path / "out", size=8, skip_bad=False)
    images, masks, labels = load(tmp_path / "out")

    expected_image = np.full((8, 8), 40)
    expected_image[0, 0] = 100
    expected_image[7, 7] = 1
    expected_labels = np.zeros((8, 8))
    expected_labels[0:2, 0:2] = 1  # rows and columns 1 and 3 of the original
    expected_labels[2:4, 4] = 2  # rows 5 and 7, column 9; not column 11, which is outside
    # object 3 is the single pixel in row 10, column 10, both even: it is not seen
    assert np.array_equal(images, np.dstack([expected_image] * 3)[None])
    assert np.array_equal(labels, expected_labels[None])
    assert np.array_equal(masks, expected_labels[None] > 0)
    assert (images.dtype, masks.dtype, labels.dtype) == (np.uint8, np.uint8, np.uint16)
    (row,) = read_csv(tmp_path / "out" / "samples.csv")
    assert row == {
        "index": "0",
        "id": "a",
        "height": "16",
        "width": "16",
        "channels": "1",
        "pixel_size": "",
        "objects": "3",
        "foreground": "0.1015625",  # (16 + 9 + 1) / 256
        "modality": "dark_grey",
        "image": "a/images/i.png",
        "source": "",
    }


def test_fingerprints_are_a_record_a_sample(tmp_path):
    for number in range(3):
        save(tmp_path / "in" / str(number), grey(40 * number), mask(2, 2))
    write_arrays(tmp_path / "in", tmp_path / "out", size=8, skip_bad=False)
    records = np.load(tmp_path / "out" / "fingerprints.npy", mmap_mode="r")
    assert records["values"][:, 0, 0] == pytest.approx(np.sqrt(np.array([0, 40, 80]) + 3 / 8))
    assert np.all(records["pixels"] == 16)


def test_many_samples_give_the_same_arrays_as_few(tmp_path):
    for number in range(FEW + 1):
        save(tmp_path / "in" / f"{number:03}", grey(number), mask(2, np.s_[: number % 16 + 1]))
    write_arrays(tmp_path / "in", tmp_path / "out", size=16, skip_bad=False)
    images, masks, _ = load(tmp_path / "out")
    assert images[:, 0, 0, 0].tolist() == list(range(FEW + 1))
    assert masks.sum(axis=(1, 2)).tolist() == [number % 16 + 1 for number in range(FEW + 1)]


def test_an_enlarged_mask_has_no_values_between(tmp_path):
    square = mask(np.s_[4:8], np.s_[0:8])
    save(tmp_path / "in" / "a", grey(), square)
    write_arrays(tmp_path / "in", tmp_path / "out", size=48, skip_bad=False)
    _, masks, labels = load(tmp_path / "out")
    assert np.array_equal(masks[0], np.kron(square > 0, np.ones((3, 3))))
    assert np.array_equal(masks, labels)


def test_bad_samples_are_left_out_of_every_array_and_of_the_numbering(tmp_path):
    for name, value in (("a", 10), ("c", 30), ("d", 40)):
        save(tmp_path / "in" / name, grey(value), mask(2, 2))
    save(tmp_path / "in" / "b", grey(20))
    findings = write_arrays(tmp_path / "in", tmp_path / "out", size=16, skip_bad=True)
    images, masks, labels = load(tmp_path / "out")
    assert images[:, 0, 0, 0].tolist() == [10, 30, 40]
    assert len(masks) == len(labels) == 3
    rows = read_csv(tmp_path / "out" / "samples.csv")
    assert [(row["index"], row["id"]) for row in rows] == [("0", "a"), ("1", "c"), ("2", "d")]
    assert list(findings.unusable) == ["b"]


def test_a_bad_sample_stops_the_work_and_leaves_the_old_arrays(tmp_path):
    save(tmp_path / "in" / "a", grey(), mask(2, 2))
    write_arrays(tmp_path / "in", tmp_path / "out", size=16, skip_bad=False)
    save(tmp_path / "in" / "b", grey())
    with pytest.raises(InputError, match=r"b/masks: no mask.*\n1 of 2 samples cannot be used"):
        write_arrays(tmp_path / "in", tmp_path / "out", size=16, skip_bad=False)
    assert len(load(tmp_path / "out")[0]) == 1
    assert [path.name for path in tmp_path.iterdir() if path.name != "in"] == ["out"]


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path):
    save(tmp_path / "in" / "a", grey(), mask(2, 2))
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        with pytest.raises(OSError) as caught:
            write_arrays(tmp_path / "in", tmp_path / "out", size=64, skip_bad=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert caught.value.errno == errno.EFBIG
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_the_order_is_that_of_the_names_however_long_each_takes(tmp_path):
    for number in range(30):
        side = 16 + (number % 3) * 400
        save(tmp_path / "in" / f"{number:02}", np.full((side, 16), number, np.uint8), np.eye(side, 16, dtype=np.uint8))
    write_arrays(tmp_path / "in", tmp_path / "out", size=8, skip_bad=False)
    assert load(tmp_path / "out")[0][:, 0, 0, 0].tolist() == list(range(30))


def test_each_sample_keeps_the_source_that_sources_csv_gives_it(tmp_path):
    for name in ("a", "b"):
        for part in ("images", "masks"):
            (tmp_path / "in" / name / part).mkdir(parents=True)
            cv2.imwrite(str(tmp_path / "in" / name / part / "1.png"), np.eye(16, dtype=np.uint8) * 255)
    (tmp_path / "in" / "sources.csv").write_text("id,source\nb,second lab\n")
    findings = write_arrays(tmp_path / "in", tmp_path / "out", size=16, skip_bad=False)
    assert [row["source"] for row in read_csv(tmp_path / "out" / "samples.csv")] == ["", "second lab"]
    assert [line.partition("csv: ")[2] for line in findings.warnings if "csv: " in line] == [
        "1 samples have no row, such as a"
    ]
    (tmp_path / "in" / "sources.csv").write_text("id,source\na,x\nb,x\nc.png,x\n")
    findings = write_arrays(tmp_path / "in", tmp_path / "out", size=16, skip_bad=False)
    assert [line.partition("csv: ")[2] for line in findings.warnings if "csv: " in line] == [
        "1 rows are of no sample, such as c.png"
    ]
    (tmp_path / "in" / "sources.csv").write_text("name,lab\nb,second lab\n")
    with pytest.raises(InputError, match=r"sources\.csv: it needs a header with id and source"):
        write_arrays(tmp_path / "in", tmp_path / "out", size=16, skip_bad=False)


@pytest.mark.parametrize("size", [9, 13, 24, 32])
def test_a_perfect_mask_finds_all_objects_of_a_single_mask_at_every_size(tmp_path, size):
    noise = cv2.GaussianBlur(np.random.default_rng(0).random((24, 24)), (0, 0), 1)
    save(tmp_path / "in" / "a", np.full((24, 24), 40, np.uint8), (noise > np.median(noise)).astype(np.uint8) * 255)
    corner = np.kron(np.eye(2), np.ones((12, 12))).astype(np.uint8) * 255  # two squares that touch at a corner
    save(tmp_path / "in" / "b", np.full((24, 24), 40, np.uint8), corner)
    write_arrays(tmp_path / "in", tmp_path / "out", size=size, skip_bad=False)
    _, masks, labels = load(tmp_path / "out")
    for mask_of, labels_of in zip(masks, labels, strict=True):
        found = connected_objects(mask_of.astype(np.float32), 0.5, 1)
        assert mean_average_precision(match(labels_of, found)) == 1
    assert labels[1].max() == 2


def test_objects_of_a_label_image_or_of_a_file_each_stay_apart_when_they_touch_after_resizing(tmp_path):
    two = np.zeros((24, 24), np.uint8)
    two[2:8, 2:8], two[2:8, 9:15], two[16:20, 2:8] = 3, 1, 2
    save(tmp_path / "in" / "labels", np.full((24, 24), 40, np.uint8), two)
    save(
        tmp_path / "in" / "files",
        np.full((24, 24), 40, np.uint8),
        *((two == value) * np.uint8(255) for value in (3, 1, 2)),
    )
    write_arrays(tmp_path / "in", tmp_path / "out", size=8, skip_bad=False)
    assert [labels.max() for labels in load(tmp_path / "out")[2]] == [3, 3]
