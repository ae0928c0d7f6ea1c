import json
import os
import runpy
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from unetseg.errors import InputError
from unetseg.files import write_csv
from unetseg.params_file import load_params

ROOT = Path(__file__).parents[2]
STAGE = runpy.run_path(str(ROOT / "stages" / "preprocess.py"))
PARAMS = load_params(ROOT / "params.yaml")
SKIP = PARAMS.model_copy(update={"data": PARAMS.data.model_copy(update={"on_bad_sample": "skip"})})

GREY = np.arange(64 * 48, dtype=np.uint16).astype(np.uint8).reshape(64, 48)
SPOT = np.zeros_like(GREY)
SPOT[10:20, 10:30] = 255


def write(path, pixels, **options):
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels, photometric="minisblack" if pixels.ndim == 2 else "rgb", **options)
    else:
        Image.fromarray(pixels).save(path, **options)


def sample(folder, image=GREY, masks=(SPOT,), name="i.png", **options):
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    if image is not None:
        write(folder / "images" / name, image, **options)
    for number, mask in enumerate(masks):
        write(folder / "masks" / f"{number}.png", mask)
    return folder


def huge_png():
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packer = zlib.compressobj(9)
    row = bytes(1 + 20_000 // 8)
    packed = b"".join(packer.compress(row) for _ in range(20_000)) + packer.flush()
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def zoo(root):
    """Make a sample of every kind of broken one, and give what is to be said of each."""
    turned = Image.Exif()
    turned[0x0112] = 6
    floats = GREY.astype(np.float32)
    floats[5, 5] = np.nan
    sample(root / "good")
    sample(root / "no_image", None)
    sample(root / "two_images")
    write(root / "two_images" / "images" / "j.png", GREY)
    sample(root / "no_mask", masks=[])
    sample(root / "other_size", masks=[SPOT[:40]])
    sample(root / "image_as_mask", masks=[GREY])
    truncated = sample(root / "truncated") / "images" / "i.png"
    truncated.write_bytes(truncated.read_bytes()[:-30])
    (sample(root / "text") / "images" / "i.png").write_text("these are words")
    (sample(root / "zero_bytes") / "images" / "i.png").write_bytes(b"")
    sample(root / "pixel", GREY[:1, :1], [SPOT[10:11, 10:11]])
    (sample(root / "huge") / "images" / "i.png").write_bytes(huge_png())
    sample(root / "nan", floats, name="i.tif")
    sample(root / "turned", GREY, name="i.jpg", exif=turned)
    sample(root / "animated", GREY, save_all=True, append_images=[Image.fromarray(SPOT)])
    sample(root / "pages", None)
    tifffile.imwrite(root / "pages" / "images" / "i.tif", np.stack([GREY, SPOT]), photometric="minisblack")
    Image.fromarray(np.dstack([GREY] * 4), "CMYK").save(sample(root / "cmyk", None) / "images" / "i.jpg")
    dots = np.zeros((520, 520), np.uint8)
    dots[::2, ::2] = 255
    sample(root / "many", dots // 2, [dots])
    rule = "a mask holds 0 for background and 255 (or 1) for the object"
    labels = "a label image holds 0 for background and a whole number for each object"
    return {
        "animated": "images/i.png: is animated; animated images are not supported",
        "cmyk": "images/i.jpg: is a CMYK image; save it as RGB",
        "huge": "images/i.png: is 20000x20000 pixels; at most 100,000,000 in all are read at once; cut it into parts",
        "image_as_mask": f"masks/0.png: is the image itself; {rule}, {labels}",
        "many": "masks/0.png: holds 67,600 objects; at most 65,535 per image are supported",
        "nan": "images/i.tif: has 1 values that are NaN, infinite or beyond 1e+30",
        "no_image": "images: no image; a sample has exactly one",
        "no_mask": "masks: no mask; for an image without objects, add one mask that is all zero",
        "other_size": "masks/0.png: is 40x48 pixels, its image 64x48; they must be of one size",
        "pages": "images/i.tif: holds 2 images; save the one you need as a separate file, "
        "or project the image's depth (data.project, --project)",
        "pixel": "images/i.png: is 1x1 pixels; at least 8x8 are needed",
        "text": "images/i.png: is not one of PNG, JPEG, JPEG2000, BMP, whatever its name says",
        "truncated": "images/i.png: is damaged or cut off: Truncated File Read",
        "turned": "masks/0.png: has orientation 1, its image 6; save both upright, so that both mean the same",
        "two_images": "images: 2 files, such as i.png and j.png; a sample has exactly one",
        "zero_bytes": "images/i.png: is empty, 0 bytes",
    }


def listing(root):
    """List the files of the samples, as `unzip` does."""
    files = sorted(path for path in root.rglob("*") if path.is_file() or not any(path.iterdir()))
    names = [path.relative_to(root).as_posix() + "/" * path.is_dir() for path in files]
    rows = [{"path": name, "bytes": path.stat().st_size} for name, path in zip(names, files, strict=True)]
    write_csv(root.with_suffix(".csv"), rows, ["path", "bytes"])
    return root.with_suffix(".csv")


def preprocess(params, root, out):
    STAGE["main"](params, root, listing(root), out / "arrays", out / "report.json")


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    root = tmp_path_factory.mktemp("broken")
    return root, zoo(root)


def test_every_problem_of_a_data_set_is_listed_at_once(broken, tmp_path):
    root, expected = broken
    with pytest.raises(InputError) as caught:
        preprocess(PARAMS, root, tmp_path)
    *lines, last = str(caught.value).splitlines()
    unusable = [line for line in lines if not line.startswith(f"{root}/pixel/masks")]
    assert unusable == [f"{root}/{name}/{problem}" for name, problem in expected.items()]
    assert last.startswith("16 of 17 samples cannot be used: fix or remove them, or set data.on_bad_sample to skip")
    assert list(tmp_path.iterdir()) == []


def test_with_skip_the_good_samples_go_on_and_the_bad_ones_are_reported(broken, tmp_path, capsys):
    root, expected = broken
    preprocess(SKIP, root, tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["samples"], report["used"], report["warnings"]) == (17, 1, [])
    assert [skipped["id"] for skipped in report["skipped"]] == list(expected)
    for skipped in report["skipped"]:
        assert expected[skipped["id"]] in skipped["problem"]
    errors = capsys.readouterr().err
    assert all(problem in errors for problem in expected.values())
    assert np.load(tmp_path / "arrays" / "images.npy").shape == (1, 256, 256, 3)


def test_usable_oddities_are_warnings(tmp_path, capsys):
    sample(tmp_path / "in" / "overlapping", masks=[SPOT, SPOT])
    sample(tmp_path / "in" / "empty", masks=[SPOT * 0])
    sample(tmp_path / "in" / "equal", SPOT, [SPOT])
    preprocess(PARAMS, tmp_path / "in", tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["samples"], report["used"], report["skipped"]) == (3, 3, [])
    errors = capsys.readouterr().err
    for place, problem in (("empty", "all zero"), ("equal", "equal the image"), ("overlapping", "1 overlap others")):
        assert any(f"{place}/masks" in line and problem in line for line in report["warnings"])
        assert problem in errors


def test_sixteen_bit_float_and_palette_images_are_used(tmp_path):
    sample(tmp_path / "in" / "a", GREY.astype(np.uint16) * 100, name="i.tif")
    sample(tmp_path / "in" / "b", GREY.astype(np.float32) / 255, name="i.tif")
    sample(tmp_path / "in" / "c", GREY)
    sample(tmp_path / "in" / "d", GREY, name="i.bmp")
    preprocess(PARAMS, tmp_path / "in", tmp_path)
    images = np.load(tmp_path / "arrays" / "images.npy").astype(int)
    assert abs(images - images[2]).max() <= 1


def test_a_data_set_without_foreground_is_refused(tmp_path):
    sample(tmp_path / "in" / "a", masks=[SPOT * 0])
    with pytest.raises(InputError, match=r"^no mask has any foreground"):
        preprocess(SKIP, tmp_path / "in", tmp_path)


def test_a_bad_sample_is_lines_on_stderr_and_exit_status_1(tmp_path):
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    sample(tmp_path / "in" / "a", None)
    sample(tmp_path / "in" / "b")
    outputs = ["--listing", listing(tmp_path / "in").name, "--out", "o", "--report", "r.json"]
    command = [sys.executable, ROOT / "stages" / "preprocess.py", "--samples", "in", *outputs]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "\nin/a/images: no image; a sample has exactly one\n1 of 2 samples" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "in.csv", "params.yaml"]
