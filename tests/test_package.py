"""The package as pip installs it, away from the clone that it was built from."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import pytest
from spots import spots

ROOT = Path(__file__).parents[1]
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Build a wheel and unpack it, as pip does."""
    folder = tmp_path_factory.mktemp("package")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in ("src/unetseg", "pretrained"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-c", BUILD, "dist"], cwd=folder, capture_output=True, check=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "installed")
    return folder / "installed"


@pytest.mark.slow
def test_the_wheel_holds_every_file_that_the_package_needs_and_the_pretrained_model(installed):
    def files(folder):
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

    source = {name for name in files(ROOT / "src" / "unetseg") if "__pycache__" not in name}
    assert files(installed / "unetseg") >= source
    assert (installed / "unetseg/pretrained/nuclei.keras").read_bytes() == (
        ROOT / "pretrained/nuclei.keras"
    ).read_bytes()


@pytest.mark.slow
def test_an_installed_package_predicts_with_the_pretrained_model_without_a_clone(installed, tmp_path):
    cv2.imwrite(str(tmp_path / "image.png"), spots(64, 80))
    command = [sys.executable, "-m", "unetseg.cli", "predict", "--out", "out", "image.png"]
    environment = os.environ | {"PYTHONPATH": str(installed)}
    subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert cv2.imread(str(tmp_path / "out" / "image.png")).shape == (64, 80, 3)
