"""The folder of results: what each image's files are called, written whole or not at all, and gathered in tables."""

import json
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from unetseg.annotations.formats import FORMATS, READERS
from unetseg.annotations.writing import ImageInfo
from unetseg.errors import InputError, ModelError, printable
from unetseg.files import atomic_path, check_output, hash_all, is_full, is_there, sha256, write_json
from unetseg.images.inputs import Input
from unetseg.images.opening import LARGE
from unetseg.images.storage import Place, content, state
from unetseg.objects.strips import Strip, number_objects, without_objects
from unetseg.parallel import prefetch
from unetseg.prediction.conflicts import NOT_OURS, check_ours, check_results, locked
from unetseg.prediction.plan import Plan
from unetseg.prediction.records import Record, list_image, read_record, write_images, write_objects, write_record
from unetseg.prediction.settings import Settings, Tuning
from unetseg.progress import progress
from unetseg.provenance import digest

RECORDS = ".unetseg"
TABLES = ".tables"  # in that folder; hidden, as no image's record is
PRINTED = 40  # µm; 600 dots per inch are 42
# what it raises to read JSON that is gone, or damaged
UNUSABLE = (FileNotFoundError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True)
class Known:
    """An image that was opened: its height and width, its pixels' in µm, and the zoom at which the model sees it."""

    source: Input
    height: int
    width: int
    pixel: tuple[float, float] | None
    zoom: float


def told(source: Input, error: InputError) -> str:
    """Say what is wrong with an image; where it is the model, the error does not name the image."""
    return printable(f"{source.path}: {error}") if isinstance(error, ModelError) else str(error)


def tables_of(run: Mapping[str, Any]) -> set[str]:
    """Name the files of all images that a run writes, given what predict.json says of it."""
    kinds = {FORMATS[kind].name for kind in run.get("write", ()) if FORMATS[kind].write_all}
    return {"predict.json", "images.csv", *kinds, *["objects.csv"] * (run.get("objects") != "none")}


class Results:
    """A folder of results."""

    sent = False  # from here to elsewhere

    def __init__(self, out: Path, settings: Settings, kinds: Sequence[str], model: Path, tuning: Tuning) -> None:
        """Say what is to be written to a folder, which is made where it does not exist.

        Of the `kinds` of `FORMATS` masks are always written, and objects.csv if any objects are looked for.

        Raises:
            InputError: if a kind is made of objects and none are looked for.
        """
        if settings.objects == "none" and (needing := set(kinds) - {"probability"}):
            raise InputError(f"{', '.join(sorted(needing))}: needs objects, but --objects is none")
        self._out, self._settings, self._tuning = out, settings, tuning
        wanted = {kind: each for kind, each in FORMATS.items() if kind == "mask" or kind in kinds}
        self._writers = {kind: (each.name, each.write) for kind, each in wanted.items() if each.write}
        self._tables = [(each.name, each.write_all) for each in wanted.values() if each.write_all]
        self._run = {**asdict(settings), "write": sorted(kinds), "model": model.name, "sha256": sha256(model)}
        self._begun, self._done = dict[Input, dict[str, Any]](), set[Input]()

    def locked(self) -> AbstractContextManager[None]:
        """Keep other processes out of the folder; see `unetseg.prediction.conflicts.locked`."""
        return locked(self._out, self._out / RECORDS / "lock")

    def check(self, sources: Sequence[Input]) -> dict[Input, str]:
        """Refuse images whose results would spoil others; see `unetseg.prediction.conflicts.check_results`."""
        paths = {each: [*self._sealed(each).values(), self._seal_path(each)] for each in sources}
        check_ours(self._out, RECORDS, ())
        too_long = check_results(paths, self._out, self._final)
        for path in self._shared():
            check_output(path)
        files = [path for each in sources for path in self.files(each).values()]
        self._check_ours([*self._shared(), *files])
        for path in (*self._foreign_tables(), *self._foreign(sources)):
            raise InputError(f"{self._final(path)}: {NOT_OURS}")
        return too_long

    def _foreign_tables(self) -> list[Path]:
        """List files in the place of tables that no run wrote."""
        there = [path for path in self._shared() if self._is_there(path)]
        ours = self._tables_begun() if there else set()
        return [path for path in there if path.name not in ours]

    def _tables_begun(self) -> set[str]:
        """Name the files of all images that runs have begun to write; of earlier versions only the last run says so."""
        for name in (f"{RECORDS}/{TABLES}", "predict.json"):
            with suppress(*UNUSABLE):
                noted = json.loads(self._read(self._out / name))
                return {*noted["begun"]} if "begun" in noted else tables_of(noted)
        return set()

    def _foreign(self, sources: Iterable[Input]) -> Iterator[Path]:
        """Give files in the place of results that no run wrote."""
        for source in sources:
            there = {kind: path for kind, path in self.files(source).items() if path.exists()}
            ours = self._ever_begun(source) if there else set()
            if there and not ours and (self._seal_path(source).exists() or self._record_path(source).exists()):
                ours = {*there}  # the seal is damaged, or gone
            yield from (path for kind, path in there.items() if kind not in ours)

    def _ever_begun(self, source: Input) -> set[str]:
        """Name the kinds of files that any run has begun to write of an image; none where its seal is no use."""
        try:
            seal = self._seal(source)
            return {kind for part in ("begun", "files", "earlier") for kind in seal.get(part, ())} & FORMATS.keys()
        except UNUSABLE:
            return set()

    def _check_ours(self, outputs: Iterable[Path]) -> None:
        """Refuse to replace files of somebody else; see `unetseg.prediction.conflicts.check_ours`."""
        check_ours(self._out, RECORDS, outputs)

    def begin_all(self, sources: Sequence[Input]) -> None:
        """Before any is predicted, remove the tables of an earlier run: after a kill they would be of other results."""
        begun, removed = self._tables_begun(), self._shared() if sources else []
        for path in removed:
            self._remove(path)
        begun = begun.difference(path.name for path in removed) | tables_of(self._run)
        write_json(self._out / RECORDS / TABLES, {"begun": sorted(begun)})

    def _shared(self) -> list[Path]:
        """Name the files that are of all images."""
        names = ["predict.json", "images.csv", "objects.csv", *(name for name, _ in self._tables)]
        return [self._out / name for name in names]

    def files(self, source: Input) -> dict[str, Path]:
        """Name the files of an image, by their kind."""
        return {kind: self._out / f"{source.name}{suffix}" for kind, (suffix, _) in self._writers.items()}

    def _sealed(self, source: Input) -> dict[str, Path]:
        """Name the files of an image, and its record, whose hashes its seal holds."""
        return {**self.files(source), "record": self._record_path(source)}

    def is_done(self, source: Input) -> bool:
        """Tell whether the files of an image are as they were written, and would be the same if predicted again."""
        try:
            done = self._is_sealed(source)
        except (OSError, *UNUSABLE):  # there is no seal, or not all files
            return False
        if done:
            self.mark(source)
        return done

    def _is_sealed(self, source: Input) -> bool:
        seal = self._seal(source)
        return bool((seal["key"], seal["files"]) == (self._key(source), self._hashes(source)))

    def edited(self, source: Input) -> list[Place]:
        """List an image's files of objects that were changed since a run wrote them; the image then counts as done."""
        known = self._known(source)
        written = {self._out / f"{source.name}{FORMATS[kind].name}": known[kind] for kind in READERS if kind in known}
        changed = [self._final(path) for path, known in written.items() if self._digest(path) not in (known, None)]
        if changed:
            self.mark(source)
        return changed

    def check_edited(self, edited: Mapping[Input, Sequence[Place]]) -> None:
        """Refuse files that were edited of another image than the present one of that name, or that lack the mask.

        Raises:
            InputError: with a line for each.
        """
        rule = "is not the image that was predicted; move the edited file away or predict into another folder"
        gone = "is gone; put it back, or move the edited file away to predict the image again"
        lines = []
        for source, (path, *_) in edited.items():
            image, mask = self._seal(source).get("image"), self.files(source)["mask"]
            if image not in (None, content(source.path)):
                lines.append(f"{path}: was edited, but {source.path} {rule}")
            elif self._digest(mask) is None:
                lines.append(f"{path}: was edited, but {self._final(mask)} {gone}")
        if lines:
            raise InputError(*lines)

    def _known(self, source: Input) -> dict[str, str | None]:
        """Give the hash of each file that this run or one before it, of other kinds, wrote, by its kind.

        It is None where an image without objects got no file: one that is there was made by hand.
        """
        try:
            seal = self._seal(source)
            hashes = {**seal.get("earlier", {}), **seal["files"]}
        except UNUSABLE:
            return {}
        return {kind: known for kind, known in hashes.items() if kind in FORMATS}

    def _seal(self, source: Input) -> dict[str, Any]:
        return dict(json.loads(self._read(self._seal_path(source))))

    def _read(self, path: Path) -> bytes:
        return path.read_bytes()

    def _is_there(self, path: Path) -> bool:
        return path.exists()

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def _digest(self, path: Path) -> str | None:
        """Hash a file; None if it is not there."""
        return sha256(path) if path.is_file() else None

    def of_earlier_runs(self, sources: Sequence[Input]) -> dict[Input, list[Path]]:
        """List by image the files that this run did not write: of other kinds, and all of an image that failed."""
        found = dict[Input, list[Path]]()
        for source in sources:
            ours = self._writers.keys() if source in self._done else ()
            others = [each.name for kind, each in FORMATS.items() if each.write and kind not in ours]
            paths = [self._out / f"{source.name}{suffix}" for suffix in others]
            if there := [*filter(is_there, paths)]:
                found[source] = there
        return found

    def tables_of_earlier_runs(self) -> list[Place]:
        """List the files of all images that this run did not write, as it was not asked for their kind."""
        others = {each.name for each in FORMATS.values() if each.write_all} - {name for name, _ in self._tables}
        there = [path for name in sorted(others) if (path := self._out / name).exists()]
        begun = self._tables_begun() if there else set()
        return [self._final(path) for path in there if path.name in begun]

    def mark(self, source: Input) -> None:
        """Note that the files of an image are complete, whoever wrote them."""
        self._done.add(source)

    def begin(self, source: Input) -> None:
        """Note the state of an image's file, before it is read: a later one is not what its results show.

        Raises:
            InputError: if it is gone.
        """
        try:
            self._begun[source] = self._state(source)
        except OSError as error:
            raise InputError(f"{source.path}: cannot be read: {error.strerror or error}") from error

    def write(self, known: Known, strips: Iterable[Float32[np.ndarray, "_ width"]]) -> None:
        """Write the files of an image, given its probability from the top, any number of rows at a time.

        Raises:
            InputError: if a file cannot be written, unless the disk is full.
        """
        try:
            self._write(known, strips)
        except OSError as error:
            if is_full(error):
                raise  # the other images would fail, too
            raise InputError(
                f"{error.filename or known.source.path}: cannot be written: {error.strerror or error}"
            ) from error
        self.mark(known.source)

    def _write(self, known: Known, strips: Iterable[Float32[np.ndarray, "_ width"]]) -> None:
        source, height, width = known.source, known.height, known.width
        smallest = self._settings.smallest(known.zoom)
        found_at = source.path_from(None if self.sent else (self._out / source.name).parent)
        about = ImageInfo(source, found_at, height, width, self._settings.threshold, smallest, known.pixel)
        header = {name: getattr(source, name) for name in ("image", "plane", "name", "channel", "project")}
        header |= {"height": height, "width": width, "pixel": known.pixel, "zoom": round(known.zoom, 4)}
        header["objects"] = self._settings.objects
        objects = cut = 0
        earlier = {kind: hashed for kind, hashed in self._known(source).items() if kind not in self._writers}
        with ExitStack() as stack:
            enter = stack.enter_context
            record = enter(atomic_path(self._record_path(source)))
            adds = [enter(write_record(record, header, height, width, about.threshold, runs=bool(self._tables)))]
            for kind, path in self.files(source).items():
                adds.append(enter(self._writers[kind][1](enter(atomic_path(path)), about)))
            for strip in self._numbered(strips, height, known.zoom):
                objects += len(strip.objects)
                cut += strip.cut
                for add in adds:
                    add(strip)
            # killed from here on, the files may be of two runs
            begun = {"begun": sorted(self._ever_begun(source) | {*self._writers}), "earlier": earlier}
            write_json(self._seal_path(source), {"key": None, "files": {}, **begun})
        for kind, path in self.files(source).items():
            if not objects and FORMATS[kind].needs_objects:
                path.unlink()
                earlier[kind] = None
        if cut:
            rule = "taller than the rows that are held in memory; their parts are listed as objects"
            print(printable(f"{source.path}: made {cut} cuts through objects that are {rule}"), file=sys.stderr)
        state_then = self._begun.pop(source, None) or self._state(source)
        write_json(self._seal_path(source), {**state_then, "files": self._hashes(source), **begun})

    def _numbered(self, strips: Iterable[Float32[np.ndarray, "_ width"]], height: int, zoom: float) -> Iterator[Strip]:
        if self._settings.objects == "none":
            return without_objects(strips)
        return number_objects(strips, height, self._settings.number(zoom), self._settings.threshold)

    def gather(self, sources: Sequence[Input]) -> list[dict[str, Any]]:
        """Write the tables and other files of all images, and predict.json, whose list of images is returned."""
        objects, estimate, records = self._settings.objects != "none", self._tuning.estimate, self._records(sources)
        if objects:
            write_objects(self._out / "objects.csv", list(records.values()))
        for name, write in self._tables:
            write(self._out / name, [record for record in records.values() if record.has(runs=True)])
        images = [
            list_image(source, record, self._out, self._listed(source), estimate, objects=objects, sent=self.sent)
            for source, record in records.items()
        ]
        write_images(self._out / "images.csv", images, list(records.values()))
        tables = {name: sha256(self._out / name) for name, _ in self._tables}  # by which an edit is told
        write_json(self._out / "predict.json", {**self._run, "tables": tables, "images": images})
        return images

    def coarse(self, sources: Sequence[Input]) -> list[str]:
        """Name the images whose pixels measure so much that their files may state a resolution for printing."""
        records = self._records(sources)
        return [each.name for each, record in records.items() if max(record.header["pixel"] or [0]) >= PRINTED]

    def lacking(self, sources: Sequence[Input], kept: Collection[Input]) -> dict[str, list[str]]:
        """Name the images that a table, or a kind of file, lacks: `kept` as edited from a run that did not make it."""
        tables = [*["objects.csv"] * (self._settings.objects != "none"), *(name for name, _ in self._tables)]
        records = self._records(sources)
        lists = {
            table: [each.name for each, record in records.items() if not record.has(runs=table != "objects.csv")]
            for table in tables
        }
        known = {each: self._known(each) for each in kept}
        lists |= {
            kind: [each.name for each in kept if kind not in known[each] and not self._needs_none(kind, records[each])]
            for kind in self._writers
        }
        return {table: names for table, names in lists.items() if names}

    def _needs_none(self, kind: str, record: Record) -> bool:
        """Tell whether an image gets no file of a kind for want of objects."""
        return FORMATS[kind].needs_objects and record.has(runs=False) and not any(record.objects())

    def _records(self, sources: Sequence[Input]) -> dict[Input, Record]:
        """Read the records of the images that are done."""
        records = {source: read_record(self._record_path(source)) for source in sources if source in self._done}
        return {source: record for source, record in records.items() if record}

    def _listed(self, source: Input) -> dict[str, Path]:
        """Name the files of an image that are there; an edited one keeps those of its own run."""
        return {kind: path for kind, path in self.files(source).items() if self.sent or path.exists()}

    def _final(self, path: Path) -> Place:
        """Tell where a file of the results ends up."""
        return path

    def _record_path(self, source: Input) -> Path:
        return self._out / RECORDS / f"{source.name}.jsonl"

    def _seal_path(self, source: Input) -> Path:
        """Name the file that is written last: it holds the hashes of all the others, and of those of earlier runs."""
        return self._out / RECORDS / f"{source.name}.json"

    def _hashes(self, source: Input) -> dict[str, str]:
        optional = {kind for kind in self._writers if FORMATS[kind].needs_objects}
        files = self._sealed(source).items()
        return {kind: hash_all(path) for kind, path in files if kind not in optional or path.exists()}

    def _state(self, source: Input) -> dict[str, Any]:
        """Describe what is predicted: by a key that tells it from all else, and the image's content alone."""
        return {"key": self._key(source), "image": content(source.path)}

    def _key(self, source: Input) -> str:
        """Tell this run, and this state of the image's file, from any other."""
        chosen = {name: getattr(source, name) for name in ("plane", "channel", "project")}
        zooming = self._tuning.model_dump(include={"scale", "sizes", "zoom", "doubt", "pixel_size"})
        return digest({**self._run, "file": state(source.path), "zooming": zooming, **chosen})


def write_strips(
    results: Results, known: Known, plan: Plan, scored: Iterable[Float32[np.ndarray, "tile padded"]]
) -> None:
    """Write the results of an image while it is predicted; see `Plan.join`."""
    strips = plan.join(scored)
    if known.height * known.width > LARGE:
        strips = progress(strips, known.source.image, len(plan.grid.down.starts), "strip")
    results.write(known, prefetch(strips))
