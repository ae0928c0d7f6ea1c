"""`unetseg info`: print where a model came from, or which versions are installed."""

import argparse
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from unetseg import __version__

PACKAGES = ("dvc", "keras", "numpy", "opencv-python-headless", "scikit-image", "tensorflow")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    model_help = "a .keras file; without one, the versions of what is installed"
    parser.add_argument("model", nargs="?", type=Path, metavar="MODEL", help=model_help)


def run(options: argparse.Namespace) -> None:
    if options.model:
        from unetseg.model.facts import examine, read_facts  # noqa: PLC0415 - takes longer than all the rest

        examine(options.model)
        facts = read_facts(options.model) or {"origin": "unknown: not saved by unetseg"}
    else:
        facts = {"unetseg": __version__, "python": platform.python_version(), "platform": platform.platform()}
        facts |= {package: _version(package) for package in PACKAGES}
    print(json.dumps(facts, indent=2))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
