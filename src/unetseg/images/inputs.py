"""Find the images to predict, name their results, and say what was left out."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache
from glob import has_magic
from pathlib import Path, PurePath

from unetseg.errors import InputError, printable
from unetseg.images.intensity import Range
from unetseg.images.names import (
    FLAT,
    SUFFIXES,
    ZARR,
    as_text,
    is_clutter,
    is_named_mask,
    is_of_masks,
    matches,
    without_suffix,
)
from unetseg.images.opening import Opened, count_images, open_image
from unetseg.images.stacks import Channel, Project
from unetseg.images.storage import Place, find_urls, is_zarr_image, place
from unetseg.images.tiffs import is_tiff
from unetseg.images.walking import is_image_or_file, kind, walk


@dataclass(frozen=True)
class Input:
    """An image to predict.

    Attributes:
        path: the file; one that is not on a disk by its URL, as text.
        image: its path below the folder that was given, or the file's name; a byte that is not UTF-8 is written as %E4.
        plane: which image of a stack, from 0; None where the file is one image.
        name: what its results are named after: `image` without suffix, and with the plane.
        channel: see `unetseg.images.stacks`.
        project: how its depth becomes one image.
    """

    path: Place
    image: str
    plane: int | None
    name: str
    channel: Channel = "all"
    project: Project = "none"

    def path_from(self, folder: Path | None) -> str:
        """Give the path from a folder, as text; from none the whole path, and of what is not on a disk the URL."""
        if isinstance(self.path, str):
            return self.path
        path = Path(os.path.relpath(self.path, folder.resolve())) if folder else self.path.absolute()
        return as_text(path.as_posix())


def open_source(source: Input, span: Range | None = None) -> AbstractContextManager[Opened]:
    """Open an image to predict; see `open_image`."""
    return open_image(source.path, source.plane, channel=source.channel, project=source.project, span=span)


@dataclass
class FoundImages:
    """What a search found.

    Attributes:
        images: to predict.
        failed: a line for each link or folder that cannot be read, and for two images that would have one result.
        left_out: how many files are no images to predict, by the reason.
        clashing: for each of these pairs of images their files.
    """

    images: list[Input] = field(default_factory=list)
    clashing: list[tuple[Place, Place]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        """Count what was found, used and left out, and why, in one line."""
        paths = {each.path for each in self.images}
        clashing = {path for pair in self.clashing for path in pair}
        files, unusable = len(paths), len(self.failed) - len(self.clashing) + len(clashing - paths)
        planes = f" with {len(self.images)} planes" if len(self.images) > files else ""
        parts = [f"files found: {files + self.left_out.total() + unusable}, to predict: {files}{planes}"]
        if self.left_out:
            reasons = [f"{count} {printable(reason)}" for reason, count in self.left_out.most_common(9)]
            parts.append(f"left out: {', '.join(reasons)}{', …' * (len(self.left_out) > 9)}")
        if unusable:
            parts.append(f"cannot be used: {unusable}")
        return "; ".join(parts)


def find_inputs(
    words: Sequence[str],
    out: Place,
    channel: Channel = "all",
    project: Project = "none",
    earlier: Callable[[Place], Collection[Place]] = lambda _: (),
) -> FoundImages:
    """Find the images that files, folders (searched through) and patterns such as `plates/*/images/*.tif` name.

    Masks are left out of a folder, be they in a folder of their own (`images`, `masks`) or beside their images
    (`a.tif`, `a_masks.tif`); a pattern gives whatever it matches. What exists is never a pattern. Links to
    folders are followed. An OME-Zarr image inside another folder, such as a field of a plate, is taken where a path
    or a pattern without `**` names it. Words may be URLs of storage that fsspec knows, such as `s3://bucket/plates`.

    Args:
        words: as given by the user.
        out: the folder of the results; where it lies in a folder that is searched, it is left out.
        channel: what of each image to look at; see `unetseg.images.stacks`.
        project: how depth becomes one image.
        earlier: gives the files that earlier runs wrote to a folder, absolute or as URLs, which are no images.

    Raises:
        InputError: if a word names no image.
    """
    found, files, earlier = FoundImages(), dict[Place, str](), cache(earlier)
    for word in words:
        before = len(found.failed)
        if isinstance(where := place(word), str):
            below = find_urls(where, earlier(out), found.left_out)
        elif where.exists() or has_magic(word):
            below = _Search(where, Path(out).resolve(), earlier, found).files()
        else:
            raise InputError(f"{word}: no such file or folder")
        if not below and len(found.failed) == before:
            rule = f"supported are files named {' '.join(sorted(SUFFIXES))}{f'; {found}' if found.left_out else ''}"
            raise InputError(f"{word}: no image found; {rule}")
        files |= below
    files = dict({(real(path), image): (path, image) for path, image in files.items()}.values())
    stems = Counter(map(without_suffix, files.values()))
    named, clashing = dict[str, Input](), set[str]()
    for path, image in files.items():
        base = image if stems[without_suffix(image)] > 1 else without_suffix(image)
        for plane in _planes(path, project):
            each = Input(path, image, plane, base if plane is None else f"{base}_{plane:04}", channel, project)
            other = named.setdefault(each.name, each)
            if other is not each:
                rule = f"both would be written to {each.name!r}; predict them into two folders"
                found.failed.append(f"{other.path} and {each.path}: {rule}")
                found.clashing.append((other.path, each.path))
                clashing.add(each.name)
    found.images = [each for name, each in named.items() if name not in clashing]
    return found


@dataclass
class _Search:
    """The search for one word."""

    path: Path
    out: Path
    earlier: Callable[[Place], Collection[Place]]
    found: FoundImages

    def files(self) -> dict[Place, str]:
        """Find files, and what to call each."""
        named_zarr = self.path.suffix.lower() == ZARR and self.path.is_dir()
        if self.path.is_file() or named_zarr or is_zarr_image(self.path):
            named = self.path if self.path.name.strip(".") else self.path.resolve()  # `.` and `..` are no names
            return {self.path: as_text(named.name)}
        if self.path.exists() and not self.path.is_dir():
            self.found.failed.append(f"{self.path}: is no regular file")
            return {}
        base = next(path for path in (self.path, *self.path.parents) if path.exists())
        pattern = self.path.parts[len(base.parts) :]
        files = self._match(base, pattern) if pattern else self._walk(base)
        kept, below = dict[Place, str](), base.resolve() in self.out.parents
        for file in sorted(files):
            real, is_image = file.resolve(), file.suffix.lower() in SUFFIXES or file.is_dir()
            if any(each in self.earlier(folder) for each in (real, *real.parents) for folder in each.parents):
                self.found.left_out["results of an earlier run"] += 1
            elif below and self.out in real.parents:
                if is_image:
                    self.found.left_out["images in the folder of results"] += 1
            elif not is_image:
                self.found.left_out[file.suffix.lower() or "without a suffix"] += 1
            else:
                kept[file] = as_text(file.relative_to(base).as_posix())
        return kept

    def _match(self, base: Path, pattern: Sequence[str]) -> Iterator[Path]:
        """Find what matches a pattern below a folder; `**` follows links, as the search of a folder does."""
        deep = pattern.index("**") if "**" in pattern else len(pattern)
        for head in base.glob("/".join(pattern[:deep])) if deep else [base]:
            if is_clutter(head.relative_to(base).parts):
                continue
            if deep < len(pattern):
                below = self._walk(head, masks=True)
                yield from (file for file in below if matches(file.relative_to(head).parts, pattern[deep:]))
            elif is_image_or_file(head, kind(head, self.found.failed)) or is_zarr_image(head):
                yield head

    def _walk(self, base: Path, *, masks: bool = False) -> Iterator[Path]:
        """Find all files below a folder, without masks of other images unless they are wanted."""
        found = self.found

        @cache
        def of_masks(folder: Path) -> bool:
            return is_of_masks(folder.name, (each.name for each in folder.parent.glob("*") if each.is_dir()))

        for path, stems in walk(base, lambda name: is_clutter([name]), found.failed, found.left_out):
            if not masks and (of_masks(path.parent) or is_named_mask(path, stems)):
                found.left_out["masks of images"] += 1
            else:
                yield path


def real(path: Place) -> Place:
    """Give a file's one path, whatever links lead to it."""
    return path.resolve() if isinstance(path, Path) else path


def _planes(path: Place, project: Project) -> Sequence[int | None]:
    try:
        count = 1 if _is_flat(path) else count_images(path, project)
    except (InputError, OSError):
        count = 1  # told when the image's turn comes, so that the others are done
    return range(count) if count > 1 else [None]


def _is_flat(path: Place) -> bool:
    """Tell by its name whether a file is one image; on a disk, where it takes no time, a TIFF of such a name is not."""
    flat = PurePath(path).suffix.lower() in FLAT
    return flat and (isinstance(path, str) or not is_tiff(path))
