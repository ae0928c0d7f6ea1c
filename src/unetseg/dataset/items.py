"""What is found in a folder: images, and how to read their objects."""

import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from unetseg.annotations.regions import Reader
from unetseg.images.stacks import Channel, Project

JSON_KINDS = {
    "labelme": (b'"shapes"', b'"imageData"'),  # with sorted keys, the picture comes before the shapes
    "geojson": (b'"Feature', b'"features"', b'"geometry"'),
    "coco": (b'"annotations"', b'"file_name"'),
}
HEAD = 2**16  # bytes of a file that are looked at to see what it is


@dataclass(frozen=True)
class Item:
    """An image to import.

    Attributes:
        name: what its sample is called.
        image: its file.
        read: reads its objects; None for a sample folder of the pipeline's layout, which is taken as it is.
        plane: which image of a stack, from 0.
        channel: what of the image its objects were found on; see `unetseg.images.stacks`.
        project: how its depth became one image.
    """

    name: str
    image: Path
    read: Reader | None
    plane: int | None = None
    channel: Channel = "all"
    project: Project = "none"


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


def json_kind(file: Path) -> str | None:
    """Tell which program's JSON a file is, by the words at its beginning."""
    with file.open("rb") as stream:
        head = stream.read(HEAD)
    return next((kind for kind, words in JSON_KINDS.items() if any(word in head for word in words)), None)


def flat(path: str) -> str:
    """Make a sample's name of the path of its image."""
    return nfc(path).replace("/", "_")


def nfc(text: str) -> str:
    """Give names one Unicode form: macOS writes another one than most people type."""
    return unicodedata.normalize("NFC", text)
