"""The commands on the pages of docs/ run, in their order, in a small project that has run once."""

import os
import re
import shutil
import stat
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(<!-- not run: (?P<reason>[^>]+) -->\n)?```bash\n(?P<commands>.*?)```", re.DOTALL)
UNETSEG = '#!/bin/sh\nexec python -m unetseg.cli "$@"\n'


def commands(page):
    written = "".join(block["commands"] for block in BLOCK.finditer(page.read_text()) if not block["reason"])
    return written.replace("folds=5", "folds=2")  # each fold is a training


@pytest.fixture
def project(finished, tmp_path, monkeypatch):
    """A copy of the project after its first run, with labelled images, new images, and `unetseg` on the path."""
    project = finished.copy(tmp_path / "project")
    project.commit()
    folder = project.folder
    shutil.copytree(folder / "data" / "unzipped", folder / "my_labelled")
    (folder / "my_images").mkdir()
    for sample in sorted((folder / "data" / "unzipped").iterdir())[:2]:
        shutil.copy(next((sample / "images").iterdir()), folder / "my_images")
    for name in ("src/unetseg/pretrained", "presets"):
        (folder / name).symlink_to(ROOT / name)
    program = tmp_path / "bin" / "unetseg"
    program.parent.mkdir()
    program.write_text(UNETSEG)
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    return project


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.stem)
def test_the_commands_of_a_page_run(page, project):
    project.run("bash", "-euo", "pipefail", "-c", commands(page))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_block_of_commands_escapes_the_test(page):
    assert page.read_text().count("```bash") == len(BLOCK.findall(page.read_text()))


def test_the_table_of_guides_lists_every_page():
    table = (ROOT / "docs" / "README.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in table, page.name
