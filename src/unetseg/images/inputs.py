"""Find the images to predict, and name their results."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path, PurePosixPath

from unetseg.errors import InputError
from unetseg.images.opening import count_images
from unetseg.images.stacks import Channel, Project
from unetseg.images.volumes import VENDORS

ZARR = ".zarr"  # a folder that is one image
FLAT = {".png", ".jpg", ".jpeg", ".bmp"}  # of these a file is one image
SUFFIXES = FLAT | {".tif", ".tiff", ".lsm", ".jp2"} | VENDORS | {ZARR}


@dataclass(frozen=True)
class Input:
    """An image to predict.

    Attributes:
        path: the file.
        image: its path below the folder that was given, or the file's name.
        plane: which image of a stack, from 0; None where the file is one image.
        name: what its results are named after: `image` without suffix, and with the plane.
        channel: see `unetseg.images.stacks`.
        project: how its depth becomes one image.
    """

    path: Path
    image: str
    plane: int | None
    name: str
    channel: Channel = "all"
    project: Project = "none"


def find_inputs(words: Sequence[str], out: Path, channel: Channel = "all", project: Project = "none") -> list[Input]:
    """Find the images that files, folders (searched through) and patterns such as `plates/*/images/*.tif` name.

    A folder of samples (`<id>/images`, `<id>/masks`) gives its images alone, a pattern whatever it matches.

    Args:
        words: as given by the user.
        out: the folder of the results; where it lies in a folder that is searched, it is left out.
        channel: what of each image to look at; see `unetseg.images.stacks`.
        project: how depth becomes one image.

    Raises:
        InputError: if a word names no image, or two images would have results of one name.
    """
    files: dict[Path, str] = {}
    for word in words:
        found = _search(word, out.resolve())
        if not found:
            raise InputError(f"{word}: no image found; supported are files named {' '.join(sorted(SUFFIXES))}")
        files |= found
    stems = Counter(_stem(image) for image in files.values())
    named: dict[str, Input] = {}
    for path, image in files.items():
        base = image if stems[_stem(image)] > 1 else _stem(image)
        for plane in _planes(path, project):
            each = Input(path, image, plane, base if plane is None else f"{base}_{plane:04}", channel, project)
            if each.name in named:
                both = f"{named[each.name].path} and {each.path}"
                raise InputError(f"{both}: both would be written to {each.name!r}; predict them into two folders")
            named[each.name] = each
    return list(named.values())


def _search(word: str, out: Path) -> dict[Path, str]:
    """Find files and their names."""
    path = Path(word)
    if path.is_file() or (path.suffix.lower() == ZARR and path.is_dir()):
        return {path: path.name}
    fixed = next((place for place, part in enumerate(path.parts) if has_magic(part)), len(path.parts))
    base = Path(*path.parts[:fixed])
    pattern = "/".join(path.parts[fixed:]) or "**/*"
    images = {file: file.relative_to(base) for file in sorted(base.glob(pattern)) if file.suffix.lower() in SUFFIXES}
    files = {file: name for file, name in images.items() if _is_image(file) and not _is_clutter(name.parts)}
    if fixed == len(path.parts):
        files = {file: name for file, name in files.items() if not _is_mask(file)}
    below = base.resolve() in out.parents
    return {file: name.as_posix() for file, name in files.items() if not (below and out in file.resolve().parents)}


def _is_image(path: Path) -> bool:
    return path.is_dir() if path.suffix.lower() == ZARR else path.is_file()


def _is_clutter(parts: Sequence[str]) -> bool:
    """Tell whether a file was left by an archiver or a file manager."""
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def _is_mask(file: Path) -> bool:
    """Tell whether a file is a mask of a sample."""
    return file.parent.name == "masks" and file.parent.with_name("images").is_dir()


def _stem(image: str) -> str:
    return PurePosixPath(image).with_suffix("").as_posix()


def _planes(path: Path, project: Project) -> Sequence[int | None]:
    try:
        count = count_images(path, project) if path.suffix.lower() not in FLAT else 1
    except InputError:
        count = 1  # told when the image's turn comes, so that the others are done
    return range(count) if count > 1 else [None]
