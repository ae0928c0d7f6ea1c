import json
import zipfile

import pytest
from spots import MODEL

from unetseg import __version__
from unetseg.cli import main
from unetseg.model.file import save_model


def test_the_facts_of_a_model_are_printed_as_json(tmp_path, capsys):
    save_model(tmp_path / "m.keras", MODEL, {"revision": "abc", "best_epoch": 3})
    assert main(["info", str(tmp_path / "m.keras")]) == 0
    assert json.loads(capsys.readouterr().out) == {"revision": "abc", "best_epoch": 3}


def test_a_file_that_is_no_model_is_refused(tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "w.keras", "w") as file:
        file.writestr("readme.txt", "no model")
    with pytest.raises(SystemExit) as stop:
        main(["info", str(tmp_path / "w.keras")])
    assert stop.value.code == 1
    assert "w.keras: not a .keras file: it lacks config.json and model.weights.h5" in capsys.readouterr().err


def test_without_a_model_the_versions_are_printed(capsys):
    assert main(["info"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["unetseg"] == __version__
    assert printed["keras"].startswith("3.")
