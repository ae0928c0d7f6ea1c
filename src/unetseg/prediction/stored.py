"""Results on any storage that fsspec knows, such as `s3://…`."""

import contextlib
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from unetseg.annotations.formats import FORMATS
from unetseg.annotations.jsons import load_json
from unetseg.errors import InputError
from unetseg.images.inputs import Input
from unetseg.images.storage import Place, storage, told
from unetseg.prediction.conflicts import NOT_OURS
from unetseg.prediction.results import RECORDS, TABLES, Known, Results
from unetseg.prediction.settings import Settings, Tuning


class StoredResults(Results):
    """Results that are written to a folder of this computer, and sent from there to a URL.

    Nothing is locked there, and a file is whole or absent only if the storage sees to it, as S3 does.
    """

    sent = True

    def __init__(self, url: str, settings: Settings, kinds: Sequence[str], model: Path, tuning: Tuning) -> None:
        """See `Results`.

        Raises:
            InputError: also if there is no such storage.
        """
        self._url, (self._system, self._root) = url, storage(url)
        folder = tempfile.mkdtemp(prefix="unetseg-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        super().__init__(Path(folder), settings, kinds, model, tuning)

    def _is_sealed(self, source: Input) -> bool:
        """See `Results`; that the files were sent is enough."""
        seal, paths = self._seal(source), self._sealed(source)
        there = all(self._system.exists(self._at(paths[kind])) for kind in seal["files"])
        return bool(there and seal["key"] == self._key(source))

    def _read(self, path: Path) -> bytes:
        return bytes(self._system.cat_file(self._at(path)))

    def _is_there(self, path: Path) -> bool:
        with told(self._url):
            return bool(self._system.exists(self._at(path)))

    def _remove(self, path: Path) -> None:
        if self._system.exists(self._at(path)):
            self._system.rm_file(self._at(path))

    def _digest(self, path: Path) -> str | None:
        """See `Results`; the file is fetched to be hashed."""
        if not self._system.isfile(self._at(path)):
            return None
        self._fetch(path)
        digest = super()._digest(path)
        path.unlink()
        return digest

    def of_earlier_runs(self, sources: Sequence[Input]) -> dict[Input, list[Path]]:
        """Look for none: each would be a request."""
        del sources
        return {}

    def _check_ours(self, outputs: Iterable[Path]) -> None:
        """See `Results`."""
        with told(self._url):
            self._system.invalidate_cache()
            ours = not self._system.exists(self._root) or self._system.exists(self._at(self._out / RECORDS))
            there = set() if ours else set(self._system.find(self._root, withdirs=True))
        if path := next((path for path in outputs if self._at(path) in there), None):
            raise InputError(f"{self._final(path)}: {NOT_OURS}")

    def begin_all(self, sources: Sequence[Input]) -> None:
        """See `Results`; the folder is marked as one of results before any is there."""
        with told(self._url):
            self._send([self._out / RECORDS / "lock"])
            super().begin_all(sources)
            self._send([self._out / RECORDS / TABLES])

    def _write(self, known: Known, strips: Iterable[Float32[np.ndarray, "_ width"]]) -> None:
        """See `Results`; then send the files, last the one that says that all others are there."""
        super()._write(known, strips)
        files, seal = [*self.files(known.source).values()], self._seal_path(known.source)
        with told(self._url):
            for path in (seal, *(path for path in files if not path.exists())):  # an image may lose its objects
                self._remove(path)
            files = [path for path in files if path.exists()]
            self._send([*files, self._record_path(known.source)])
            self._send([seal])
        for path in files:
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def gather(self, sources: Sequence[Input]) -> list[dict[str, Any]]:
        """See `Results`; the records of images that others predicted are fetched."""
        paths = [self._record_path(source) for source in sources if source in self._done]
        with told(self._url):
            for path in paths:
                if not path.is_file():
                    self._fetch(path)
            images = super().gather(sources)
            self._send([path for path in self._out.iterdir() if path.is_file()])
        return images

    def _fetch(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._system.get_file(self._at(path), str(path))

    def _send(self, paths: Sequence[Path]) -> None:
        parts = [[each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path] for path in paths]
        files = [file for part in parts for file in part]
        self._system.put([str(file) for file in files], [self._at(file) for file in files])

    def _at(self, path: Path) -> str:
        return f"{self._root}/{path.relative_to(self._out).as_posix()}"

    def _final(self, path: Path) -> Place:
        return str(self._system.unstrip_protocol(self._at(path)))


def open_results(out: Place, settings: Settings, kinds: Sequence[str], model: Path, tuning: Tuning) -> Results:
    """Give the results of a folder or a URL; see `Results`."""
    if isinstance(out, str):
        return StoredResults(out, settings, kinds, model, tuning)
    return Results(out, settings, kinds, model, tuning)


def recorded(out: Place) -> set[str]:
    """Name the images that runs so far predicted into a folder or a URL."""
    if isinstance(out, Path):
        folder = out / RECORDS
        paths = [path.relative_to(folder).as_posix() for path in folder.rglob("*.jsonl")]
    else:
        system, root = storage(out)
        with told(out):
            system.invalidate_cache()
            records = f"{root}/{RECORDS}/"
            found = system.find(records) if system.exists(records) else []
        paths = [path.removeprefix(records) for path in found if path.endswith(".jsonl")]
    return {path.removesuffix(".jsonl") for path in paths}


def _listed(listing: Path) -> set[str]:
    """Name the images that predict.json lists: a copy of the folder may lack what is hidden."""
    with contextlib.suppress(InputError, OSError, LookupError, TypeError, AttributeError):  # not of ours
        return {str(image["image"]) for image in dict(load_json(listing))["images"]}
    return set()


def find_earlier(out: Place) -> set[Place]:
    """List the files that earlier runs wrote, absolute or as URLs: they are no images to predict."""
    names = recorded(out) | (_listed(out / "predict.json") if isinstance(out, Path) else set())
    files = [f"{name}{each.name}" for name in names for each in FORMATS.values() if each.write]
    if isinstance(out, Path):
        real = out.resolve()
        return {real / file for file in files}
    system, root = storage(out)
    return {system.unstrip_protocol(f"{root}/{file}") for file in files}
