"""Find the objects in a folder that `unetseg predict` wrote, as they are now or where they were edited since."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from unetseg.annotations.formats import FORMATS, READERS, TABLE_READERS
from unetseg.annotations.jsons import load_json
from unetseg.dataset.items import FoundItems, Item, Kinds, flat, such_as
from unetseg.dataset.layout import nfc
from unetseg.dataset.problems import attempt
from unetseg.errors import InputError
from unetseg.files import hash_all, is_there, sha256
from unetseg.images.names import from_text, without_ome
from unetseg.images.storage import content

KINDS = ("labels", "geojson", "roi", "labelme", "mask")  # those first that say most
NOT_CHANGED = "not changed since they were predicted"


def results_with(folder: Path) -> Path | None:
    """Give the folder of results of `unetseg predict` that a folder is or lies in; None if it holds no results."""
    for place in (folder, *folder.parents):
        content, _ = attempt(load_json, place / "predict.json") if (place / "predict.json").is_file() else (None, [])
        ours = isinstance(content, dict) and isinstance(content.get("images"), list)
        if ours and (place == folder or (place / ".unetseg" / folder.relative_to(place)).is_dir()):
            return place
    return None


def is_unfinished(folder: Path) -> bool:
    """Tell a folder of results whose run has not ended: the list of images is written last, after its masks."""
    return not (folder / "predict.json").exists() and any((folder / ".unetseg").rglob("*.jsonl"))


def check_finished(folder: Path) -> None:
    """Refuse a folder that is, or lies in, one of results whose run has not ended.

    Raises:
        InputError: naming that folder.
    """
    for place in (folder, *folder.parents):
        records = place / ".unetseg" / folder.relative_to(place)  # of a project, .unetseg holds other things
        if records.is_dir() and is_unfinished(place) and any(records.rglob("*.jsonl")):
            raise InputError(f"{place}: a run of unetseg predict did not end here; run it again with --resume first")


def find_predictions(folder: Path, kinds: Kinds, only_changed: bool = False) -> FoundItems | None:
    """Read the list of what was predicted, and for each image the file that was edited since."""
    listing = folder / "predict.json"
    if not listing.is_file():
        return None
    if only_changed and not any((folder / ".unetseg").rglob("*.json")):
        raise InputError(f"{folder}: does not say what was predicted, so changes cannot be told; import all of it")
    found, content = FoundItems("a folder of unetseg predict"), load_json(listing)
    images = content.get("images") if isinstance(content, dict) else None
    if not isinstance(images, list):
        raise InputError(f"{listing}: is not a list of predictions")
    for image in images:
        item, problems = attempt(_find, listing, image, content.get("write", []), only_changed, found)
        found.items += [item] if item else []
        found.problems += problems
    written, begun = content.get("tables"), folder / ".unetseg" / ".tables"
    if isinstance(written, dict):  # earlier versions noted none
        names = {FORMATS[kind].name for kind in TABLE_READERS}
        earlier = {*load_json(begun).get("begun", ())} - written.keys() if begun.is_file() else set()
        for name in sorted(names - earlier):  # predict names those of earlier runs
            rule = "copy it to the folder of the images, and import it there"
            _tell_unread(found, folder / name, written.get(name), rule)
    _tell_unknown(found, folder, kinds, [image for image in images if isinstance(image, dict)])
    return found


def _tell_unread(found: FoundItems, path: Path, known: Any, rule: str) -> None:
    """Warn of a file of objects that is not read, unless it has the hash that is known of it."""
    if path.exists() and hash_all(path) != known:
        found.warnings.append(f"{path}: is not as the last run wrote it, and edits there are not taken; {rule}")


def _tell_unknown(found: FoundItems, folder: Path, kinds: Kinds, images: Sequence[dict[str, Any]]) -> None:
    """Name the files of objects that are of no image that is listed: such as corrections under a name of their own."""
    known = {nfc(f"{image.get('image')}{each.name}") for image in images for each in FORMATS.values()}
    stated = [str(image.get("path")) for image in images]
    paths = {(folder / path).resolve() for each in stated for path in (each, from_text(each))}
    files = [file for file, kind in kinds.items() if kind and kind not in ("archive", *TABLE_READERS)]
    unknown = [file for file in files if nfc(file.relative_to(folder).as_posix()) not in known]
    if strange := [file for file in unknown if file.resolve() not in paths]:
        name = images[0].get("image") if images else "IMAGE"
        rule = f"save corrections under the names that predict gave, such as {name}.roi.zip or {name}.labels.tif"
        line = f"{folder}: {len(strange)} files are of no image that predict.json lists, {such_as(strange, folder)}"
        found.warnings.append(f"{line}; {rule}")


def _find(listing: Path, image: Any, kinds: Any, only_changed: bool, found: FoundItems) -> Item | None:
    try:
        folder, name = listing.parent, image["image"]
        seal = folder / ".unetseg" / f"{name}.json"
        noted = load_json(seal) if seal.is_file() else None
        there, changed, gone = _files(folder, name, kinds, only_changed, noted)
        if noted:
            known = {**noted.get("earlier", {}), **noted["files"]}
            rule = f"save its labels as {name}.labels.tif in a folder that is predicted with --write labels"
            if "zarr" in known:
                _tell_unread(found, folder / f"{name}{FORMATS['zarr'].name}", known["zarr"], rule)
        if gone and not changed:
            rule = "was written and is gone; predict again to have it back, or for an image without objects save"
            empty = "an empty GeoJSON, written with --write geojson, or a label image of zeros, with --write labels"
            raise InputError(f"{gone[0]}: {rule} {empty}")
        if only_changed and not changed:
            found.left_out[NOT_CHANGED] += 1
            return None
        if len(changed) > 1:
            raise InputError(f"{folder}: {name}: {' and '.join(changed)} were changed; keep one of them")
        if not there:
            raise InputError(f"{folder}: {name}: its files are gone")
        kind, file = next(iter(changed.items() or there.items()))
        seen = {name: image[name] for name in ("plane", "channel", "project") if name in image}
        path = folder / image["path"]
        path = path if path.exists() else folder / from_text(image["path"])
        _check_image(path, noted and noted.get("image"))
        stack = "" if image.get("plane") is None else flat(without_ome(name.rpartition("_")[0]))
        return Item(flat(without_ome(name)), path, partial(READERS[kind], file), **seen, stack=stack)
    except (TypeError, KeyError, AttributeError) as error:
        rule = f"does not list an image as predict does ({type(error).__name__}: {error})"
        raise InputError(f"{listing}: {str(image)[:60]}: {rule}") from error


def _check_image(path: Path, predicted: Any) -> None:
    """Refuse an image that is not the one that was predicted; earlier versions noted none, and of a URL no hash."""
    if isinstance(predicted, str) and path.exists() and content(path) != predicted:
        raise InputError(f"{path}: is not the image that was predicted; put that one back or predict this one again")


def _files(
    folder: Path, name: str, kinds: Any, only_changed: bool, noted: Any
) -> tuple[dict[str, Path], dict[str, Path], list[Path]]:
    """Find the files of an image; `kinds` are what the last run wrote, though no empty file of some, `noted` its seal.

    Returns:
        The files that hold objects, by their kinds: all, and those edited since; and the paths of those gone.

    Raises:
        InputError: for a file of another kind: it may be of an earlier run, with other objects. Also if nothing tells
            what was predicted, and what was edited has to be known: of several files, or with `only_changed`.
    """
    paths = {kind: folder / f"{name}{FORMATS[kind].name}" for kind in KINDS}
    there = {kind: path for kind, path in paths.items() if is_there(path) and path.is_file()}
    if noted is None:
        if only_changed or len(there) > 1:
            rules = [f"keep one of {' and '.join(there)}"] * (len(there) > 1)
            rules += ["import without --only-changed"] * only_changed
            rule = f"copy it from where it was predicted, or {' and '.join(rules)}"
            raise InputError(f"{folder}: {name}: without {folder}/.unetseg/{name}.json no edit can be told; {rule}")
        return there, {}, []
    written = noted["files"]
    known = {*written, *(kind for kind in kinds if FORMATS[kind].needs_objects)}
    if other := next((kind for kind in there if kind not in known), None):
        rule = f"the last run wrote no {other} of this image; remove it if it is of an earlier run"
        raise InputError(f"{there[other]}: {rule}, else save it to a folder predicted with --write {other}")
    changed = {kind: path for kind, path in there.items() if sha256(path) != written.get(kind)}
    return there, changed, [path for kind, path in paths.items() if kind in written and kind not in there]
