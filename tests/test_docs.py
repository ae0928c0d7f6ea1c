"""The commands on the pages of docs/ run, in their order, in a small project that has run once."""

import os
import re
import shutil
import stat
import zipfile
from pathlib import Path

import cv2
import pytest
from pipeline import Project, write_images

from unetseg.dataset.samples import read_sample
from unetseg.files import read_csv

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(<!-- not run: (?P<reason>[^>]+) -->\n)?```bash\n(?P<commands>.*?)```", re.DOTALL)
EVALUATE = "unetseg evaluate --model models/unet_model.keras --out"  # docs/correct.md takes what the first run scored
EXTERNAL = "data/predictions/external"
IMPORT = "unetseg import predictions"  # before this line of docs/correct.md, a person has edited label images
UNETSEG = '#!/bin/sh\nexec python -m unetseg.cli "$@"\n'
COPIED = {  # by page, long stages whose outputs are copied from the first run: it does not say what they do
    "correct": ["plot"],
    "evaluate": ["train", "plot"],
    "experiments": ["train", "evaluate", "plot"],
    "train": ["evaluate", "plot"],
}


def commands(page):
    written = "".join(block["commands"] for block in BLOCK.finditer(page.read_text()) if not block["reason"])
    written = written.replace("folds=5", "folds=2")  # each fold is a training
    written = written.replace(f"{EVALUATE} before held_out.zip", f"cp -R {EXTERNAL} before")
    return written.replace(IMPORT, f"cp corrected/*.tif predictions\n{IMPORT}")


def dices(folder):
    return {row["id"]: row["dice"] for row in read_csv(folder / "per_image.csv")}


@pytest.fixture
def project(finished, tmp_path, monkeypatch):
    """A copy of the project after its first run, with labelled images, new images, and `unetseg` on the path."""
    project = finished.copy(tmp_path / "project")
    project.commit()
    folder = project.folder
    pretrained = folder / "src" / "unetseg" / "pretrained"  # the model that the pages predict with: a small one
    pretrained.mkdir()
    for name in ("my_labelled", "my_folder"):
        shutil.copytree(folder / "data" / "unzipped", folder / name)
    shutil.copy(folder / "data" / "sample" / "nuclei.zip", folder / "old.zip")
    shutil.copy(folder / "data" / "sample" / "elsewhere.zip", folder / "held_out.zip")
    write_plate(folder)
    (folder / "my_images").mkdir()
    for sample in sorted((folder / "data" / "unzipped").iterdir())[:2]:
        shutil.copy(next((sample / "images").iterdir()), folder / "my_images")
    shutil.copytree(ROOT / "presets", folder / "presets")
    tune = folder / "presets" / "finetune.yaml"
    tune.write_text(re.sub(r"epochs: 20\b", "epochs: 2", tune.read_text()))  # its images are learned in fewer
    shutil.copy(folder / "models" / "unet_model.keras", pretrained / "nuclei.keras")
    shutil.copy(folder / "models" / "tuning.json", pretrained / "nuclei.json")
    program = tmp_path / "bin" / "unetseg"
    program.parent.mkdir()
    program.write_text(UNETSEG)
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    return project


def write_plate(folder):
    """Write new images to predict, and the label images that a person makes of the first two of three."""
    write_images(folder / "plate.zip", count=3, seed=1)
    with zipfile.ZipFile(folder / "plate.zip") as archive:
        archive.extractall(folder / "truth")
    (folder / "plate").mkdir()
    (folder / "corrected").mkdir()
    for number, sample in enumerate(sorted((folder / "truth").iterdir())):
        shutil.copy(sample / "images" / f"{sample.name}.png", folder / "plate" / f"well{number}.png")
        if number < 2:
            labels = read_sample(sample).labels
            cv2.imwrite(str(folder / "corrected" / f"well{number}.labels.tif"), labels)


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.stem)
def test_the_commands_of_a_page_run(page, project, finished, tmp_path, monkeypatch):
    if stages := COPIED.get(page.stem):
        monkeypatch.setattr(Project, "programs", project.copying(*stages, beside=tmp_path / "copied"))
    printed = project.run("bash", "-euo", "pipefail", "-c", commands(page))
    if IMPORT in commands(page):
        assert "corrected.zip: 2 images with 4 objects" in printed
        assert "merged.zip: 14 images" in printed
        assert "train.start_from: models/unet_model.keras as DVC's cache has it" in printed
        assert "on 3 images of" in printed.splitlines()[-1]
        assert f"{EVALUATE} scores held_out.zip" in commands(ROOT / "docs" / "evaluate.md")
    if page.stem == "experiments":
        assert "2 runs; varied: split.fold" in printed.splitlines()
        assert "2 of 2 folds" in printed.splitlines()
    if EVALUATE in commands(page):
        evaluated, first = (dices(path) for path in (project.folder / "scores", finished.folder / EXTERNAL))
        assert evaluated == first  # so that docs/correct.md may take these
        assert len(first) == 3


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_block_of_commands_escapes_the_test(page):
    assert page.read_text().count("```bash") == len(BLOCK.findall(page.read_text()))


def test_the_table_of_guides_lists_every_page():
    table = (ROOT / "docs" / "README.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in table, page.name
