"""`unetseg ensemble`: average several models, such as those of some folds or seeds, into one."""

import argparse
import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unetseg.commands.values import told_values
from unetseg.errors import InputError
from unetseg.export.ensemble import join_models
from unetseg.files import check_output, check_sources, sha256, write_json
from unetseg.model.facts import read_facts
from unetseg.model.file import load_model, save_model
from unetseg.prediction.settings import Tuning, find_tuning, joined_values, read_tuning

ALIKE = (("data", "channel"), ("data", "project"), ("image", "mode"), ("image", "pixel_size"))  # how images are seen


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL", help=".keras files of the same input size")
    parser.add_argument("--out", type=Path, required=True, metavar="OUT.keras", help="the averaged model")


def run(options: argparse.Namespace) -> None:
    check_output(options.out)
    if options.out.suffix != ".keras":
        raise InputError(f"{options.out}: is not named .keras, as the model that is written there")
    check_sources(options.out, options.models)
    facts = [read_facts(path) for path in options.models]
    for path, own in zip(options.models, facts, strict=True):
        _check_alike(path, own.get("trained_with", {}), options.models[0], facts[0].get("trained_with", {}))
    values = options.out.with_suffix(".json")
    chosen = [find_tuning(*each) for each in zip(options.models, facts, strict=True)]
    lacking = [path for path, (_, source) in zip(options.models, chosen, strict=True) if not Path(source).is_file()]
    check_sources(values, [Path(source) for _, source in chosen])
    _check_values(values)
    kept = {"trained_with": facts[0].get("trained_with", {}), "ensemble": facts}
    joined = join_models([load_model(path) for path in options.models], options.models)
    save_model(options.out, joined, kept)
    if lacking:
        rule = "predict uses defaults with it"
        print(f"{options.out}: has no values of its own, as {lacking[0]} has none: {rule}", file=sys.stderr)
        return
    tuning = joined_values([each for each, _ in chosen], sha256(options.out))
    write_json(values, tuning.model_dump())
    print(told_values(tuning, [], f"{values}, medians of the models' own"), file=sys.stderr)


def _check_values(path: Path) -> None:
    """Refuse to replace, or to leave to the new model, a file of values that lacks some, as one made by hand does.

    Raises:
        InputError: naming it.
    """
    check_output(path)
    with contextlib.suppress(InputError):  # it holds something else
        if not path.exists() or read_tuning(path).model_fields_set == Tuning.model_fields.keys():
            return
    raise InputError(f"{path}: is not what ensemble or evaluate wrote, which alone is replaced; name another --out")


def _check_alike(path: Path, own: Mapping[str, Any], first: Path, others: Mapping[str, Any]) -> None:
    """Refuse a model that was trained on images seen in another way: the ensemble can see them in one only.

    Raises:
        InputError: naming both models and the value.
    """
    for section, name in ALIKE:
        values = [facts.get(section, {}).get(name) for facts in (own, others)]
        if None not in values and values[0] != values[1]:
            raise InputError(f"{path}: {section}.{name} is {values[0]} there, and {values[1]} in {first}")
