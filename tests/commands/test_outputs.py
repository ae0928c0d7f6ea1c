from pathlib import Path

import cv2
import numpy as np
import pytest

from unetseg.cli import main


@pytest.mark.parametrize(
    ("words", "file"),
    [
        (["predict", "a.png", "--out", "mine"], "a.png"),
        (["predict", "a.png", "--out", "mine"], "objects.csv"),
        (["evaluate", "a.zip", "--model", "m.keras", "--out", "mine"], "report.html"),
    ],
)
def test_a_file_of_somebody_else_in_the_place_of_a_result_is_told_before_any_work_and_stays(
    words, file, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    Path("mine", file).write_text("mine")
    cv2.imwrite("a.png", np.zeros((32, 32), np.uint8))
    try:
        status = main(words)
    except SystemExit as stop:
        status = stop.code
    assert status in {1, 2}
    rule = f"mine/{file}: is there already and not of an earlier run; move it or name another output\n"
    assert capsys.readouterr().err.endswith(rule)
    assert Path("mine", file).read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("evaluate.json", "is a folder; name another output"),
        ("report.html", "is a folder; name another output"),
        ("plots", "is no folder; name one to write to"),
    ],
)
def test_what_stands_in_the_place_of_a_result_of_an_evaluation_is_told_before_any_work(
    name, rule, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    Path("out/evaluate.json").touch()
    if name == "plots":
        Path("out/plots").touch()
    else:
        Path("out", name).unlink(missing_ok=True)
        Path("out", name).mkdir()
    with pytest.raises(SystemExit):
        main(["evaluate", "a.zip", "--model", "m.keras", "--out", "out"])
    assert capsys.readouterr().err == f"out/{name}: {rule}\n"


@pytest.mark.parametrize(
    ("option", "rule"),
    [
        (["--threshold", "2"], "argument --threshold: '2' is not a number between 0 and 1"),
        (["--zoom", "0"], "argument --zoom: '0' is not auto, or a number from 1/64 to 64"),
        (["--min-size", "-3"], "argument --min-size: '-3' is not a whole number from 0 up"),
        (["--depth", "-1"], "argument --depth: '-1' is not a number over 0"),
        (["--pixel-size", "x"], "argument --pixel-size: 'x' is not a number over 0"),
    ],
)
def test_a_number_out_of_range_is_refused_with_its_rule(option, rule, capsys):
    with pytest.raises(SystemExit):
        main(["predict", "a.png", "--out", "o", *option])
    assert capsys.readouterr().err.splitlines()[-1].endswith(rule)


@pytest.mark.parametrize("words", [["sample", "params.yaml"], ["ensemble", "m.keras", "--out", "params.yaml"]])
def test_a_file_of_another_kind_in_the_place_of_an_output_stays(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("mine")
    with pytest.raises(SystemExit):
        main(words)
    assert capsys.readouterr().err.startswith("params.yaml: is not named .")
    assert Path("params.yaml").read_text() == "mine"


def test_a_preset_whose_value_a_shell_would_split_is_refused(tmp_path, capsys):
    (tmp_path / "p.yaml").write_text("data: {archive: my file.zip}\n")
    with pytest.raises(SystemExit):
        main(["preset", str(tmp_path / "p.yaml")])
    assert "data.archive: 'my file.zip': a shell would split or change it" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["sample", "thesis"], ["ensemble", "m.keras", "--out", "thesis"]])
def test_a_folder_in_the_place_of_an_output_is_told_before_any_work_and_stays(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("thesis").mkdir()
    Path("thesis/t.txt").write_text("mine")
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 1
    assert capsys.readouterr().err == "thesis: is a folder; name another output\n"
    assert Path("thesis/t.txt").read_text() == "mine"
