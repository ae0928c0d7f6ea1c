"""Find images and their objects in a folder, whatever tool it comes from."""

import shlex
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from unetseg.annotations.formats import TABLE_READERS
from unetseg.dataset.items import FoundItems, Item, Kinds, flat, folders_of, is_of_objects, kind_of, such_as
from unetseg.dataset.layout import TABLES, is_clutter_here
from unetseg.dataset.pairs import count_unread, find_pairs, tell_unknown
from unetseg.dataset.predictions import check_finished, find_predictions, is_unfinished, results_with
from unetseg.dataset.tables import find_tables
from unetseg.dataset.unpacking import PACKED
from unetseg.errors import InputError
from unetseg.images.names import ZARR
from unetseg.images.walking import walk

ONE_SLIP = 5  # from so many sample folders on, one with several images is a slip


def find_items(
    root: Path, form: str | None = None, only_changed: bool = False, but: Collection[Path] = ()
) -> FoundItems:
    """Find out what a folder, or the one file that describes many images, holds.

    Args:
        root: a folder, or a COCO or run-length file beside the images or above them. Such a file is the only one that
            is read; its folder gives the images alone.
        form: of `FORMS`, to insist on; None: the first that fits.
        only_changed: of a folder that `unetseg predict` wrote, only images whose objects were edited since.
        but: files to leave out, resolved: the archives that are sources, or written.

    Raises:
        InputError: if nothing of any form, or of the form insisted on, is there.
    """
    folder, walked = (root if root.is_dir() else root.parent), FoundItems("")
    check_finished(folder.resolve())
    of_predict = results_with(folder.resolve())
    if of_predict and (folder != root or form not in (None, "predictions") or of_predict != folder.resolve()):
        place = folder if of_predict == folder.resolve() else of_predict
        what = f"{root}: is of the results of unetseg predict, which are no images"
        raise InputError(f"{what}; import their folder as it is: unetseg import {shlex.quote(str(place))}")
    kinds = _kinds(folder, walked, but)
    forms = list(FORMS)
    if folder != root:
        if (kind := kind_of(root)) not in TABLE_READERS:
            tables = "a COCO or run-length file that describes many images"
            rule = f"is neither {tables} nor an archive that can be unpacked ({' '.join(PACKED)})"
            raise InputError(f"{root}: {rule}; to import images with their objects, name their folder, {folder}")
        forms, kinds = [kind], {file: each for file, each in kinds.items() if file == root or each == "raster"}
    if only_changed and form is None:
        form = "predictions"
    finders = FORMS | {
        "predictions": partial(find_predictions, only_changed=only_changed),
        "layout": partial(_find_layout, insist=form == "layout"),
    }
    if packed := [file for file, kind in kinds.items() if kind == "archive"]:
        rule = "archives are not unpacked; unpack them there, or name those with images as sources"
        walked.warnings.append(f"{folder}: {len(packed)} {rule}, {such_as(packed, folder)}")
    for name in forms:
        if form in (None, name) and (found := finders[name](folder, kinds)):
            walked.problems = list(dict.fromkeys([*walked.problems, *found.problems]))
            if found.items or name in ("predictions", form):
                found.problems, found.tables = walked.problems, walked.tables
                found.left_out += walked.left_out
                found.warnings = [*walked.warnings, *found.warnings]
                used = {item.image for item in found.items}
                unused = (file for file, kind in kinds.items() if kind == "raster" and file not in used)
                found.others = [file for file in unused if not any(map(is_of_objects, folders_of(file, folder)))]
                return found
    tell_unknown(walked, folder, kinds)
    suffixes = Counter(path.suffix.lower() or path.name for path in kinds).most_common(4)
    holds = ", ".join(f"{count} {suffix}" for suffix, count in suffixes) or "nothing"
    wanted = f"of the form {form}" if form else "with images and masks that belong together"
    rule = f"nothing there {wanted}; it holds {holds}. docs/formats.md shows every form"
    raise InputError(*dict.fromkeys([*walked.problems, *walked.warnings, f"{root}: {rule}"]))


def _kinds(folder: Path, walked: FoundItems, but: Collection[Path]) -> dict[Path, str | None]:
    """Tell what each file below a folder holds, in the order of their paths."""
    kinds: dict[Path, str | None] = {}
    for file in sorted(file for file, _ in walk(folder, is_clutter_here, walked.problems, walked.left_out)):
        if file.suffix.lower() == ZARR:
            walked.left_out["OME-Zarr images, which no archive can hold"] += 1
            continue
        try:
            if file.resolve() not in but:
                kinds[file] = kind_of(file)
        except OSError as error:
            walked.problems.append(f"{file}: cannot be read: {error.strerror}")
    del walked.left_out["hidden"]  # nothing that anyone would miss
    below = {place for file in kinds for place in file.parents if folder in place.parents}
    unfinished = {place for place in below if is_unfinished(place)}
    results = {file.parent for file in kinds if file.name == "predict.json" and results_with(file.parent)} - {folder}
    rule = "results of unetseg predict are left out; name it as a source"
    walked.warnings += [f"{place}: {rule}" for place in sorted(results)]
    walked.warnings += [f"{place}: left out: a run of unetseg predict did not end here" for place in sorted(unfinished)]
    results |= unfinished
    kinds = {file: kind for file, kind in kinds.items() if results.isdisjoint(file.parents)}
    for name in TABLES:
        there = [file for file in kinds if file.name.lower() == name]
        walked.tables += [file for file in there if len(file.parts) == min(len(each.parts) for each in there)]
    return kinds


def _find_layout(folder: Path, files: Kinds, insist: bool = False) -> FoundItems | None:
    """Find sample folders: <id>/images with one file, and <id>/masks; None also if others have more images."""
    parts: dict[Path, dict[str, list[Path]]] = defaultdict(lambda: {"images": [], "masks": []})
    for file in files:
        if file.parent.name in ("images", "masks") and file.parent.parent != folder:
            parts[file.parent.parent][file.parent.name].append(file)
    samples = {place: each for place, each in parts.items() if each["images"] and each["masks"]}
    several = sum([files[file] for file in each["images"]].count("raster") > 1 for each in samples.values())
    slips = max(len(samples) // 10, int(len(samples) >= ONE_SLIP))  # told when the sample is read; more: another form
    if several > slips or not samples:
        return None
    found = FoundItems("the pipeline's layout")
    found.items = [Item(flat(place.name), each["images"][0], None) for place, each in samples.items()]
    for place in sorted(parts.keys() - samples.keys()):
        found.problems.append(f"{place}: has no {'masks' if parts[place]['images'] else 'image'}")
    inside = sum(len(each["images"]) + len(each["masks"]) for each in parts.values())
    tables = [file for file, kind in files.items() if kind in TABLE_READERS]
    count_unread(found, folder, "as sample folders were taken (--from takes them)", tables)
    known = inside + len(tables)
    found.left_out["files of no sample"] = sum(file.name.lower() not in TABLES for file in files) - known
    others = (find(folder, files) for name, find in FORMS.items() if name in (*TABLE_READERS, "pairs"))
    more = found.left_out.total() and not insist and any(len(each.items) > len(samples) for each in others if each)
    return None if more else found


FORMS: dict[str, Callable[[Path, Kinds], FoundItems | None]] = {
    "predictions": find_predictions,
    "layout": _find_layout,
    "coco": partial(find_tables, "coco"),
    "rle": partial(find_tables, "rle"),
    "pairs": find_pairs,
    "masks": partial(find_pairs, only="raster"),
    **{kind: partial(find_pairs, only=kind) for kind in ("roi", "geojson", "labelme")},
}
