"""`unetseg check`: list all problems of an archive."""

import argparse
import sys
import tempfile
from pathlib import Path

from unetseg.dataset.archive import extract, opened
from unetseg.dataset.samples import check_samples
from unetseg.params_file import load_params


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument("archive", type=Path, metavar="ARCHIVE", help="a zip; the limits in ./params.yaml apply")


def run(options: argparse.Namespace) -> int:
    """Run the subcommand; see `unetseg.cli`."""
    data = load_params().data
    with tempfile.TemporaryDirectory() as folder:
        with opened(options.archive, data) as contents:
            extract(contents, Path(folder) / "samples")
        found = check_samples(Path(folder) / "samples", data.channel, data.project)
    for line in found.lines():
        print(line.replace(f"{folder}/samples/", ""), file=sys.stderr)
    counts = f"{found.used} of {found.used + len(found.unusable)} samples can be used"
    print(f"{options.archive}: {counts}, with {len(found.warnings)} warnings")
    return int(bool(found.unusable) or not found.foreground)
