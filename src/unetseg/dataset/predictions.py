"""Find the objects in a folder that `unetseg predict` wrote, as they are now or where they were edited since."""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from unetseg.annotations.formats import FORMATS, READERS
from unetseg.annotations.jsons import load_json
from unetseg.dataset.items import Found, Item, Kinds, flat
from unetseg.dataset.problems import attempt
from unetseg.errors import InputError
from unetseg.files import sha256
from unetseg.images.names import from_text

KINDS = ("labels", "geojson", "roi", "labelme", "mask")  # those first that say most


class _Files(NamedTuple):
    """The files of an image that hold objects, by their kinds: all, those edited since, and the names of those gone."""

    there: dict[str, Path]
    changed: dict[str, Path]
    gone: list[str]


def results_with(folder: Path) -> Path | None:
    """Give the folder of results of `unetseg predict` that a folder is or lies in; None if it holds no results."""
    for place in (folder, *folder.parents):
        content, _ = attempt(load_json, place / "predict.json") if (place / "predict.json").is_file() else (None, [])
        ours = isinstance(content, dict) and isinstance(content.get("images"), list)
        if ours and (place == folder or (place / ".unetseg" / folder.relative_to(place)).is_dir()):
            return place
    return None


def find_predictions(folder: Path, _kinds: Kinds, only_changed: bool = False) -> Found | None:
    """Read the list of what was predicted, and for each image the file that was edited since."""
    listing = folder / "predict.json"
    if not listing.is_file():
        return None
    if only_changed and not any((folder / ".unetseg").rglob("*.json")):
        raise InputError(f"{folder}: does not say what was predicted, so changes cannot be told; import all of it")
    found, content = Found("a folder of unetseg predict"), load_json(listing)
    images = content.get("images") if isinstance(content, dict) else None
    if not isinstance(images, list):
        raise InputError(f"{listing}: is not a list of predictions")
    for image in images:
        item, problems = attempt(_find, listing, image, content.get("write", []), only_changed, found)
        found.items += [item] if item else []
        found.problems += problems
    return found


def _find(listing: Path, image: Any, kinds: Any, only_changed: bool, found: Found) -> Item | None:
    try:
        folder, name = listing.parent, image["image"]
        files = _files(folder, name, kinds)
        if only_changed and not files.changed:
            found.left_out["not changed since they were predicted"] += 1
            return None
        if len(files.changed) > 1:
            raise InputError(f"{folder}: {name}: {' and '.join(files.changed)} were changed; keep one of them")
        if not files.there:
            raise InputError(f"{folder}: {name}: its files are gone")
        kind, file = next(iter(files.changed.items() or files.there.items()))
        if kind == "mask" and files.gone and not files.changed:
            found.problems.append(
                f"{file}: its objects are its parts, so that those that touch are one, as {files.gone[0]} is gone"
            )
        seen = {name: image[name] for name in ("plane", "channel", "project") if name in image}
        path = folder / image["path"]
        path = path if path.exists() else folder / from_text(image["path"])
        return Item(flat(name), path, partial(READERS[kind], file), **seen)
    except (TypeError, KeyError, AttributeError) as error:
        rule = f"does not list an image as predict does ({type(error).__name__}: {error})"
        raise InputError(f"{listing}: {str(image)[:60]}: {rule}") from error


def _files(folder: Path, name: str, kinds: Any) -> _Files:
    """Find the files of an image; `kinds` are what the last run wrote, though no empty file of some.

    Raises:
        InputError: for a file of another kind: it may be of an earlier run, with other objects.
    """
    paths = {kind: folder / f"{name}{FORMATS[kind].name}" for kind in KINDS}
    there = {kind: path for kind, path in paths.items() if path.is_file()}
    seal = folder / ".unetseg" / f"{name}.json"
    written = load_json(seal)["files"] if seal.is_file() else None
    if written is None:
        return _Files(there, {}, [])
    known = {*written, *(kind for kind in kinds if FORMATS[kind].needs_objects)}
    if other := next((kind for kind in there if kind not in known), None):
        rule = f"the last run wrote no {other} of this image; remove it if it is of an earlier run"
        raise InputError(f"{there[other]}: {rule}, else save it to a folder predicted with --write {other}")
    changed = {kind: path for kind, path in there.items() if sha256(path) != written.get(kind)}
    return _Files(there, changed, [path.name for kind, path in paths.items() if kind in written and kind not in there])
