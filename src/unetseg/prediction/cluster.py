"""Predict on the workers of a Dask cluster, with the results of a single process."""

import os
import secrets
import shutil
import tempfile
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import islice
from logging import ERROR
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

import cv2
import numpy as np
from jaxtyping import Float32

from unetseg.errors import InputError
from unetseg.images.inputs import Input, open_source
from unetseg.images.intensity import Range
from unetseg.images.opening import LARGE
from unetseg.images.storage import Place
from unetseg.parallel import keep_freed_memory
from unetseg.prediction.plan import Plan
from unetseg.prediction.results import Known, Results, told, write_strips
from unetseg.prediction.settings import Settings, Tuning
from unetseg.prediction.stored import open_results

try:
    from distributed import Client, KilledWorker, LocalCluster, WorkerPlugin, get_worker
except ImportError as error:
    raise InputError("--dask needs: pip install 'unetseg[dask]'") from error

if TYPE_CHECKING:
    from distributed import Future, Worker

    from unetseg.prediction.folder import FilePredictor, Outcome

BATCH = 8  # images of a task, as many as the model takes at once
ROWS = 2  # rows of tiles per thread that are under way or wait to be written; they are large
RETRIES = 3  # of a task that fails because of its worker, such as of a full disk
LOCAL = "local:"

Item = TypeVar("Item")


@dataclass(frozen=True)
class Job:
    """All that a worker needs to predict images."""

    out: Place
    settings: Settings
    kinds: tuple[str, ...]  # see `Results`
    tuning: Tuning
    name: str  # of the model's file
    model: bytes  # the content of that file
    large: int = LARGE  # pixels; all workers predict a larger image together


@contextmanager
def connected(where: str) -> Iterator[Client]:
    """Connect to a cluster.

    Args:
        where: `local:N` for N processes of this computer with a thread each, or the address of a scheduler.

    Raises:
        InputError: if there is none.
    """
    if not where.startswith(LOCAL):
        try:
            client = Client(where)
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"--dask {where}: no scheduler answers: {error}") from error
        with client:
            yield client
        return
    if not (count := where.removeprefix(LOCAL)).isdecimal() or int(count) < 1:
        raise InputError(f"--dask {where}: name the number of processes, such as local:2")
    with (
        LocalCluster(int(count), threads_per_worker=1, dashboard_address=None, silence_logs=ERROR) as cluster,
        Client(cluster) as client,
    ):
        yield client


def predict_on(client: Client, job: Job, sources: Sequence[Input], results: Results) -> "Iterator[Outcome]":
    """Predict files on a cluster, whose workers have to reach them; see `unetseg.prediction.folder.FilePredictor`.

    A task is a batch of images. An image so large that it is read and predicted in rows of tiles is a task for each
    row, and this process joins them. Tasks of workers that are lost are done by others.
    """
    worker = _Worker(job)
    client.register_plugin(worker, name=worker.name)
    batches = [sources[start : start + BATCH] for start in range(0, len(sources), BATCH)]
    try:
        tasks = _submitted(client, partial(_predict, worker.name), [[*map(_absolute, batch)] for batch in batches])
        for batch, task in zip(batches, tasks, strict=True):
            try:
                outcomes = task.result()
            except KilledWorker as error:
                outcomes = [f"{source.path}: not predicted: {error}" for source in batch]
            for source, outcome in zip(batch, outcomes, strict=True):
                told = _by_rows(client, worker.name, source, results) if isinstance(outcome, Input) else outcome
                if told is None:
                    results.mark(source)
                yield told
    finally:
        client.unregister_worker_plugin(worker.name)


class _Worker(WorkerPlugin):
    """What a worker holds: the model, which it loads once, at its first task."""

    def __init__(self, job: Job) -> None:
        self.name = f"unetseg-{secrets.token_hex(8)}"
        self.job = job

    def setup(self, worker: "Worker") -> None:
        """Start as Dask asks it to."""
        self._threads, self.turn = worker.state.nthreads, RLock()

    @cached_property
    def predictor(self) -> "FilePredictor":
        """The model, and the rule for the zoom."""
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
            os.environ[name] = str(self._threads)
        cv2.setNumThreads(self._threads)
        keep_freed_memory()
        from unetseg.prediction.folder import open_predictor  # noqa: PLC0415 - only workers wait for TensorFlow

        return open_predictor(self._model, self.job.settings, self.job.tuning)

    @cached_property
    def results(self) -> Results:
        """Where the results go."""
        job = self.job
        return open_results(job.out, job.settings, job.kinds, self._model, job.tuning)

    @cached_property
    def _model(self) -> Path:
        folder = tempfile.mkdtemp(prefix="unetseg-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        path = Path(folder, self.job.name)
        path.write_bytes(self.job.model)
        return path


@contextmanager
def _held(name: str) -> "Iterator[_Worker]":
    """Give what this worker holds, to one task at a time; the threads of a worker compute together."""
    worker: Any = get_worker().plugins[name]
    with worker.turn:
        yield worker


def _predict(name: str, sources: Sequence[Input]) -> "list[Outcome]":
    """Predict a batch of images on a worker."""
    with _held(name) as worker:
        return list(worker.predictor.predict(sources, worker.results, keep=worker.job.large))


def _plan(name: str, source: Input) -> tuple[Known, Range | None, Plan]:
    """Plan the prediction of a large image on a worker; find the range of its values, too."""
    with _held(name) as worker, open_source(source) as image:
        known, plan = worker.predictor.plan(source, image)
        return known, image.span(), plan


def _score(name: str, source: Input, span: Range | None, plan: Plan, top: int) -> Float32[np.ndarray, "tile padded"]:
    """Score a row of tiles on a worker."""
    with _held(name) as worker, open_source(source, span) as image:
        return worker.predictor.predictor.score(image, plan, top)


def _by_rows(client: Client, name: str, source: Input, results: Results) -> "Outcome":
    """Predict a large image on all workers, and write it here."""
    try:
        results.begin(source)
        known, span, plan = client.submit(_plan, name, _absolute(source), pure=False, retries=RETRIES).result()
        most = ROWS * max(1, sum(client.nthreads().values()))
        rows = _submitted(client, partial(_score, name, _absolute(source), span, plan), plan.grid.down.starts, most)
        write_strips(results, replace(known, source=source), plan, (row.result() for row in rows))
    except (InputError, KilledWorker) as error:
        return told(source, error) if isinstance(error, InputError) else f"{source.path}: not predicted: {error}"
    return None


def _submitted(
    client: Client, function: Callable[[Item], Any], items: Iterable[Item], most: int | None = None
) -> "Iterator[Future[Any]]":
    """Submit `function(item)` for each item, and yield the tasks in their order, with at most so many under way."""
    pending = iter(items)
    waiting: deque[Future[Any]] = deque()
    try:
        while True:
            more = islice(pending, most and most - len(waiting))
            waiting.extend(client.submit(function, item, pure=False, retries=RETRIES) for item in more)
            if not waiting:
                return
            yield waiting.popleft()
    finally:
        client.cancel(list(waiting))


def _absolute(source: Input) -> Input:
    """Name a file as workers do who run in another folder."""
    return replace(source, path=source.path.absolute()) if isinstance(source.path, Path) else source
