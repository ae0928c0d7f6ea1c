from pathlib import Path

import pytest

from unetseg.cli import main


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
