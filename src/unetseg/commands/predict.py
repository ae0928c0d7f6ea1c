"""`unetseg predict`: masks, objects and tables for new images."""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from unetseg.annotations.formats import FORMATS, WRITABLE
from unetseg.commands.values import PROJECTIONS, TUNED, channel, number, over_zero, share, told_values, whole
from unetseg.errors import InputError, printable
from unetseg.images.inputs import Input, find_inputs
from unetseg.images.storage import Place, place
from unetseg.model import PRETRAINED
from unetseg.model.facts import read_facts
from unetseg.prediction.results import PRINTED, Results
from unetseg.prediction.settings import LEAST, MOST, Objects, Scale, Settings, Tuning, find_tuning, seen_by
from unetseg.prediction.stored import find_earlier, open_results, recorded
from unetseg.progress import progress

if TYPE_CHECKING:
    from unetseg.prediction.folder import Outcome
USELESS = {"separated": set(), "connected": {"depth"}, "none": {"depth", "min_size"}}  # options, by --objects


def add_arguments(parser: argparse.ArgumentParser) -> None:
    paths_help = "an image, a folder of images, a pattern in quotes, or a URL such as s3://bucket/plates"
    parser.add_argument("paths", nargs="+", metavar="PATH", help=paths_help)
    parser.add_argument("--out", type=place, required=True, metavar="DIR", help="the folder or URL to write to")
    parser.add_argument("--model", type=Path, metavar="M.keras", help="default: the pretrained model of nuclei")
    scale_help = (
        "resize: fit each image to the model's size; tiles: its own size, in tiles; auto (default): as in training for "
        "images of sizes that the model was trained on, else at the zoom at which the model is most certain"
    )
    parser.add_argument("--scale", type=_scale, choices=get_args(Scale), default="auto", help=scale_help)
    zoom_help = "enlarge images by this factor for the model; auto (default): as --scale says"
    parser.add_argument("--zoom", type=_zoom, metavar="F", help=zoom_help)
    pixel_help = "size of the images' pixels, in place of what their files say; needs a model that knows its own"
    parser.add_argument("--pixel-size", type=over_zero, metavar="MICROMETRES", help=pixel_help)
    tta_help = "average over the 8 flips and quarter turns: 8 times slower; default: as evaluated"
    parser.add_argument("--tta", action=argparse.BooleanOptionalAction, help=tta_help)
    parser.add_argument(
        "--threshold",
        type=share,
        metavar="P",
        help="probability from which a pixel is foreground; default: as evaluated, else 0.5",
    )
    objects_help = "separated: split touching objects; connected: do not; none: only masks, which is fastest"
    parser.add_argument("--objects", choices=get_args(Objects), default="separated", help=objects_help)
    depth_help = (
        "minimum depth of the neck at which touching objects are split, in pixels that the model sees; "
        "default: as evaluated, else 1"
    )
    parser.add_argument("--depth", type=over_zero, metavar="PIXELS", help=depth_help)
    size_help = "ignore smaller objects, in pixels that the model sees; default: as evaluated, else 8"
    parser.add_argument("--min-size", type=partial(whole, least=0), metavar="PIXELS", help=size_help)
    channel_help = "a number from 0, a name from the file's metadata, or all: the image as it is"
    parser.add_argument("--channel", type=channel, metavar="C", help=f"{channel_help}; default: as trained")
    project_help = "project z-stacks to one image, or none: predict each plane; default: as trained"
    parser.add_argument("--project", choices=PROJECTIONS, help=project_help)
    kinds_help = "also write " + "; ".join(f"{kind}: {FORMATS[kind].purpose}" for kind in WRITABLE)
    parser.add_argument("--write", type=_kinds, default=[], metavar="KIND,…", help=kinds_help)
    dask_help = "predict on a Dask cluster: the address of its scheduler, or local:N for N processes of this computer"
    parser.add_argument("--dask", metavar="ADDRESS", help=dask_help)
    parser.add_argument("--resume", action="store_true", help="skip images whose results are complete")


def run(options: argparse.Namespace) -> int:
    """Find the images, and load TensorFlow once they are known; the folder of results is locked until all are done."""
    with ExitStack() as held:
        try:
            file = options.model or PRETRAINED
            if not options.model and not file.is_file():
                raise InputError(f"{file} is missing; name a model with --model")
            facts = read_facts(file)
            channel, project = seen_by(facts, options.channel, options.project)
            inputs = find_inputs(options.paths, options.out, channel, project, find_earlier)
            print(f"{inputs}; loading the model", file=sys.stderr, flush=True)
            found, source = find_tuning(file, facts)
            given = {name: value for name in TUNED if (value := getattr(options, name)) is not None}
            tuned = found.changed(**given)
            settings = _settings(options, tuned, given)
            results = open_results(options.out, settings, options.write, file, tuned)
            refused = results.check(inputs.images)
            held.enter_context(results.locked())
            sources = [each for each in inputs.images if each not in refused]
            left = [each for each in sources if not (options.resume and results.is_done(each))]
            edited = {each: changed for each in left if (changed := results.edited(each))}
            results.check_edited(edited)
            if edited and not options.resume:
                rule = "--resume keeps them, or name another --out"
                raise InputError(f"edited since they were predicted: {_some(edited)}; {rule}")
            left = [each for each in left if each not in edited]
            predicted = _start(options, held, settings, tuned, file)
            print(told_values(tuned, given, source), file=sys.stderr)
        except InputError as error:
            print(error, file=sys.stderr)
            return 2
        if edited:
            told = f"edited since and kept: {_some(edited)}"
            stale = "the tables have them as they were predicted"
            print(f"{told}; {stale}; remove a file to predict it again", file=sys.stderr)
        for line in (*inputs.failed, *refused.values()):
            print(printable(line), file=sys.stderr)
        failed = int(bool(inputs.failed or refused))
        results.begin_all(left)
        failed |= _tell(progress(predicted(left, results), "predict", len(left)))
        images = results.gather(sources)
        gone = recorded(options.out) - {each.name for each in inputs.images}
        for table, names in results.lacking(sources, edited).items():
            line = (
                f"{len(names)} images, such as {names[0]}, kept from a run that did not make it or note what it needs"
            )
            print(printable(f"{table}: lacks {line}"), file=sys.stderr)
        stay = _of_earlier_runs(results.of_earlier_runs(sources), results.tables_of_earlier_runs(), gone)
        kept = {each.name for each in edited}
        if left and isinstance(options.out, Path) and (page := options.out / "report.html").exists():
            told = f"{page}: shows an earlier run; `unetseg report {options.out}` writes it anew"
            print(printable(told), file=sys.stderr)
        for line in (*stay, *_coarse(results.coarse(sources)), *_summary(images, options.write, kept)):
            print(line, file=sys.stderr)
        return failed


def _settings(options: argparse.Namespace, tuned: Tuning, given: Collection[str]) -> Settings:
    for name in USELESS[options.objects].intersection(given):
        raise InputError(f"--{name.replace('_', '-')} does nothing with --objects {options.objects}; leave one out")
    return tuned.settings(**{name: getattr(options, name) for name in ("scale", "zoom", "pixel_size", "objects")})


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


def _tell(outcomes: "Iterable[Outcome]") -> int:
    """Print what failed as it comes, once where all planes of a stack have the same fault; give 1 if anything did."""
    told = set[object]()
    for failure in outcomes:
        if failure and failure not in told:
            print(failure, file=sys.stderr)
            told.add(failure)
    return int(bool(told))


def _some(files: Mapping[Input, Sequence[Place]]) -> str:
    return f"{len(files)} images, such as {printable(str(next(iter(files.values()))[0]))}"


def _of_earlier_runs(
    files: Mapping[Input, Sequence[Place]], tables: Sequence[Place], gone: Collection[str]
) -> Iterator[str]:
    """Say what stays of earlier runs: files of present images, tables, and images that are not among this run's."""
    if tables:
        yield printable(f"of an earlier run, with its images and objects: {', '.join(map(str, tables))}")
    if files:
        yield f"files of an earlier run stay, and may show other objects: {_some(files)}"
    if gone:
        rule = "predict all in one run, with --resume, to have them there, or others into another folder"
        line = f"{len(gone)} images of earlier runs are no longer in the tables, such as {min(gone)}; {rule}"
        yield printable(line)


def _coarse(names: Sequence[str]) -> Iterator[str]:
    if names:
        rule = "if their files state a resolution for printing, areas in µm² are wrong: correct it there"
        yield printable(f"pixels of {PRINTED} µm or more: {len(names)} images, such as {names[0]}; {rule}")


def _summary(images: list[dict[str, Any]], kinds: list[str], kept: Collection[str]) -> Iterator[str]:
    """Say at which zooms the images were predicted, which files are not there, how many masks are likely good.

    Those that are `kept` as edited may have files that others without objects lack.
    """
    if not images:
        yield "no image has a result"
        return
    without = [image["image"] for image in images if image.get("objects") == 0 and image["image"] not in kept]
    for kind in kinds:
        if without and FORMATS[kind].needs_objects:
            yield printable(f"no objects, so no {FORMATS[kind].name}: {len(without)} images, such as {without[0]}")
    zooms = Counter(round(image["zoom"], 2) for image in images).most_common()
    told = [f"{zoom:g} ({count})" for zoom, count in zooms[:5]] + ["…"] * (len(zooms) > 5)
    yield f"zoom (images): {', '.join(told)}"
    verdicts = Counter("empty" if image.get("objects") == 0 else image["verdict"] for image in images)
    line = f"{verdicts['fine']} of {len(images)} images look fine; {verdicts['look']} need a look"
    if verdicts["unlike"]:
        line += f"; {verdicts['unlike']} are unlike what the model was trained on: label a few of these next"
    line += " (images.csv lists them first)" if verdicts["look"] or verdicts["unlike"] else ""
    yield line + (
        f"; in {verdicts['empty']} no object was found: look whether there is none" if verdicts["empty"] else ""
    )


def _scale(word: str) -> str:
    return "tiles" if word == "native" else word  # its former name


def _zoom(word: str) -> float | None:
    if word == "auto":
        return None
    return number(word, LEAST, MOST, f"auto, or a number from 1/{1 / LEAST:g} to {MOST:g}")


def _kinds(words: str) -> list[str]:
    if unknown := set(words.split(",")) - set(WRITABLE):
        raise argparse.ArgumentTypeError(f"{min(unknown)!r} is not one of {', '.join(WRITABLE)}")
    return words.split(",")
