"""A project to run as a whole: the code and dvc.yaml as they are, twelve small images, a training of seconds."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
from dvc.utils.serialize import load_yaml, modify_yaml

ROOT = Path(__file__).parents[1]
PARTS = (
    ".dvc/config",
    ".dvc/.gitignore",
    ".dvc/plots",
    ".dvcignore",
    ".gitignore",
    "dvc.yaml",
    "stages",
    "src/unetseg",
)
TINY = {
    "image": {"size": 32},
    "split": {"method": "random", "validation": 0.25, "test": 0.25},
    "model": {"base_filters": 2, "max_filters": 4, "depth": 1, "stem_stride": 1, "residual": False},
    "train": {"epochs": 3, "batch_size": 3, "ema": 0.5, "patience": 100, "crop": 16, "crop_epochs": 0},
    "evaluate": {"bootstrap": 100, "external": "data/sample/elsewhere.zip"},
    "plot": {"examples": 1},
}
COPYING = """#!/bin/sh
case "$1" in
{scripts}) exec cp -R {outputs}/$(basename "$1" .py)/. . ;;
*) exec {python} "$@" ;;
esac
"""
EMPTY = "/nowhere"  # for settings of this user and computer, which must not matter


@dataclass(frozen=True)
class Project:
    """A folder with the pipeline in it."""

    folder: Path
    cold: bool = False  # whether programs import all anew, each in a process of its own
    programs: ClassVar[Path] = Path(sys.executable).parent  # of python and dvc where that is not asked for

    @property
    def environment(self) -> dict[str, str]:
        """Give the variables under which commands run: this Python first, this project's code, nobody's settings."""
        first = () if self.cold else (self.programs,)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "GIT_"))}
        return kept | {
            "PATH": os.pathsep.join(map(str, (*first, Path(sys.executable).parent, os.environ["PATH"]))),
            "PYTHONPATH": os.pathsep.join(map(str, (self.folder / "src", ROOT / "tests" / "recording", ROOT / "src"))),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "Ada"),
            **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "ada@example.org"),
            **dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), "1767225600 +0000"),  # same files, same commit
            "DVC_NO_ANALYTICS": "1",
            "DVC_GLOBAL_CONFIG_DIR": EMPTY,
            "DVC_SYSTEM_CONFIG_DIR": EMPTY,
            "DVC_SITE_CACHE_DIR": str(self.folder / ".dvc" / "tmp" / "site"),
        }

    def start(
        self, *command: str, stdin: int = subprocess.DEVNULL, stderr: int = subprocess.STDOUT
    ) -> subprocess.Popen[str]:
        """Start a command in a process group of its own; its stdout holds its stderr too."""
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )

    def try_run(self, *command: str) -> tuple[int, str]:
        """Run a command and give its exit status and all that it printed."""
        process = self.start(*command)
        printed, _ = process.communicate()
        return process.returncode, printed

    def unetseg(self, *words: str) -> tuple[int, str, str]:
        """Run a subcommand of unetseg and give its exit status and what it printed to stdout and stderr."""
        process = self.start("python", "-m", "unetseg.cli", *words, stderr=subprocess.PIPE)
        out, err = process.communicate()
        return process.returncode, out, err

    def run(self, *command: str) -> str:
        """Run a command that has to succeed and give all that it printed."""
        status, printed = self.try_run(*command)
        assert status == 0, f"{' '.join(command)} ended with {status}:\n{printed}"
        return printed

    def init(self) -> None:
        """Begin a git repository with DVC in it."""
        self.run("git", "init", "--quiet", "--initial-branch=main")
        self.dvc("init", "--quiet")

    def dvc(self, *arguments: str) -> str:
        """Run a dvc command that has to succeed and give all that it printed."""
        return self.run("dvc", *arguments)

    def commit(self, tag: str = "") -> None:
        """Commit all that git does not ignore, and tag the commit if need be."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", "Run")
        if tag:
            self.run("git", "tag", tag)

    def change(self, params: Mapping[str, Mapping[str, Any]]) -> None:
        """Change values of params.yaml."""
        with modify_yaml(self.folder / "params.yaml") as content:
            for section, values in params.items():
                content[section].update(values)

    def copy(self, folder: Path) -> "Project":
        """Copy all of it, the cache of DVC included."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)

    def stages(self) -> dict[str, Any]:
        """Give what dvc.lock tells of each stage: its command, its deps, its outs."""
        stages: dict[str, Any] = load_yaml(self.folder / "dvc.lock")["stages"]
        return stages

    def outs(self, *stages: str) -> list[Path]:
        """List the outputs of the stages, or of all."""
        known = self.stages()
        return [self.folder / out["path"] for stage in stages or known for out in known[stage]["outs"]]

    def contents(self, *stages: str) -> dict[str, dict[str, bytes]]:
        """Read the outputs that are there, each a file or a folder of files."""
        return {str(out.relative_to(self.folder)): _files(out) for out in self.outs(*stages) if out.exists()}

    def copying(self, *stages: str, beside: Path) -> Path:
        """Make programs whose `python stages/STAGE.py` of these stages copies the outputs that are there now."""
        programs = beside / "programs"
        shutil.copytree(self.programs, programs, ignore=lambda *_: ["socket", "log"])
        for stage in stages:
            for out in self.outs(stage):
                copy = beside / stage / out.relative_to(self.folder)
                copy.parent.mkdir(parents=True, exist_ok=True)
                (shutil.copytree if out.is_dir() else shutil.copy)(out, copy)
        scripts = " | ".join(f"stages/{stage}.py" for stage in stages)
        python = COPYING.format(scripts=scripts, outputs=beside, python=self.programs / "python")
        (programs / "python").write_text(python)
        return programs

    def clear(self, *stages: str) -> None:
        """Remove the outputs of the stages, as dvc does before it runs them."""
        for out in self.outs(*stages):
            remove(out)


def make_project(folder: Path) -> Project:
    """Make a new project, committed, that has not run yet."""
    for part in PARTS:
        source, target = ROOT / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "pretrained"))
        else:
            shutil.copy(source, target)
    shutil.copy(ROOT / "params.yaml", folder)
    (folder / "data").mkdir()
    shutil.copy(ROOT / "data" / "groups.csv", folder / "data")
    (folder / "pretrained").mkdir()
    (folder / "pretrained" / "README.md").touch()
    write_images(folder / "data" / "sample" / "nuclei.zip")
    write_images(folder / "data" / "sample" / "elsewhere.zip", count=3, size=40)
    project = Project(folder)
    project.change(TINY | {"data": {"archive": "data/sample/nuclei.zip"}})
    project.run("git", "init", "--quiet", "--initial-branch=main")
    project.commit()
    return project


def write_images(path: Path, count: int = 12, size: int = 32, seed: int = 0) -> None:
    """Write an archive of bright rectangles on noise, two an image, every third image in colour."""
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(count):
            shape = (size, size, 3) if number % 3 == 0 else (size, size)
            image = rng.integers(0, 60, shape, np.uint8)
            for part, column in enumerate((2, 18)):
                mask = np.zeros((size, size), np.uint8)
                row = int(rng.integers(2, 16))
                mask[row : row + 12, column : column + 10] = 255
                image[mask > 0] += 120
                archive.writestr(f"{number:02d}/masks/{part}.png", cv2.imencode(".png", mask)[1].tobytes())
            archive.writestr(f"{number:02d}/images/{number:02d}.png", cv2.imencode(".png", image)[1].tobytes())


def remove(out: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if out.is_dir():
        shutil.rmtree(out)
    else:
        out.unlink(missing_ok=True)


def ran(printed: str) -> list[str]:
    """List the stages whose commands dvc ran, by what it printed."""
    return re.findall(r"^Running stage '(\w+)':$", printed, re.MULTILINE)


def restored(printed: str) -> list[str]:
    """List the stages whose outputs dvc took from its run-cache, by what it printed."""
    return re.findall(r"^Stage '(\w+)' is cached - skipping run, checking out outputs$", printed, re.MULTILINE)


def _files(out: Path) -> dict[str, bytes]:
    files = sorted(file for file in out.rglob("*") if file.is_file()) if out.is_dir() else [out]
    return {str(file.relative_to(out)): file.read_bytes() for file in files}
