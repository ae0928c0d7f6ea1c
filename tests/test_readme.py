"""What README and docs say is so: their commands exist, README's figures are those of the files beside it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from unetseg.cli import COMMANDS as COMMANDS_OF_UNETSEG
from unetseg.cli import main
from unetseg.files import read_csv

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = [
    line.split("#")[0].strip()
    for page in PAGES
    for block in re.findall(r"```bash\n(.*?)```", page.read_text(), re.DOTALL)
    for line in block.splitlines()
]
LINKS = [page.parent / link for page in PAGES for link in re.findall(r"\]\((?!http)([^)#]+)[^)]*\)", page.read_text())]
RUNS = ROOT / "metrics" / "stage1_train"


def words_after(program):
    return sorted({match for line in COMMANDS for match in re.findall(rf"\b{program} (\w+)", line)})


def section(name):
    return re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", README, re.DOTALL)[1]


def row(name, scores):
    """Write a run's line of the table."""
    dice, native, objects = scores["dice"], scores["native"]["dice"], scores["objects"]
    interval = f"{dice['mean']:.3f} [{dice['low']:.3f}, {dice['high']:.3f}]"
    figures = [f"{dice['median']:.3f}", f"{native['mean']:.3f}", f"{objects['f1_50']:.3f}", f"{objects['map']:.3f}"]
    return f"| {name} | {scores['images']} | {interval} | {' | '.join(figures)} |"


@pytest.mark.parametrize("target", words_after("make"))
def test_every_make_target_that_a_page_names_exists(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_every_unetseg_command_that_a_page_names_exists():
    assert set(words_after("unetseg")) <= set(COMMANDS_OF_UNETSEG)


def test_every_option_of_unetseg_that_a_page_names_exists(capsys):
    used = {
        (command, option)
        for line in COMMANDS
        for command, rest in re.findall(r"\bunetseg (\w+)([^|;&)]*)", line)
        for option in re.findall(r"--[\w-]+", rest)
    }
    for command in {command for command, _ in used}:
        with pytest.raises(SystemExit):
            main([command, "--help"])
        shown = capsys.readouterr().out
        for option in (option for name, option in used if name == command):
            assert option in shown, f"unetseg {command} {option}"


def test_every_dvc_command_that_a_page_names_exists():
    shown = subprocess.run([sys.executable, "-m", "dvc", "--help"], capture_output=True, text=True, check=True)
    for command in words_after("dvc"):
        assert re.search(rf"^    (?:\w+ \()?{command}\b", shown.stdout, re.MULTILINE), command


@pytest.mark.parametrize("target", LINKS, ids=lambda target: target.name)
def test_every_file_that_a_page_links_to_exists(target):
    assert target.exists()


@pytest.mark.parametrize("method", ["random", "grouped"])
def test_the_results_are_those_of_the_run_that_is_kept(method):
    scores = json.loads((RUNS / method / "evaluate.json").read_text())
    assert row(method, scores) in section("results").splitlines()


@pytest.mark.parametrize("method", ["random", "grouped"])
@pytest.mark.parametrize("score", ["test_dice", "test_dice_tta"])
def test_the_means_over_seeds_are_those_of_the_runs_that_are_kept(method, score):
    dices = [float(row[score]) for row in read_csv(RUNS / "seeds.csv") if row["method"] == method]
    assert len(dices) >= 3
    assert f"{sum(dices) / len(dices):.3f} ({min(dices):.3f} to {max(dices):.3f})" in section("results")


def test_the_neighbours_are_those_of_the_run_that_is_kept():
    for method in ("random", "grouped"):
        split = json.loads((RUNS / method / "split.json").read_text())
        count, images = split["test_with_neighbour"]["here"], split["test"]["images"]
        assert f"{method}: {count} of {images}" in section("results")


def test_the_figures_of_the_sample_are_those_of_the_run_that_is_kept():
    scores = json.loads((ROOT / "metrics" / "sample" / "evaluate.json").read_text())
    assert f"Dice {scores['dice']['mean']:.3f}" in section("sample")


def test_every_file_that_contributing_names_exists():
    table = (ROOT / "CONTRIBUTING.md").read_text().partition("Which file do I touch?")[2].partition("\n##")[0]
    for name in re.findall(r"`([\w/]+(?:\.\w+|/))`", table):
        assert any((folder / name).exists() for folder in (ROOT / "src" / "unetseg", ROOT)), name


def test_contributing_lists_every_layer_of_the_library():
    layers = (ROOT / "CONTRIBUTING.md").read_text().partition("```text")[2].partition("```")[0]
    for path in (ROOT / "src" / "unetseg").iterdir():
        if path.is_dir() and (path / "__init__.py").exists():
            assert re.search(rf"\b{path.stem}\b", layers), path.stem
