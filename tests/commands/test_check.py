import os
import signal
import zipfile
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from unetseg.cli import main

ROOT = Path(__file__).parents[2]
GREY = np.arange(96, dtype=np.uint8).reshape(8, 12)
RULES = (
    "a mask holds 0 for background and 255 (or 1) for the object, "
    "a label image holds 0 for background and a whole number for each object"
)
SPOT = np.where(GREY > 50, 255, 0).astype(np.uint8)


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """Stand in a folder with a params.yaml, and with a place for temporary files that can be looked into."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    (tmp_path / "data" / "sample").mkdir(parents=True)
    (tmp_path / "data" / "sample" / "elsewhere.zip").write_bytes((ROOT / "data" / "sample" / "none.zip").read_bytes())
    (tmp_path / "data" / "groups.csv").write_text("id,group\n")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))


def pack(path, **masks):
    with zipfile.ZipFile(path, "w") as archive:
        for number, (name, mask) in enumerate(masks.items()):
            noise = np.random.default_rng(number).integers(0, 90, (8, 12), np.uint8)  # no two images are neighbours
            image = GREY if len(name) == 1 and len(masks) < 5 else noise
            archive.writestr(f"train/{name}/images/i.png", cv2.imencode(".png", image)[1].tobytes())
            archive.writestr(f"train/{name}/masks/m.png", cv2.imencode(".png", mask)[1].tobytes())
    return path


def many(count=12, **others):
    return {f"s{number}": SPOT for number in range(count)} | others


def check(capsys, path):
    status = main(["check", str(path)])
    out, err = capsys.readouterr()
    return status, out.splitlines(), err.splitlines()


def test_check_tells_of_columns_of_groups_of_which_no_use_is_made(capsys):
    Path("data/groups.csv").write_text(
        "id,group,slides\nb,b,b\n" + "".join(f"s{each},{each},{each}\n" for each in range(11))
    )
    status, _, err = check(capsys, pack("good.zip", **many(11, b=SPOT * 0)))
    assert status == 0
    known = "group, patient, slide, plate, experiment, stack"
    assert f"warning: table of groups: no use is made of slides; known columns are {known}" in err


def test_check_counts_by_kind_and_size_and_says_how_many_samples_can_be_used(capsys):
    status, out, err = check(capsys, pack("good.zip", **many(19, b=SPOT * 0)))
    assert status == 0
    assert out[0].split() == ["kind", "size", "images", "objects", "an", "image", "foreground"]
    assert out[1].split()[:6] == ["dark_grey", "8x12", "20", "0", "to", "1"]
    assert out[2] == "good.zip: 20 of 20 samples can be used, with 1 warnings"
    assert err[-1].startswith("warning: b/masks/m.png: all zero")
    assert not list(Path("temporary").iterdir())


@pytest.mark.parametrize("count", [1, 3, 5])
def test_check_fails_where_there_are_too_few_samples_for_the_pipeline(capsys, count):
    status, _, err = check(capsys, pack("few.zip", **many(count)))
    assert status == 1
    assert any(line.startswith("params.yaml: ") for line in err)
    assert all(line.count(f"{count} samples") <= 1 for line in err)


def test_check_fails_where_the_archive_from_elsewhere_is_wrong(capsys):
    archive = pack("mine.zip", **{f"{number:02}": SPOT for number in range(40)})
    assert main(["check", str(archive)]) == 0
    Path("data/sample/elsewhere.zip").unlink()
    assert main(["check", str(archive)]) == 1
    assert "data/sample/elsewhere.zip: no such file; set evaluate.external" in capsys.readouterr().err


def test_check_fails_where_images_from_elsewhere_lack_the_channel_to_train_on(capsys):
    archive = pack("mine.zip", **{f"{number:02}": SPOT for number in range(40)})
    external = pack("data/sample/elsewhere.zip", a=SPOT)
    assert check(capsys, archive)[0] == 0
    Path("params.yaml").write_text(Path("params.yaml").read_text().replace("channel: all", "channel: 1"))
    with zipfile.ZipFile(archive, "w") as file:
        for number in range(40):
            for part, pixels in (("images", np.dstack([GREY, GREY + number, GREY])), ("masks", SPOT)):
                file.writestr(f"{number}/{part}/1.png", cv2.imencode(".png", pixels)[1].tobytes())
    status, _, err = check(capsys, archive)
    assert status == 1
    assert err[-2:] == [
        f"{external}: a/images/i.png: has no channel 1; it has 1 channel, counted from 0",
        f"{external}: name another archive in evaluate.external, or data/sample/none.zip for none",
    ]


def test_check_names_what_is_skipped_of_the_archive_from_elsewhere_and_fails_for_its_tables(capsys):
    archive = pack("mine.zip", **{f"{number:02}": SPOT for number in range(40)})
    external = pack("data/sample/elsewhere.zip", a=SPOT, b=SPOT[:, :9])
    Path("params.yaml").write_text(
        Path("params.yaml").read_text().replace("on_bad_sample: error", "on_bad_sample: skip")
    )
    status, _, err = check(capsys, archive)
    told = f"warning: {external}: b/masks/m.png: is 8x9 pixels, its image 8x12; they must be of one size"
    assert (status, err[-1]) == (0, told)
    with zipfile.ZipFile(external, "a") as file:
        file.writestr("sources.csv", "id,source\na,x\na,y\n")
    status, _, err = check(capsys, archive)
    assert (status, f"{external}: sources.csv: a: has several rows; keep one" in err) == (1, True)


@pytest.mark.parametrize(("sources", "status"), [(["a", "b"], 1), (["a", "b", "c", "d", "e"], 0)])
def test_check_fails_where_there_are_fewer_experiments_than_folds(capsys, sources, status):
    Path("params.yaml").write_text(Path("params.yaml").read_text().replace("method: grouped", "method: experiment"))
    with zipfile.ZipFile(pack("labs.zip", **many(25)), "a") as archive:
        rows = [f"s{number},{sources[number % len(sources)]}" for number in range(25)]
        archive.writestr("sources.csv", "\n".join(["id,source", *rows]))
    found, _, err = check(capsys, Path("labs.zip"))
    assert found == status
    rule = "needs at least as many experiments, but the 25 samples are of 2; lower split.folds"
    assert any(line.endswith(rule) for line in err) == bool(status)


def test_check_names_what_would_spoil_the_result(capsys):
    inverted = np.full_like(SPOT, 255)
    inverted[2:4, 2:4] = 0
    status, _, err = check(capsys, pack("odd.zip", **dict.fromkeys(many(20), inverted)))
    assert status == 0
    assert any("20 of 20 masks are foreground for the most part: are they inverted?" in line for line in err)


def test_check_counts_the_objects_that_vanish_at_the_size_of_the_model(capsys):
    Path("params.yaml").write_text(Path("params.yaml").read_text().replace("size: 256", "size: 32"))
    text = Path("params.yaml").read_text().replace("crop: 128", "crop: 32")
    Path("params.yaml").write_text(text)
    with zipfile.ZipFile("tiny.zip", "w") as archive:
        for number in range(20):
            image, mask = (np.zeros((320, 320), np.uint8) for _ in range(2))
            image[::2] = number + 1
            mask[1, 1] = mask[100:200, 100:200] = 255
            for part, pixels in (("images", image), ("masks", mask)):
                archive.writestr(f"{number}/{part}/1.png", cv2.imencode(".png", pixels)[1].tobytes())
    _, _, err = check(capsys, "tiny.zip")
    assert any("20 of 40 objects vanish at image.size, in 20 images" in line for line in err)


def test_objects_that_fall_apart_or_touch_at_the_size_of_the_model_do_not_vanish(capsys):
    text = Path("params.yaml").read_text().replace("size: 256", "size: 32").replace("crop: 128", "crop: 32")
    Path("params.yaml").write_text(text)
    wide = np.zeros((64, 64), np.uint8)
    wide[10:20, 10:20] = wide[10:20, 21:31] = 255  # which touch at half the size
    wide[40:48, 40:48] = np.where(np.add.outer(np.arange(8), np.arange(8)) // 2 % 2, 255, 0)  # a few that fall apart
    lone = wide.copy()
    lone[0, 0] = 255
    images = {f"{number}": wide for number in range(9)} | {"lone": lone}
    with zipfile.ZipFile("parts.zip", "w") as archive:
        for number, (name, mask) in enumerate(images.items()):
            for part, pixels in (("images", np.roll(mask, number, 1) // 2 + number), ("masks", mask)):
                archive.writestr(f"{name}/{part}/1.png", cv2.imencode(".png", pixels)[1].tobytes())
    _, _, err = check(capsys, "parts.zip")
    expected = sum(objects_without_a_pixel(mask) for mask in images.values())
    assert expected > 0
    assert any(f" {expected} of " in line and "objects vanish at image.size" in line for line in err)


def objects_without_a_pixel(mask):
    parts = cv2.connectedComponents(mask, connectivity=4)[1].astype(np.uint16)
    left = cv2.resize(parts, (32, 32), interpolation=cv2.INTER_NEAREST_EXACT)
    return parts.max() - np.count_nonzero(np.unique(left))


def test_check_warns_of_a_size_of_pixels_that_is_not_that_of_the_input(capsys):
    Path("params.yaml").write_text(Path("params.yaml").read_text().replace("pixel_size: 0.0", "pixel_size: 0.5"))
    with zipfile.ZipFile("sized.zip", "w") as archive:
        for number in range(20):
            file, image = BytesIO(), np.random.default_rng(number).integers(0, 90, (8, 12), np.uint8)
            tifffile.imwrite(file, image, resolution=(20000, 20000), resolutionunit=3)
            archive.writestr(f"{number}/images/i.tif", file.getvalue())
            archive.writestr(f"{number}/masks/m.png", cv2.imencode(".png", SPOT)[1].tobytes())
    _, _, err = check(capsys, "sized.zip")
    assert any(line.startswith("warning: image.pixel_size: 0.5: by 20 files") for line in err)


def test_a_flat_layout_is_named_before_any_parameter(capsys):
    with zipfile.ZipFile("flat.zip", "w") as archive:
        for number in range(3):
            for part in ("images", "masks"):
                archive.writestr(f"data/{part}/{number}.png", cv2.imencode(".png", SPOT)[1].tobytes())
    with pytest.raises(SystemExit):
        main(["check", "flat.zip"])
    assert capsys.readouterr().err.startswith("flat.zip: 3 images stand in 1 folders")


def test_check_warns_of_files_that_belong_to_no_sample(capsys):
    with zipfile.ZipFile(pack("good.zip", **many(20)), "a") as archive:
        for part in ("Images", "Masks"):
            archive.writestr(f"train/s20/{part}/i.png", "")
    status, out, err = check(capsys, "good.zip")
    assert (status, out[-1]) == (0, "good.zip: 20 of 20 samples can be used, with 1 warnings")
    told = "left out 2 files that belong to no sample, such as 'train/s20/Images/i.png'"
    assert err[-1] == f"warning: good.zip: {told}"


def test_check_lists_every_problem_and_fails(capsys):
    assert main(["check", str(pack("bad.zip", a=SPOT[:, :9], b=SPOT, c=GREY))]) == 1
    out, err = capsys.readouterr()
    assert out.endswith("bad.zip: 1 of 3 samples can be used, with 0 warnings\n")
    assert [line for line in err.splitlines() if "/masks/" in line] == [
        "a/masks/m.png: is 8x9 pixels, its image 8x12; they must be of one size",
        "c/masks/m.png: is the image itself; " + RULES,
    ]


def test_check_lists_all_lines_however_many(capsys):
    main(["check", str(pack("bad.zip", **{f"s{number}": SPOT[:, :9] for number in range(60)}))])
    assert capsys.readouterr().err.count("they must be of one size") == 60


def test_a_data_set_without_foreground_fails(capsys):
    assert main(["check", str(pack("empty.zip", a=SPOT * 0))]) == 1
    assert "no mask has any foreground" in capsys.readouterr().err


def test_what_is_no_archive_is_one_line(capsys):
    for name, told in (("a.zip", "but a text that begins with 'text';"), ("a.json", "; `unetseg import a.json --out")):
        Path(name).write_text("text")
        with pytest.raises(SystemExit) as stop:
            main(["check", name])
        assert stop.value.code == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"{name}: is not a zip file")
        assert told in line


@pytest.mark.parametrize("signal_", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_told_to_stop_check_leaves_no_copy_behind(signal_, monkeypatch, capsys):
    monkeypatch.setattr("unetseg.commands.check.check_samples", lambda *_: os.kill(os.getpid(), signal_))
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stop:
        main(["check", str(pack("good.zip", a=SPOT))])
    assert stop.value.code == 1
    assert capsys.readouterr().err.endswith("\ninterrupted\n")
    assert not list(Path("temporary").iterdir())
    assert signal.getsignal(signal.SIGTERM) == before


def test_check_fails_where_the_table_of_sources_has_other_columns(capsys):
    archive = pack("sources.zip", **many(20))
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("train/sources.csv", "name,lab\ns0,a\n")
    status, _, err = check(capsys, archive)
    assert status == 1
    told = "sources.csv: it needs a header with id and source, then one row per sample; its header is 'name,lab'"
    assert err[-1].startswith(told)


def test_check_outside_a_project_says_where_to_run_it(capsys):
    Path("params.yaml").unlink()
    with pytest.raises(SystemExit) as stop:
        main(["check", str(pack("good.zip", a=SPOT))])
    assert stop.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("params.yaml: not in this folder; `unetseg check` applies a project's settings: run it in")
