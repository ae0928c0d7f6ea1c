import argparse
import importlib
import keyword
import subprocess
import sys

import pytest

from unetseg import __version__
from unetseg.cli import COMMANDS, main


@pytest.mark.parametrize("name", COMMANDS)
def test_every_subcommand_is_a_module_with_arguments_and_help(name, capsys, monkeypatch):
    module = importlib.import_module(f"unetseg.commands.{name}{'_' * keyword.iskeyword(name)}")
    module.add_arguments(argparse.ArgumentParser())
    assert callable(module.run)
    monkeypatch.setenv("COLUMNS", "500")  # no line is broken
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    assert COMMANDS[name][1:].split("`")[0] in " ".join(capsys.readouterr().out.split())


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out.strip() == __version__


def test_help_imports_no_subcommand():
    code = (
        "import sys; from unetseg.cli import main\ntry: main(['--help'])\nexcept SystemExit: print(sorted(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    imported = set(shown.splitlines()[-1].strip("[]").replace("'", "").split(", "))
    assert "unetseg.cli" in imported
    assert not {"numpy", "cv2", "keras"} & imported
    assert not [name for name in imported if name.startswith("unetseg.commands.")]


@pytest.mark.parametrize(
    "words", [["import", "", "--out", "x.zip"], ["import", "x", "--out", ""], ["predict", "x", "--out", ""]]
)
def test_an_empty_path_does_not_stand_for_the_present_folder(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert "error: argument " in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_unknown_subcommand_is_an_unusable_argument(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["nothing"])
    assert "invalid choice: 'nothing'" in capsys.readouterr().err
