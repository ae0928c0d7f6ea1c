"""The folder of results: what each image's files are called, written whole or not at all, and gathered in tables."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from unetseg.annotations.about import About
from unetseg.annotations.formats import FORMATS
from unetseg.errors import InputError
from unetseg.files import atomic_path, sha256, write_json
from unetseg.images.inputs import Input
from unetseg.objects.strips import Strip, number_objects, without_objects
from unetseg.prediction.quality import Estimate
from unetseg.prediction.records import Record, read_record, write_record
from unetseg.prediction.settings import Settings
from unetseg.prediction.tables import write_images, write_objects
from unetseg.provenance import digest

RECORDS = ".unetseg"


@dataclass(frozen=True)
class Known:
    """An image that was opened: its height and width, its pixels' in µm, and the zoom at which the model sees it."""

    source: Input
    height: int
    width: int
    pixel: tuple[float, float] | None
    zoom: float


class Results:
    """A folder of results."""

    def __init__(self, out: Path, settings: Settings, kinds: Sequence[str], model: Path, estimate: Estimate) -> None:
        """Say what is to be written.

        Args:
            out: the folder; made where it does not exist.
            settings: how the images are predicted.
            kinds: of `FORMATS`; masks are always written, and objects.csv if any are looked for.
            model: the file of the model.
            estimate: of the Dice, from what the model expects.

        Raises:
            InputError: if a kind is made of objects and none are looked for.
        """
        if settings.objects == "none" and (needing := set(kinds) - {"probability"}):
            raise InputError(f"{', '.join(sorted(needing))}: needs objects, but --objects is none")
        self._out, self._settings, self._estimate = out, settings, estimate
        wanted = {kind: each for kind, each in FORMATS.items() if kind == "mask" or kind in kinds}
        self._writers = {kind: (each.name, each.write) for kind, each in wanted.items() if each.write}
        self._tables = [(each.name, each.write_all) for each in wanted.values() if each.write_all]
        self._run = {**asdict(settings), "write": sorted(kinds), "model": model.name, "sha256": sha256(model)}

    def check(self, sources: Sequence[Input]) -> None:
        """Refuse images whose results would replace them, or each other.

        Raises:
            InputError: naming the file.
        """
        images, written = {source.path.resolve() for source in sources}, set[Path]()
        for source in sources:
            for path in self.files(source).values():
                if path.resolve() in images:
                    raise InputError(f"{path}: is an image and would be replaced by a result; choose another folder")
                if path in written:
                    raise InputError(f"{path}: would be the result of two images; predict them into two folders")
                written.add(path)

    def files(self, source: Input) -> dict[str, Path]:
        """Name the files of an image, by their kind."""
        return {kind: self._out / f"{source.name}{suffix}" for kind, (suffix, _) in self._writers.items()}

    def record(self, source: Input) -> Record | None:
        """Read the record of an image whose files are there and would be the same if it were predicted again."""
        record = read_record(self._record_path(source))
        if record is None or not all(path.is_file() for path in self.files(source).values()):
            return None
        return record if record.header.get("key") == self._key(source) else None

    def write(self, known: Known, strips: Iterable[Float32[np.ndarray, "_ width"]]) -> None:
        """Write the files of an image.

        Args:
            known: the image.
            strips: its probability, rows from the top, any number at a time.
        """
        source, height, width = known.source, known.height, known.width
        smallest = self._settings.smallest(known.zoom)
        about = About(source, height, width, self._settings.threshold, smallest)
        facts = {name: getattr(source, name) for name in ("image", "plane", "name", "channel", "project")}
        header = {"key": self._key(source), **facts, "height": height, "width": width, "pixel": known.pixel}
        header["zoom"] = round(known.zoom, 4)
        with ExitStack() as stack:
            enter = stack.enter_context
            beside = enter(atomic_path(self._record_path(source)))  # entered first: it appears after all the others
            adds = [
                enter(write_record(beside, header, height, width, self._settings.threshold, runs=bool(self._tables)))
            ]
            adds += [
                enter(self._writers[kind][1](enter(atomic_path(path)), about))
                for kind, path in self.files(source).items()
            ]
            for strip in self._numbered(strips, height, known.zoom):
                for add in adds:
                    add(strip)

    def _numbered(self, strips: Iterable[Float32[np.ndarray, "_ width"]], height: int, zoom: float) -> Iterator[Strip]:
        if self._settings.objects == "none":
            return without_objects(strips)
        number = self._settings.number(zoom)
        return number_objects(strips, height, number, self._settings.threshold)

    def gather(self, sources: Sequence[Input]) -> list[dict[str, Any]]:
        """Write the files that are about all images: objects.csv, images.csv, predict.json and those asked for.

        Returns:
            What predict.json lists of each image.
        """
        records = {source: record for source in sources if (record := self.record(source))}
        if self._settings.objects != "none":
            write_objects(self._out / "objects.csv", list(records.values()))
        for name, write in self._tables:
            write(self._out / name, list(records.values()))
        images = [self._listed(source, record) for source, record in records.items()]
        write_images(self._out / "images.csv", images)
        write_json(self._out / "predict.json", {**self._run, "images": images})
        return images

    def _listed(self, source: Input, record: Record) -> dict[str, Any]:
        """Describe an image as `unetseg report` reads it, with paths from the folder of results."""
        path = Path(os.path.relpath(source.path, self._out)).as_posix()
        files = {kind: file.relative_to(self._out).as_posix() for kind, file in self.files(source).items()}
        listed: dict[str, Any] = {"image": source.name, "path": path, "plane": source.plane}
        listed |= {"channel": source.channel, "project": source.project}
        if self._settings.objects != "none":
            listed["objects"] = sum(1 for _ in record.objects())
        listed["zoom"] = record.header["zoom"]
        certainty = record.certainty()
        expected = certainty["expected_dice"]
        listed["estimated_dice"] = round(self._estimate.dice_of(expected), 4)
        listed["verdict"] = self._estimate.verdict(expected)
        listed["uncertainty"] = certainty["uncertainty"]
        return listed | {kind: file for kind, file in files.items() if kind in ("mask", "probability")}

    def _record_path(self, source: Input) -> Path:
        return self._out / RECORDS / f"{source.name}.jsonl"

    def _key(self, source: Input) -> str:
        """Tell this run, and this state of the image's file, from any other."""
        status = source.path.stat()
        chosen = {name: getattr(source, name) for name in ("plane", "channel", "project")}
        return digest({**self._run, "file": [status.st_size, status.st_mtime_ns], **chosen})
