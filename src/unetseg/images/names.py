"""What the names of files say: their format, whether they are masks or clutter; and names as text."""

import re
from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePath, PurePosixPath

FLAT = {".png", ".jpg", ".jpeg", ".bmp"}  # of these a file is one image
VENDORS = {".czi", ".nd2", ".lif"}  # of microscopes' makers
ZARR = ".zarr"  # a folder that is one image
SUFFIXES = FLAT | {".tif", ".tiff", ".lsm", ".jp2"} | VENDORS | {ZARR}
MASK = re.compile(  # how Cellpose, MorphoLibJ, ilastik and this project name what belongs to an image, by the stem
    r"(.+?)(?:[ _-](?:cp_)?(?:masks?|labels?|lbl|object identities|seg|flows|outlines)"
    r"|\.(?:probability|labels|overlay))$",
    re.IGNORECASE,
)
IMAGE_FOLDERS = {"images", "image", "imgs", "img", "raw"}
OBJECT_WORDS = re.compile(  # at the end of the name of a folder of objects
    r"(?:^|[ _.-])(?:masks?|labels?|annotations?|rois?|geojson|json|gt|seg|segmentations?|instances|(?:ground)?truth)$",
    re.IGNORECASE,
)
NOT_UTF_8 = re.compile("[\udc80-\udcff]")  # how Python holds such a byte of a name


def is_clutter(parts: Sequence[str]) -> bool:
    """Tell what archivers and file managers leave beside the images."""
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def is_named_mask(file: PurePath, stems: Collection[str]) -> bool:
    """Tell a mask that is named after one of the files beside it, given by their stems."""
    named = MASK.match(without_ome(file.stem))
    return named is not None and any(f"{named[1]}{end}" in stems for end in ("", "_img", "_image", ".ome"))


def is_of_masks(folder: str, beside: Iterable[str]) -> bool:
    """Tell by its name a folder of masks from the folders beside it: of `images`, or of `tiles` for `tiles_masks`."""
    word = OBJECT_WORDS.search(folder)
    return word is not None and any(each.lower() in IMAGE_FOLDERS or each == folder[: word.start()] for each in beside)


def without_ome(stem: str) -> str:
    """Take `.ome` from a stem: the suffix of an OME-TIFF is `.ome.tif`."""
    return stem[:-4] if stem.lower().endswith(".ome") else stem


def matches(names: Sequence[str], pattern: Sequence[str]) -> bool:
    """Tell whether the parts of a path match those of a pattern, any number of them `**`."""
    if not pattern:
        return not names
    if pattern[0] == "**":
        return any(matches(names[start:], pattern[1:]) for start in range(len(names) + 1))
    return bool(names) and fnmatchcase(names[0], pattern[0]) and matches(names[1:], pattern[1:])


def without_suffix(image: str) -> str:
    """Take the suffix from the path of an image, and from an OME-Zarr that it is in: results are no such folder."""
    return re.sub(r"(?i)\.zarr/", "/", PurePosixPath(image).with_suffix("").as_posix())


def as_text(name: str) -> str:
    """Write the bytes of a name that are not UTF-8, which no table can hold, as %E4; `from_text` reads them."""
    return NOT_UTF_8.sub(lambda found: f"%{ord(found[0]) - 0xDC00:02X}", name)


def from_text(name: str) -> str:
    """Undo `as_text`."""
    return re.sub("%([89A-F][0-9A-F])", lambda found: chr(0xDC00 + int(found[1], 16)), name)
