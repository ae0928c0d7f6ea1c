import os
import signal
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from unetseg.cli import main

ROOT = Path(__file__).parents[2]
GREY = np.arange(96, dtype=np.uint8).reshape(8, 12)
SPOT = np.where(GREY > 50, 255, 0).astype(np.uint8)


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """Stand in a folder with a params.yaml, and with a place for temporary files that can be looked into."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))


def pack(path, **masks):
    with zipfile.ZipFile(path, "w") as archive:
        for name, mask in masks.items():
            archive.writestr(f"train/{name}/images/i.png", cv2.imencode(".png", GREY)[1].tobytes())
            archive.writestr(f"train/{name}/masks/m.png", cv2.imencode(".png", mask)[1].tobytes())
    return path


def test_check_says_how_many_samples_can_be_used(capsys):
    assert main(["check", str(pack("good.zip", a=SPOT, b=SPOT * 0))]) == 0
    out, err = capsys.readouterr()
    assert out == "good.zip: 2 of 2 samples can be used, with 1 warnings\n"
    assert err.endswith("\nwarning: b/masks/m.png: all zero, contains no object\n")
    assert not list(Path("temporary").iterdir())


def test_check_lists_every_problem_and_fails(capsys):
    assert main(["check", str(pack("bad.zip", a=SPOT[:, :9], b=SPOT, c=GREY))]) == 1
    out, err = capsys.readouterr()
    assert out == "bad.zip: 1 of 3 samples can be used, with 0 warnings\n"
    assert err.splitlines()[-2:] == [
        "a/masks/m.png: is 8x9 pixels, its image 8x12; they must be of one size",
        "c/masks/m.png: is the image itself; a mask holds 0 for background and 255 (or 1) for the object",
    ]


def test_check_lists_all_lines_however_many(capsys):
    main(["check", str(pack("bad.zip", **{f"s{number}": SPOT[:, :9] for number in range(60)}))])
    assert capsys.readouterr().err.count("they must be of one size") == 60


def test_a_data_set_without_foreground_fails(capsys):
    assert main(["check", str(pack("empty.zip", a=SPOT * 0))]) == 1
    assert "no mask has any foreground" in capsys.readouterr().err


def test_what_is_no_archive_is_one_line(capsys):
    Path("a.zip").write_text("text")
    with pytest.raises(SystemExit) as stop:
        main(["check", "a.zip"])
    assert stop.value.code == 1
    assert capsys.readouterr().err == "a.zip: is not a zip file; set data.archive in params.yaml to one\n"


@pytest.mark.parametrize("signal_", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_told_to_stop_check_leaves_no_copy_behind(signal_, monkeypatch, capsys):
    monkeypatch.setattr("unetseg.commands.check.check_samples", lambda _: os.kill(os.getpid(), signal_))
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stop:
        main(["check", str(pack("good.zip", a=SPOT))])
    assert stop.value.code == 1
    assert capsys.readouterr().err.endswith("\ninterrupted\n")
    assert not list(Path("temporary").iterdir())
    assert signal.getsignal(signal.SIGTERM) == before
