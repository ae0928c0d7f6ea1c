"""What the formats that are one file for many images are written from and read into."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from unetseg.annotations.regions import Annotations

Reader = Callable[[int, int], Annotations]
"""Reads the objects of one image, given its height and width; it can be pickled, as processes read in parallel."""


@runtime_checkable
class Listed(Protocol):
    """An image and its objects, one at a time.

    Attributes:
        header: `image` (its path), `name`, `plane` (None or which of a stack), `height` and `width`.
    """

    @property
    def header(self) -> Mapping[str, Any]:
        """Say which image it is."""

    def objects(self) -> Iterator[dict[str, Any]]:
        """Give each object's label, area, box, mean probability and runs."""
