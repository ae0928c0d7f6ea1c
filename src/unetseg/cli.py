"""The `unetseg` command: a table of subcommands, each a module that is imported when it is called."""

import argparse
import importlib
import keyword
import sys
from collections.abc import Sequence

from unetseg import __version__
from unetseg.stage import one_line_errors

COMMANDS = {  # in the order in which --help shows them
    "sample": "write the synthetic sample archive",
    "import": "make an archive from images and masks in other forms, corrected predictions, or several archives",
    "check": "list all problems of an archive before you train on it",
    "predict": "write masks, objects and tables for new images",
    "evaluate": "score a model on labelled archives",
    "compare": "tell whether one evaluation is significantly better than another",
    "sweep": "run an experiment for each combination of values, and gather their Dice in a table and a plot",
    "folds": "print mean and standard deviation of the scores over the folds of a cross-validation",
    "report": "write an HTML page to look through predictions",
    "info": "print where a model came from, or which versions are installed",
    "ensemble": "average several models, such as those of a cross-validation, into one",
    "export": "convert a model for another runtime, and compare it with Keras",
    "preset": "print a preset as `-S key=value` options for `dvc exp run`",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the `unetseg` command with the words after `unetseg`; those of the process if None.

    A subcommand's module has `add_arguments(parser)` and `run(options)`, which gives the exit status or None for 0.

    Returns:
        The exit status: 0 done; 1 something could not be read, used or written, named on stderr (of several inputs the
        others are done); 2 unusable arguments, and for `predict` also that nothing was predicted.
    """
    with one_line_errors():
        return _run(list(sys.argv[1:] if arguments is None else arguments))


def _run(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="unetseg", description="Segment images with a U-Net you can trust.")
    parser.add_argument("--version", action="version", version=__version__)
    parsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, purpose in COMMANDS.items():
        subparser = parsers.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.")
        if words[:1] == [name]:  # only one module is imported, so that --help is instant
            module = importlib.import_module(f"unetseg.commands.{name}{'_' * keyword.iskeyword(name)}")
            module.add_arguments(subparser)
    options = parser.parse_args(words)
    return int(module.run(options) or 0)


if __name__ == "__main__":
    sys.exit(main())
