"""Find the images to predict, predict them, and say what was found; TensorFlow is loaded once that is known."""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unetseg.annotations.formats import FORMATS
from unetseg.errors import InputError, printable
from unetseg.images.inputs import Found, Input, find_inputs
from unetseg.model.facts import read_facts
from unetseg.prediction.results import Results
from unetseg.prediction.settings import Settings, Tuning, find_tuning, seen_by
from unetseg.prediction.stored import find_earlier, open_results
from unetseg.progress import progress

if TYPE_CHECKING:
    from unetseg.prediction.folder import Outcome

PRETRAINED = "pretrained/nuclei.keras"
TUNED = ("threshold", "depth", "min_size", "tta")


def predict(options: argparse.Namespace, held: ExitStack) -> int:
    """Predict as `unetseg.commands.predict` was asked to.

    Args:
        options: its arguments.
        held: keeps the folder of results locked, and the cluster connected.

    Returns:
        The exit status.
    """
    try:
        inputs = find_inputs(options.paths, options.out, earlier=find_earlier)
        print(f"{inputs}; loading the model", file=sys.stderr, flush=True)
        file = options.model or _pretrained()
        facts = read_facts(file)
        found, source = find_tuning(file, facts)
        inputs = _chosen(inputs, options, facts)
        given = {name: value for name in TUNED if (value := getattr(options, name)) is not None}
        tuned = found.changed(**given)
        asked = {name: getattr(options, name) for name in ("scale", "zoom", "pixel_size", "objects")}
        settings = tuned.settings(**asked)
        results = open_results(options.out, settings, options.write, file, tuned.estimate)
        refused = results.check(inputs.images)
        held.enter_context(results.locked())
        sources = [each for each in inputs.images if each not in refused]
        left = [each for each in sources if not (options.resume and results.is_done(each))]
        edited = {each: changed for each in left if (changed := results.edited(each))}
        if edited and not options.resume:
            raise InputError(_would_be_lost(edited))
        left = [each for each in left if each not in edited]
        predicted = _start(options, held, settings, tuned, file)
        print(_told(tuned, list(given), source), file=sys.stderr)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    if edited:
        kept = f"edited since and kept: {_some(edited)}"
        stale = "the tables have them as they were predicted"
        print(f"{kept}; {stale}; remove a file to predict it again", file=sys.stderr)
    if others := results.of_other_kinds(sources):
        print(f"files of an earlier run stay, and may show other objects: {_some(others)}", file=sys.stderr)
    for line in (*inputs.failed, *refused.values()):
        print(printable(line), file=sys.stderr)
    failed = int(bool(inputs.failed or refused))
    for failure in progress(predicted(left, results), "predict", len(left)):
        if failure:
            failed = 1
            print(failure, file=sys.stderr)
    for line in _summary(results.gather(sources), options.write):
        print(line, file=sys.stderr)
    return failed


def _start(
    options: argparse.Namespace, held: ExitStack, settings: Settings, tuned: Tuning, file: Path
) -> "Callable[[list[Input], Results], Iterator[Outcome]]":
    """Load the model, here or on the workers of a cluster; give the function that predicts images."""
    if options.dask:
        from unetseg.prediction.cluster import Job, connected, predict_on  # noqa: PLC0415 - an extra

        out = options.out.absolute() if isinstance(options.out, Path) else options.out
        job = Job(out, settings, tuple(options.write), tuned, file.name, file.read_bytes())
        return partial(predict_on, held.enter_context(connected(options.dask)), job)
    from unetseg.prediction.folder import open_predictor  # noqa: PLC0415 - takes seconds; a typo is told before

    return open_predictor(file, settings, tuned).predict


def _chosen(inputs: Found, options: argparse.Namespace, facts: dict[str, Any]) -> Found:
    """Choose channel and depth as asked for, or as the model was trained; other projections give other planes."""
    channel, project = seen_by(facts, options.channel, options.project)
    if (channel, project) == ("all", "none"):
        return inputs
    return find_inputs(options.paths, options.out, channel, project, find_earlier)


def _some(files: "Mapping[Input, list[Path]]") -> str:
    return f"{len(files)} images, such as {printable(str(next(iter(files.values()))[0]))}"


def _would_be_lost(edited: "Mapping[Input, list[Path]]") -> str:
    return f"edited since they were predicted: {_some(edited)}; --resume keeps them, or name another --out"


def _pretrained() -> Path:
    file = Path(str(files("unetseg"))) / PRETRAINED  # a link to the folder at the top, in a wheel a copy
    if not file.is_file():
        raise InputError(f"{file} is missing; name a model with --model")
    return file


def _told(tuned: Tuning, given: list[str], source: str) -> str:
    """Say which values are used and where they come from."""
    values = ", ".join(f"{name.replace('_', ' ')} {getattr(tuned, name)}" for name in TUNED)
    options = f"; {', '.join('--' + name.replace('_', '-') for name in given)} as given" if given else ""
    return f"{values} (from {source}{options})"


def _summary(images: list[dict[str, Any]], kinds: list[str]) -> Iterator[str]:
    """Say at which zooms the images were predicted, which files are not there, how many masks are likely good."""
    if not images:
        return
    for kind in kinds:
        empty = [image["image"] for image in images if FORMATS[kind].needs_objects and not image["objects"]]
        if empty:
            yield printable(f"no objects, so no {FORMATS[kind].name}: {len(empty)} images, such as {empty[0]}")
    zooms = Counter(round(image["zoom"], 2) for image in images).most_common()
    told = [f"{zoom:g} ({count})" for zoom, count in zooms[:5]] + ["…"] * (len(zooms) > 5)
    yield f"zoom (images): {', '.join(told)}"
    verdicts = Counter(image["verdict"] for image in images)
    line = f"{verdicts['fine']} of {len(images)} images look fine; {verdicts['look']} need a look"
    if verdicts["unlike"]:
        line += f"; {verdicts['unlike']} are unlike what the model was trained on: label a few of these next"
    yield line + (" (images.csv lists them first)" if verdicts["fine"] < len(images) else "")
