"""Find images and their objects in a folder, whatever tool it comes from."""

import csv
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from unetseg.annotations.formats import FORMATS, READERS, TABLE_READERS
from unetseg.annotations.jsons import load_json
from unetseg.annotations.runs import COLUMNS
from unetseg.dataset.items import HEAD, Found, Item, flat, json_kind, nfc
from unetseg.dataset.layout import TABLES, is_clutter
from unetseg.dataset.pairs import find_pairs
from unetseg.errors import InputError
from unetseg.files import sha256
from unetseg.images.names import SUFFIXES


def find_items(root: Path, form: str | None = None, only_changed: bool = False) -> Found:
    """Find out what a folder, or the one file that describes many images, holds.

    Args:
        root: a folder, or a COCO or run-length file beside the images or above them.
        form: of `FORMS`, to insist on; None: the first that fits.
        only_changed: of a folder that `unetseg predict` wrote, only images whose objects were edited since.

    Raises:
        InputError: if nothing of any form, or of the form insisted on, is there.
    """
    folder, files = (root, list(_walk(root))) if root.is_dir() else (root.parent, [root, *_walk(root.parent)])
    if only_changed and form is None:
        form = "predictions"
    finders = FORMS | {"predictions": partial(_find_predictions, only_changed=only_changed)}
    for name, find in finders.items():
        if form in (None, name) and (found := find(folder, files)):
            return found
    kinds = Counter(path.suffix.lower() or path.name for path in files).most_common(4)
    holds = ", ".join(f"{count} {kind}" for kind, count in kinds) or "nothing"
    wanted = f"of the form {form}" if form else "with images and masks that belong together"
    raise InputError(f"{root}: nothing there {wanted}; it holds {holds}. docs/formats.md shows every form")


def _walk(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_clutter(f"{name}/"))
        yield from (Path(place, name) for name in sorted(names) if not is_clutter(name))


def _find_predictions(folder: Path, _files: list[Path], only_changed: bool = False) -> Found | None:
    """Read the list of what `unetseg predict` wrote, and for each image the file that was edited since."""
    listing = folder / "predict.json"
    if not listing.is_file():
        return None
    if only_changed and not any((folder / ".unetseg").rglob("*.json")):
        raise InputError(f"{folder}: does not say what was predicted, so changes cannot be told; import all of it")
    found = Found("a folder of unetseg predict")
    content = load_json(listing)
    try:
        images = [(each, _edited(folder, each)) for each in content["images"]]
        for image, (changed, kinds) in images:
            if only_changed and not changed:
                found.left_out["not changed since they were predicted"] += 1
            elif len(changed) > 1:
                both = " and ".join(changed)
                found.problems.append(f"{folder}: {image['image']}: {both} were changed; keep one of them")
            elif kinds:
                path = folder / Path(image["path"])
                kind, file = next(iter(changed.items() or kinds.items()))
                seen = {name: image[name] for name in ("plane", "channel", "project") if name in image}
                found.items.append(Item(flat(image["image"]), path, partial(READERS[kind], file), **seen))
            else:
                found.problems.append(f"{folder}: {image['image']}: its files are gone")
    except (TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{listing}: is not a list of predictions ({type(error).__name__}: {error})") from error
    return found


def _edited(folder: Path, image: Mapping[str, Any]) -> tuple[dict[str, Path], dict[str, Path]]:
    """Find the files of an image that hold objects, those first that say most: the changed ones, and all."""
    kinds = ("labels", "geojson", "roi", "labelme", "mask")
    paths = {kind: folder / f"{image['image']}{FORMATS[kind].name}" for kind in kinds}
    there = {kind: path for kind, path in paths.items() if path.is_file()}
    seal = folder / ".unetseg" / f"{image['image']}.json"
    if not seal.is_file():
        return {}, there
    written = load_json(seal)["files"]
    return {kind: path for kind, path in there.items() if sha256(path) != written.get(kind)}, there


def _is_coco(file: Path) -> bool:
    return file.suffix.lower() == ".json" and json_kind(file) == "coco"


def _is_bowl(file: Path) -> bool:
    if file.suffix.lower() != ".csv":
        return False
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        return {*COLUMNS} <= {*next(csv.reader([stream.readline(HEAD)]), [])}


def _find_tables(kind: str, is_table: Callable[[Path], bool], folder: Path, files: list[Path]) -> Found | None:
    """Join the images of files that describe many to their own files, by path, name or stem."""
    tables = dict.fromkeys(file for file in files if is_table(file))
    if not tables:
        return None
    found = Found(FORMATS[kind].purpose)
    images = [file for file in files if file.suffix.lower() in SUFFIXES]
    places: dict[str, list[Path]] = defaultdict(list)
    for file in images:
        below = file.relative_to(folder).as_posix()
        for name in {below, file.name, file.stem}:
            places[nfc(name)].append(file)
    used = set()
    for table in tables:
        readers, problems = TABLE_READERS[kind](table)
        found.problems += problems
        for name, read in readers.items():
            names = (name, PurePosixPath(name.replace("\\", "/")).name, PurePosixPath(name).stem)
            there = next((places[key] for key in map(nfc, names) if places.get(key)), [])
            if len(there) == 1:
                used.add(there[0])
                found.items.append(Item(nfc(there[0].stem), there[0], read))
            else:
                problem = f"{len(there)} files have its name" if there else "there is no file of its name"
                found.problems.append(f"{table}: {name}: {problem}")
    found.left_out["images that the table does not name"] = len(images) - len(used)
    return found


def _find_layout(folder: Path, files: list[Path]) -> Found | None:
    """Find sample folders: <id>/images with one file, and <id>/masks."""
    parts: dict[Path, dict[str, list[Path]]] = defaultdict(lambda: {"images": [], "masks": []})
    for file in files:
        if file.parent.name in ("images", "masks") and file.parent.parent != folder:
            parts[file.parent.parent][file.parent.name].append(file)
    samples = {place: each for place, each in parts.items() if each["images"] and each["masks"]}
    if not samples or any(len(each["images"]) > 1 for each in samples.values()):
        return None
    found = Found("the pipeline's layout")
    found.items = [Item(nfc(place.name), each["images"][0], None) for place, each in samples.items()]
    for place in parts.keys() - samples.keys():
        found.problems.append(f"{place}: has no {'masks' if parts[place]['images'] else 'image'}")
    inside = sum(len(each["images"]) + len(each["masks"]) for each in parts.values())
    found.left_out["files of no sample"] = sum(file.name not in TABLES for file in files) - inside
    return found


FORMS: dict[str, Callable[[Path, list[Path]], Found | None]] = {
    "predictions": _find_predictions,
    "coco": partial(_find_tables, "coco", _is_coco),
    "rle": partial(_find_tables, "rle", _is_bowl),
    "layout": _find_layout,
    "pairs": find_pairs,
    "masks": partial(find_pairs, only="raster"),
    **{kind: partial(find_pairs, only=kind) for kind in ("roi", "geojson", "labelme")},
}
