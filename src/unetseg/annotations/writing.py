"""What the writers of masks and objects are told of an image, and how they are fed."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from unetseg.images.inputs import Input
from unetseg.objects.strips import Strip


@dataclass(frozen=True)
class ImageInfo:
    """What is known of an image before it is predicted.

    Attributes:
        source: its file, and what of it.
        path: of its file, as text, from the folder that its results go to; see `Input.path_from`.
        height: in pixels.
        width: in pixels.
        threshold: probability from which a pixel is foreground.
        smallest: pixels of the smallest object.
        pixel: height and width of a pixel in µm, where they are known.
    """

    source: Input
    path: str
    height: int
    width: int
    threshold: float
    smallest: int
    pixel: tuple[float, float] | None = None


Add = Callable[[Strip], None]
Writer = Callable[[Path, ImageInfo], AbstractContextManager[Add]]


@runtime_checkable
class Listed(Protocol):
    """A predicted image and its objects, as the formats that are one file for many images take them.

    Attributes:
        header: `image` (its path), `name`, `plane` (None or which of a stack), `height` and `width`.
    """

    @property
    def header(self) -> Mapping[str, Any]:
        """Say which image it is."""

    def objects(self) -> Iterator[dict[str, Any]]:
        """Give each object's label, area, box, mean probability and runs, one at a time."""
