"""Find images and their objects in a folder, whatever tool it comes from."""

import csv
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from unetseg.annotations.formats import FORMATS
from unetseg.annotations.jsons import load_json
from unetseg.annotations.masks import blank, read_mask
from unetseg.annotations.regions import Annotations, Reader, Region
from unetseg.annotations.runs import COLUMNS
from unetseg.dataset.layout import TABLES, is_clutter
from unetseg.errors import InputError
from unetseg.files import sha256
from unetseg.images.inputs import SUFFIXES

IMAGE_FOLDERS = {"images", "image", "imgs", "img", "raw"}
OBJECT_FOLDERS = {"masks", "mask", "labels", "label", "annotations", "rois", "roi", "geojson", "json", "gt"}
MARK = re.compile(r"[ ._-]((cp_)?masks?|labels?|seg|rois?|roiset|annotations?|labelme|gt)$", re.IGNORECASE)
SEG_NPY = "holds Python objects, which could run code; in Cellpose choose File > Save masks as PNG/tif"
OURS = set(TABLES)
JSON_KINDS = {"labelme": (b'"shapes"',), "geojson": (b'"Feature',), "coco": (b'"annotations"', b'"file_name"')}
HEAD = 2**16  # bytes of a JSON file that are looked at to see which kind it is


@dataclass(frozen=True)
class Item:
    """An image to import.

    Attributes:
        name: what its sample is called.
        image: its file.
        read: reads its objects; None for a sample folder of the pipeline's layout, which is taken as it is.
        plane: which image of a stack, from 0.
    """

    name: str
    image: Path
    read: Reader | None
    plane: int | None = None


@dataclass
class Found:
    """What a folder holds.

    Attributes:
        form: what was understood, in words.
        items: the images that have objects.
        left_out: files that are not used, by the reason.
        problems: a line for each file that should be of use and is not.
    """

    form: str
    items: list[Item] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


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
    if only_changed and form in (None, "predictions"):
        form = "predictions"
    for name, find in FORMS.items():
        if form in (None, name) and (found := find(folder, files, only_changed)):
            return found
    kinds = Counter(path.suffix.lower() or path.name for path in files).most_common(4)
    holds = ", ".join(f"{count} {kind}" for kind, count in kinds) or "nothing"
    wanted = f"of the form {form}" if form else "with images and masks that belong together"
    raise InputError(f"{root}: nothing there {wanted}; it holds {holds}. docs/formats.md shows every form")


def _walk(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_clutter(f"{name}/"))
        yield from (Path(place, name) for name in sorted(names) if not is_clutter(name))


def _find_predictions(folder: Path, _files: list[Path], only_changed: bool) -> Found | None:
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
                read = partial(_read, FORMATS[kind].read, file)
                found.items.append(Item(_flat(image["image"]), path, read, image.get("plane")))
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


def _find_coco(folder: Path, files: list[Path], _only_changed: bool) -> Found | None:
    tables = [file for file in files if file.suffix.lower() == ".json" and _json_kind(file) == "coco"]
    return _tabled("COCO instances", "coco", folder, tables, files) if tables else None


def _find_rle(folder: Path, files: list[Path], _only_changed: bool) -> Found | None:
    tables = [file for file in files if file.suffix.lower() == ".csv" and _has_columns(file)]
    return _tabled("run lengths of the Data Science Bowl", "rle", folder, tables, files) if tables else None


def _tabled(form: str, kind: str, folder: Path, tables: Iterable[Path], files: list[Path]) -> Found:
    """Join the images of files that describe many to their own files, by path, name or stem."""
    found = Found(form)
    images = [file for file in files if file.suffix.lower() in SUFFIXES]
    places: dict[str, list[Path]] = defaultdict(list)
    for file in images:
        below = file.relative_to(folder).as_posix()
        for name in {below, file.name, file.stem}:
            places[_nfc(name)].append(file)
    used = set()
    for table in dict.fromkeys(tables):
        read_all = FORMATS[kind].read_all
        for name, read in (read_all(table) if read_all else {}).items():
            names = (name, PurePosixPath(name.replace("\\", "/")).name, PurePosixPath(name).stem)
            there = next((places[key] for key in map(_nfc, names) if places.get(key)), [])
            if len(there) == 1:
                used.add(there[0])
                found.items.append(Item(_nfc(there[0].stem), there[0], read))
            else:
                problem = f"{len(there)} files have its name" if there else "there is no file of its name"
                found.problems.append(f"{table}: {name}: {problem}")
    found.left_out["images that the table does not name"] = len(images) - len(used)
    return found


def _find_layout(folder: Path, files: list[Path], _only_changed: bool) -> Found | None:
    """Find sample folders: <id>/images with one file, and <id>/masks."""
    parts: dict[Path, dict[str, list[Path]]] = defaultdict(lambda: {"images": [], "masks": []})
    for file in files:
        if file.parent.name in ("images", "masks") and file.parent.parent != folder:
            parts[file.parent.parent][file.parent.name].append(file)
    samples = {place: each for place, each in parts.items() if each["images"] and each["masks"]}
    if not samples or any(len(each["images"]) > 1 for each in samples.values()):
        return None
    found = Found("the pipeline's layout")
    found.items = [Item(_nfc(place.name), each["images"][0], None) for place, each in samples.items()]
    for place in parts.keys() - samples.keys():
        found.problems.append(f"{place}: has no {'masks' if parts[place]['images'] else 'image'}")
    inside = sum(len(each["images"]) + len(each["masks"]) for each in parts.values())
    found.left_out["files of no sample"] = sum(file.name not in OURS for file in files) - inside
    return found


def _find_pairs(folder: Path, files: list[Path], _only_changed: bool, only: str | None = None) -> Found | None:
    """Pair images and files of objects by their stems, side by side or in folders beside each other."""
    rasters = {(_group(file, folder), _nfc(file.stem)) for file in files if file.suffix.lower() in SUFFIXES}
    images: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    objects: dict[tuple[Path, str], dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    left_out: Counter[str] = Counter()
    for file in files:
        kind = _kind(file)
        if kind is None:
            left_out["files of no known form"] += file.name not in OURS
            continue
        key, marked = _key(file, rasters, folder)
        if kind == "raster" and not marked:
            images[key].append(file)
        elif only in (None, kind) or kind == "raster":
            objects[key][kind].append(file)
    pairs = {key: objects.pop(key) for key in images if key in objects}
    if not pairs:
        return None
    kinds = Counter(next(kind for kind in PAIRED if kind in each) for each in pairs.values())
    found = Found(" and ".join(f"images with {PAIRED[kind]}" for kind in kinds), left_out=left_out)
    found.left_out["images without objects' files"] = len(images) - len(pairs)
    found.left_out["files of objects without an image"] = len(objects)
    stems = Counter(stem for _, stem in pairs)
    for key, each in pairs.items():
        kind = next(kind for kind in PAIRED if kind in each)
        found.left_out["files that hold the same objects in another form"] += len(each) - 1
        if problem := _pair_problem(images[key], kind, each[kind], folder):
            found.problems.append(f"{images[key][0]}: {problem}")
            continue
        below = key[0].relative_to(folder) / key[1]
        name = key[1] if stems[key[1]] == 1 else _flat(below.as_posix())
        found.items.append(Item(name, images[key][0], partial(_read_pair, kind, each[kind])))
    return found


PAIRED = {
    "raster": "masks or label images",
    "roi": "ImageJ ROIs",
    "geojson": "GeoJSON",
    "labelme": "LabelMe's JSON",
    "seg.npy": "Cellpose's _seg.npy",
}
FORMS: dict[str, Callable[[Path, list[Path], bool], Found | None]] = {
    "predictions": _find_predictions,
    "coco": _find_coco,
    "rle": _find_rle,
    "layout": _find_layout,
    "masks": partial(_find_pairs, only="raster"),
    "roi": partial(_find_pairs, only="roi"),
    "geojson": partial(_find_pairs, only="geojson"),
    "labelme": partial(_find_pairs, only="labelme"),
}
FORMS = {name: FORMS[name] for name in ("predictions", "coco", "rle", "layout")} | {"pairs": _find_pairs} | FORMS


def _kind(file: Path) -> str | None:
    suffix = file.suffix.lower()
    if suffix in SUFFIXES:
        return "raster"
    if suffix in (".roi", ".zip"):
        return "roi"
    if suffix == ".npy":
        return "seg.npy" if file.stem.endswith("_seg") else None
    return _json_kind(file) if suffix in (".json", ".geojson") else None


def _json_kind(file: Path) -> str | None:
    with file.open("rb") as stream:
        head = stream.read(HEAD)
    return next((kind for kind, words in JSON_KINDS.items() if any(word in head for word in words)), None)


def _has_columns(file: Path) -> bool:
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        return {*COLUMNS} <= {*next(csv.reader([stream.readline(HEAD)]), [])}


def _name_below(root: Path, folder: Path) -> str:
    """Name a folder below the one that is imported; what that one and those above are called says nothing."""
    return folder.name.lower() if root in folder.parents else ""


def _group(file: Path, root: Path) -> Path:
    """Give the folder that holds an image and its objects, or their folders."""
    parent = file.parent
    return parent.parent if _name_below(root, parent) in IMAGE_FOLDERS | OBJECT_FOLDERS else parent


def _key(file: Path, rasters: set[tuple[Path, str]], root: Path) -> tuple[tuple[Path, str], bool]:
    """Give the folder and stem of the image that a file is or belongs to, and whether it holds objects."""
    stem, group = _nfc(file.stem), _group(file, root)
    base = MARK.sub("", stem)
    folder = _name_below(root, file.parent)
    if folder in OBJECT_FOLDERS:
        return (group, base if (group, base) in rasters else stem), True
    above = file.parent.parent
    if _name_below(root, above) in OBJECT_FOLDERS:  # a folder of objects for each image
        return (above.parent, _nfc(file.parent.name)), True
    if file.suffix.lower() in SUFFIXES:
        marked = base != stem and folder not in IMAGE_FOLDERS and (group, base) in rasters
        return (group, base if marked else stem), marked
    return (group, stem if (group, stem) in rasters else base), True


def _pair_problem(images: list[Path], kind: str, files: list[Path], root: Path) -> str | None:
    if len(images) > 1:
        return f"and {images[1].name} have one name; rename one"
    if kind == "seg.npy":
        return f"its {files[0].name} {SEG_NPY}"
    one_each = kind == "roi" or _name_below(root, files[0].parent.parent) in OBJECT_FOLDERS
    return None if len(files) == 1 or one_each else f"has two files of objects, {files[0].name} and {files[1].name}"


def _read_pair(kind: str, files: list[Path], height: int, width: int) -> Annotations:
    if kind == "raster" and len(files) > 1:
        masks = [read_mask(file, blank(height, width)) for file in files]
        regions = [Region(each.box[0].start, each.box[1].start, each.inside) for each in masks if each.inside.size]
        return Annotations(regions, [])
    read = FORMATS["labels" if kind == "raster" else kind].read
    found = [_read(read, file, height, width) for file in files]
    left_out = [line for each in found for line in each.left_out]
    return Annotations([region for each in found for region in each.regions], left_out)


def _read(read: Callable[[Path, int, int], Annotations] | None, file: Path, height: int, width: int) -> Annotations:
    return read(file, height, width) if read else Annotations([], [])


def _flat(path: str) -> str:
    return _nfc(path).replace("/", "_")


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
