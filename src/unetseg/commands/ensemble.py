"""`unetseg ensemble`: average several models, such as those of some folds or seeds, into one."""

import argparse
from pathlib import Path

from unetseg.errors import InputError
from unetseg.export.ensemble import join_models
from unetseg.files import check_output
from unetseg.model.facts import read_facts
from unetseg.model.file import load_model, save_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL", help=".keras files of the same input size")
    parser.add_argument("--out", type=Path, required=True, metavar="OUT.keras", help="the averaged model")


def run(options: argparse.Namespace) -> None:
    check_output(options.out)
    if options.out.suffix != ".keras":
        raise InputError(f"{options.out}: is not named .keras, as the model that is written there")
    joined = join_models([load_model(path) for path in options.models])
    facts = [read_facts(path) for path in options.models]
    kept = {"trained_with": facts[0].get("trained_with", {}), "ensemble": facts}
    save_model(options.out, joined, kept)
