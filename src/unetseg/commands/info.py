"""`unetseg info`: say where a model came from: revision, parameters, data, best epoch."""

import argparse
import json
from pathlib import Path

from unetseg.model.file import read_facts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="a .keras file")


def run(options: argparse.Namespace) -> None:
    """Run the subcommand; see `unetseg.cli`."""
    print(json.dumps(read_facts(options.model), indent=2))
