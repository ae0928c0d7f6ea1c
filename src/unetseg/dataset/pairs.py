"""Pair images and files of objects by their names."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path, PureWindowsPath

from unetseg.annotations.formats import READERS
from unetseg.annotations.labelme import image_path
from unetseg.annotations.masks import blank, read_mask
from unetseg.annotations.regions import Annotations
from unetseg.dataset.items import (
    FoundItems,
    Item,
    Kinds,
    folders_of,
    group_of,
    is_of_objects,
    names_of,
    part_of,
    such_as,
)
from unetseg.dataset.layout import TABLES, nfc
from unetseg.errors import printable
from unetseg.images.names import OBJECT_WORDS, SUFFIXES, without_ome

MARK = re.compile(
    r"[ ._-](((cp_)?masks?|labels?)([ ._-]?\d{1,3})?|lbl|object identities|seg|rois?|roiset|annotations?|labelme|gt)$",
    re.IGNORECASE,
)
ROI_SET = "RoiSet"  # what Fiji calls a zip of ROIs
TWO = "could both be the image of its objects; keep one, or rename it (of two folders of images, import one at a time)"
SEG_NPY = "holds Python objects, which could run code; in Cellpose choose File > Save masks as PNG/tif"
UNREAD = {".gif", ".webp", ".avif", ".heic", ".psd", ".dcm"}  # images that nothing here reads
PAIRED = {
    "raster": "masks or label images",
    "roi": "ImageJ ROIs",
    "geojson": "GeoJSON",
    "labelme": "LabelMe's JSON",
    "seg.npy": "Cellpose's _seg.npy",
}

_Key = tuple[Path, str]  # the group and stem of an image
_Images = dict[_Key, list[Path]]
_Objects = dict[_Key, dict[str, list[Path]]]


def find_pairs(folder: Path, kinds: Kinds, only: str | None = None) -> FoundItems | None:
    """Pair images and files of objects by their stems, side by side or in folders beside each other.

    If usual names of folders give no pair, a folder whose name ends with a word for objects is paired with those beside
    it. Where `only` names a kind of `PAIRED`, no other is taken. The result is None if there is no pair, and nothing to
    rename.
    """
    parts = dict[Path, Path]()
    images, objects, others = _sorted(folder, kinds, only, parts)
    if images.keys().isdisjoint(objects):
        beside = _beside_objects(kinds, folder)
        again = _sorted(folder, kinds, only, beside)
        if not again[0].keys().isdisjoint(again[1]):
            parts, (images, objects, others) = beside, again
    pairs = {key: objects.pop(key) for key in images if key in objects}
    alone = [file for each in objects.values() for files in each.values() for file in files]
    if not pairs and not any(file.stem == ROI_SET for file in alone):
        return None
    taken = [next(kind for kind in PAIRED if kind in each) for each in pairs.values()]
    found = FoundItems(" and ".join(f"images with {PAIRED[kind]}" for kind in dict.fromkeys(taken)))
    if parts:
        paired = (file for key, each in pairs.items() for some in (images[key], *each.values()) for file in some)
        names = {part.name for file in paired if (part := part_of(file, folder, parts))}
        found.form += f", of the folders {' and '.join(sorted(names))}"
    _tell_unpaired(found, folder, [files[0] for key, files in images.items() if key not in pairs], alone)
    tell_unknown(found, folder, kinds)
    unused = list[Path]()
    known = {nfc(file.name) for files in images.values() for file in files}
    for name, kind, (key, each) in zip(names_of(list(pairs), folder), taken, pairs.items(), strict=True):
        unused += [file for other, files in each.items() if other != kind for file in files]
        if problem := _pair_problem(key, images[key], kind, each[kind], folder, parts):
            found.problems.append(f"{images[key][0]}: {problem}")
            continue
        if kind == "labelme":
            found.warnings += _swapped(each[kind][0], images[key][0], known)
        found.items.append(Item(name, images[key][0], partial(_read_pair, kind, each[kind])))
    count_unread(found, folder, "as another one of their image was taken", unused)
    count_unread(found, folder, "as --from names another form", others)
    return found


def _tell_unpaired(found: FoundItems, folder: Path, images: Sequence[Path], objects: Sequence[Path]) -> None:
    if images:
        found.warnings.append(f"{folder}: {len(images)} images have no file of objects, {such_as(images, folder)}")
    if objects:
        rename = "; rename RoiSet.zip to IMAGE.roi.zip" if any(file.stem == ROI_SET for file in objects) else ""
        line = f"{len(objects)} files of objects have no image, {such_as(objects, folder)}{rename}"
        found.problems.append(f"{folder}: {line}")


def count_unread(found: FoundItems, folder: Path, reason: str, files: Sequence[Path]) -> None:
    """Count files that may hold objects and are not looked at, and name the first few."""
    if files:
        found.left_out[f"files not looked at, {reason}, {such_as(files, folder)}"] = len(files)


def tell_unknown(found: FoundItems, folder: Path, kinds: Kinds) -> None:
    """Name the images of a format that is not read, and count what is of no known form."""
    unknown = [file for file, kind in kinds.items() if kind is None]
    unread = [file for file in unknown if file.suffix.lower() in UNREAD]
    other = [file for file in unknown if file.suffix.lower() not in UNREAD and file.name.lower() not in TABLES]
    if other:
        found.left_out[f"files of no known form, {such_as(other, folder)}"] = len(other)
    if unread:
        rule = "are of a format that is not read"
        found.problems.append(f"{folder}: {len(unread)} files {rule}, {such_as(unread, folder)}")


def _beside_objects(kinds: Kinds, root: Path) -> dict[Path, Path]:
    """Find the folders whose name ends with a word for objects, and those beside them, each with the path of its group.

    `train_labels` belongs to `train` alone, if it is there, else to all folders beside it.
    """
    folders = {each for file in kinds for each in folders_of(file, root)}
    of_objects = {each for each in folders if is_of_objects(each)}
    holding = {each.parent for each in of_objects}
    groups = {each: each.parent for each in folders if each.parent in holding}
    for each in of_objects:
        own = each.with_name(OBJECT_WORDS.sub("", each.name) or each.name)
        if own in folders - of_objects:
            groups |= {each: own, own: own}
    return groups


def _sorted(
    folder: Path, kinds: Kinds, only: str | None, parts: Mapping[Path, Path]
) -> tuple[_Images, _Objects, list[Path]]:
    """Give by group and stem the images, and the files of objects by their kinds; and the files of other kinds."""
    bare = [
        file for file, kind in kinds.items() if kind == "raster" and not is_of_objects(part_of(file, folder, parts))
    ]
    rasters = {(group_of(file, folder, parts), _stem(file)) for file in bare}
    images: _Images = defaultdict(list)
    objects: _Objects = defaultdict(lambda: defaultdict(list))
    others = list[Path]()
    for file, kind in kinds.items():
        if kind not in PAIRED:
            continue
        key, marked = _key(file, rasters, folder, parts)
        if kind == "raster" and not marked:
            images[key].append(file)
        elif only in (None, kind):
            objects[key][kind].append(file)
        else:
            others.append(file)
    beside = Counter(group for group, _ in images)
    for image in [key for key in images if beside[key[0]] == 1]:  # Fiji's own name says nothing where there are several
        for kind, files in objects.pop((image[0], ROI_SET), {}).items():
            objects[image][kind] += files
    return images, objects, others


def _key(file: Path, rasters: set[_Key], root: Path, parts: Mapping[Path, Path]) -> tuple[_Key, bool]:
    """Give the folder and stem of the image that a file is or belongs to, and whether it holds objects."""
    stem, group, part = _stem(file), group_of(file, root, parts), part_of(file, root, parts)
    base = without_ome(MARK.sub("", stem))
    if is_of_objects(part):
        own = group.parent, nfc(group.name)  # of the image whose objects have a folder of their own
        keys = [(group, stem), (group, base), *([own] if part != file.parent else [])]
        return next((key for key in keys if key in rasters), keys[0]), True
    if file.suffix.lower() in SUFFIXES:
        marked = base != stem and part != file.parent and (group, base) in rasters
        return (group, base if marked else stem), marked
    return (group, stem if (group, stem) in rasters else base), True


def _stem(file: Path) -> str:
    return without_ome(nfc(file.stem))


def _pair_problem(
    key: _Key, images: list[Path], kind: str, files: list[Path], root: Path, parts: Mapping[Path, Path]
) -> str | None:
    if len(images) > 1:
        return f"and {images[1].relative_to(root)} have one name and {TWO}"
    if kind == "seg.npy":
        return f"its {files[0].name} {SEG_NPY}"
    groups = [group_of(file, root, parts) for file in files]
    one_each = all((group.parent, nfc(group.name)) == key for group in groups)
    if len(files) == 1 or (one_each and not any(file.suffix.lower() == ".zip" for file in files)):
        return None
    both = " and ".join(printable(file.relative_to(root).as_posix()) for file in files[:2])
    each = f"; files of one object each belong into masks/{key[1]}" if kind == "raster" else ""
    return f"has two files of objects, {both}; keep one{each}"


def _swapped(file: Path, image: Path, known: Collection[str]) -> Iterator[str]:
    """Warn of a LabelMe file that states another of the known images than the one with which its name pairs it."""
    stated = image_path(file)
    name = nfc(PureWindowsPath(stated).name)  # with either slash
    if name in known and name != nfc(image.name):
        yield f"{file}: its imagePath is {stated!r}, but its name pairs it with {image}; rename it if that is wrong"


def _read_pair(kind: str, files: list[Path], height: int, width: int) -> Annotations:
    if kind == "raster" and len(files) > 1:
        masks = [read_mask(file, blank(height, width)) for file in files]
        regions = [region for region in masks if region.mask.size]
        return Annotations(regions, Counter({"masks without a pixel": len(masks) - len(regions)}), Counter())
    read = READERS["labels" if kind == "raster" else kind]
    found = [read(file, height, width) for file in files]
    regions = [region for each in found for region in each.regions]
    left_out = sum((each.left_out for each in found), Counter[str]())
    return Annotations(regions, left_out, sum((each.classes for each in found), Counter[str]()))
