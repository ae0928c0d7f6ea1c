"""What a writer is told of an image, and how it is fed."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from unetseg.images.inputs import Input
from unetseg.objects.strips import Strip


@dataclass(frozen=True)
class About:
    """What is known of an image before it is predicted.

    Attributes:
        source: its file, and what of it.
        height: in pixels.
        width: in pixels.
        threshold: probability from which a pixel is foreground.
        smallest: pixels of the smallest object.
        pixel: height and width of a pixel in µm, where they are known.
    """

    source: Input
    height: int
    width: int
    threshold: float
    smallest: int
    pixel: tuple[float, float] | None = None


Add = Callable[[Strip], None]
Writer = Callable[[Path, About], AbstractContextManager[Add]]
