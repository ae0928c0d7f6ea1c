"""`unetseg predict`: masks, objects and tables for new images."""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unetseg.annotations.formats import FORMATS, WRITABLE
from unetseg.errors import InputError, printable
from unetseg.images.storage import place
from unetseg.prediction.tuning import Tuning, find_tuning

if TYPE_CHECKING:
    from unetseg.images.inputs import Found, Input
    from unetseg.prediction.folder import Outcome
    from unetseg.prediction.results import Results
    from unetseg.prediction.settings import Settings

PRETRAINED = "pretrained/nuclei.keras"
TUNED = ("threshold", "depth", "min_size", "tta")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    paths_help = "an image, a folder of images, a pattern in quotes, or a URL such as s3://bucket/plates"
    parser.add_argument("paths", nargs="+", metavar="PATH", help=paths_help)
    parser.add_argument("--out", type=place, required=True, metavar="DIR", help="the folder or URL to write to")
    parser.add_argument("--model", type=Path, metavar="M.keras", help="default: the pretrained model of nuclei")
    scale_help = (
        "resize: fit each image to the model's size; tiles: its own size, in tiles; auto (default): as in training for "
        "images of sizes that the model was trained on, else at the zoom at which the model is most certain"
    )
    parser.add_argument("--scale", type=_scale, choices=("auto", "resize", "tiles"), default="auto", help=scale_help)
    zoom_help = "pixels that the model sees for each of the image, or auto (default)"
    parser.add_argument("--zoom", type=_zoom, metavar="F", help=zoom_help)
    pixel_help = "size of the images' pixels, where their files do not say it; needs a model that knows its own"
    parser.add_argument("--pixel-size", type=_over_zero, metavar="MICROMETRES", help=pixel_help)
    tta_help = "average over the 8 flips and quarter turns: 8 times slower; default: as evaluated"
    parser.add_argument("--tta", action=argparse.BooleanOptionalAction, help=tta_help)
    parser.add_argument(
        "--threshold",
        type=_share,
        metavar="P",
        help="probability from which a pixel is foreground; default: as evaluated, else 0.5",
    )
    objects_help = "separated: split touching objects; connected: do not; none: only masks, which is fastest"
    parser.add_argument("--objects", choices=("separated", "connected", "none"), default="separated", help=objects_help)
    depth_help = "minimum depth of the neck at which touching objects are split; default: as evaluated, else 1"
    parser.add_argument("--depth", type=_over_zero, metavar="PIXELS", help=depth_help)
    size_help = "ignore smaller objects; default: as evaluated, else 8"
    parser.add_argument("--min-size", type=int, metavar="PIXELS", help=size_help)
    channel_help = "a number from 0, a name from the file's metadata, or all: the image as it is"
    parser.add_argument("--channel", type=_channel, metavar="C", help=f"{channel_help}; default: as trained")
    project_help = "project z-stacks to one image, or none: predict each plane; default: as trained"
    parser.add_argument("--project", choices=("none", "max", "mean"), help=project_help)
    kinds_help = "also write " + "; ".join(f"{kind}: {FORMATS[kind].purpose}" for kind in WRITABLE)
    parser.add_argument("--write", type=_kinds, default=[], metavar="KIND,…", help=kinds_help)
    dask_help = "predict on a Dask cluster: the address of its scheduler, or local:N for N processes of this computer"
    parser.add_argument("--dask", metavar="ADDRESS", help=dask_help)
    parser.add_argument("--resume", action="store_true", help="skip images whose results are complete")


def run(options: argparse.Namespace) -> int:
    with ExitStack() as held:
        return _run(options, held)


def _run(options: argparse.Namespace, held: ExitStack) -> int:
    from unetseg.images.inputs import find_inputs  # noqa: PLC0415 - the other commands start faster
    from unetseg.model.facts import read_facts  # noqa: PLC0415
    from unetseg.prediction.settings import Settings  # noqa: PLC0415
    from unetseg.prediction.stored import find_earlier, open_results  # noqa: PLC0415
    from unetseg.progress import progress  # noqa: PLC0415

    try:
        inputs = find_inputs(options.paths, options.out, results=find_earlier(options.out))
        print(f"{inputs}; loading the model", file=sys.stderr, flush=True)
        file = options.model or _pretrained()
        facts = read_facts(file)
        found, source = find_tuning(file, facts)
        inputs = _chosen(inputs, options, facts)
        given = {name: value for name in TUNED if (value := getattr(options, name)) is not None}
        tuned = found.model_copy(update=given)
        values = {name: getattr(tuned, name) for name in TUNED}
        asked = {name: getattr(options, name) for name in ("scale", "zoom", "pixel_size", "objects")}
        settings = Settings(**values, **asked)
        results = open_results(options.out, settings, options.write, file, tuned.estimate)
        refused = results.check(inputs.images)
        held.enter_context(results.locked())
        sources = [each for each in inputs.images if each not in refused]
        left = [each for each in sources if not (options.resume and results.is_done(each))]
        edited = {each: files for each in left if (files := options.resume and results.edited(each))}
        left = [each for each in left if each not in edited]
        predicted = _start(options, held, settings, tuned, file)
        print(_told(tuned, list(given), source), file=sys.stderr)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    if edited:
        some = printable(str(next(iter(edited.values()))[0]))
        print(
            f"edited since and kept: {len(edited)} images, such as {some}; remove a file to predict it again",
            file=sys.stderr,
        )
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
    options: argparse.Namespace, held: ExitStack, settings: "Settings", tuned: Tuning, file: Path
) -> "Callable[[list[Input], Results], Iterator[Outcome]]":
    """Load the model, here or on the workers of a cluster; give the function that predicts images."""
    if options.dask:
        from unetseg.prediction.cluster import Job, connected, predict_on  # noqa: PLC0415 - an extra

        out = options.out.absolute() if isinstance(options.out, Path) else options.out
        job = Job(out, settings, tuple(options.write), tuned, file.name, file.read_bytes())
        return partial(predict_on, held.enter_context(connected(options.dask)), job)
    from unetseg.model.file import load_model  # noqa: PLC0415 - takes seconds; a typo is told before
    from unetseg.prediction.folder import predict_files  # noqa: PLC0415
    from unetseg.prediction.predictor import Predictor  # noqa: PLC0415
    from unetseg.prediction.zoom import Zooming  # noqa: PLC0415

    return partial(predict_files, Predictor(load_model(file), tta=settings.tta), zooming=Zooming(settings, tuned))


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
    yield f"zoom, pixels that the model sees for each of an image (images): {', '.join(told)}"
    fine, look, unlike = (sum(image["verdict"] == each for image in images) for each in ("fine", "look", "unlike"))
    line = f"{fine} of {len(images)} images look fine; {look} need a look"
    if unlike:
        line += f"; {unlike} are unlike what the model was trained on: label a few of these next"
    yield line + (" (images.csv lists them first)" if look or unlike else "")


def _chosen(inputs: "Found", options: argparse.Namespace, facts: dict[str, Any]) -> "Found":
    """Choose channel and depth as asked for, or as the model was trained; other projections give other planes."""
    from unetseg.images.inputs import find_inputs  # noqa: PLC0415
    from unetseg.prediction.stored import find_earlier  # noqa: PLC0415

    trained = facts.get("trained_with", {}).get("data", {})
    channel = trained.get("channel", "all") if options.channel is None else options.channel
    project = options.project or trained.get("project", "none")
    earlier = find_earlier(options.out)
    as_found = (channel, project) == ("all", "none")
    return inputs if as_found else find_inputs(options.paths, options.out, channel, project, earlier)


def _pretrained() -> Path:
    file = Path(str(files("unetseg"))) / PRETRAINED  # a link to the folder at the top, in a wheel a copy
    if not file.is_file():
        raise InputError(f"{file} is missing; name a model with --model")
    return file


def _scale(word: str) -> str:
    return "tiles" if word == "native" else word  # its former name


def _channel(word: str) -> int | str:
    return int(word) if word.isdecimal() else word


def _zoom(word: str) -> float | None:
    if word == "auto":
        return None
    if not 1 / 64 <= float(word) <= 64:
        raise ValueError(word)
    return float(word)


def _share(word: str) -> float:
    if not 0 < float(word) < 1:
        raise ValueError(word)
    return float(word)


def _over_zero(word: str) -> float:
    if not 0 < float(word) < float("inf"):
        raise ValueError(word)
    return float(word)


def _kinds(words: str) -> list[str]:
    if unknown := set(words.split(",")) - set(WRITABLE):
        raise argparse.ArgumentTypeError(f"{min(unknown)!r} is not one of {', '.join(WRITABLE)}")
    return words.split(",")
