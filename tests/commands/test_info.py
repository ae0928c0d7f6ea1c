import json

from spots import MODEL

from unetseg import __version__
from unetseg.cli import main
from unetseg.model.file import save_model


def test_the_facts_of_a_model_are_printed_as_json(tmp_path, capsys):
    save_model(tmp_path / "m.keras", MODEL, {"revision": "abc", "best_epoch": 3})
    assert main(["info", str(tmp_path / "m.keras")]) == 0
    assert json.loads(capsys.readouterr().out) == {"revision": "abc", "best_epoch": 3}


def test_without_a_model_the_versions_are_printed(capsys):
    assert main(["info"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["unetseg"] == __version__
    assert printed["keras"].startswith("3.")
