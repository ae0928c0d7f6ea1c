"""Predict on the workers of a Dask cluster, with the results of a single process."""

import os
import secrets
import signal
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import islice
from logging import CRITICAL
from multiprocessing import resource_tracker
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
    from dask import config
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
    with ThreadPoolExecutor(1) as starter:  # an interrupt waits until all processes are there and can be told to end
        cluster = starter.submit(_start, int(count)).result()
    with cluster, Client(cluster) as client:
        yield client


def _start(count: int) -> LocalCluster:
    """Start processes that tell no errors, which this one does, and that Ctrl-C does not reach; call it in a thread."""
    resource_tracker.ensure_running()  # or its start would undo the next line
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # of this thread and what it starts
    with config.set({"distributed.nanny.pre-spawn-environ.DASK_LOGGING__DISTRIBUTED": "critical"}):
        return LocalCluster(count, threads_per_worker=1, dashboard_address=None, silence_logs=CRITICAL)


def predict_on(client: Client, job: Job, sources: Sequence[Input], results: Results) -> "Iterator[Outcome]":
    """Predict files on a cluster, whose workers have to reach them; see `unetseg.prediction.folder.FilePredictor`.

    A task is a batch of images. An image so large that it is read and predicted in rows of tiles is a task for each
    row, and this process joins them. Tasks of workers that are lost are done by others.
    """
    worker = _Worker(job)
    client.register_plugin(worker, name=worker.name)
    batches = [sources[start : start + BATCH] for start in range(0, len(sources), BATCH)]
    try:
        absolute = [[*map(_absolute, batch)] for batch in batches]
        with _submitted(client, partial(_predict, worker.name), absolute) as tasks:
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
        if not client.cluster:  # or its workers end with it, if a signal has not ended them already
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
    def loaded(self) -> "tuple[FilePredictor, Results]":
        """The model with the rule for the zoom, and where the results go."""
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
            os.environ[name] = str(self._threads)
        cv2.setNumThreads(self._threads)
        keep_freed_memory()
        from unetseg.prediction.folder import open_predictor  # noqa: PLC0415 - only workers wait for TensorFlow

        job = self.job
        with tempfile.TemporaryDirectory(prefix="unetseg-") as folder:
            model = Path(folder, job.name)
            model.write_bytes(job.model)
            predictor = open_predictor(model, job.settings, job.tuning)
            return predictor, open_results(job.out, job.settings, job.kinds, model, job.tuning)


@contextmanager
def _held(name: str) -> "Iterator[_Worker]":
    """Give what this worker holds, to one task at a time; the threads of a worker compute together."""
    worker: Any = get_worker().plugins[name]
    with worker.turn:
        yield worker


def _predict(name: str, sources: Sequence[Input]) -> "list[Outcome]":
    """Predict a batch of images on a worker."""
    with _held(name) as worker:
        predictor, results = worker.loaded
        return list(predictor.predict(sources, results, keep=worker.job.large))


def _plan(name: str, source: Input) -> tuple[Known, Range | None, Plan]:
    """Plan the prediction of a large image on a worker; find the range of its values, too."""
    with _held(name) as worker, open_source(source) as image:
        known, plan = worker.loaded[0].plan(source, image)
        return known, image.span(), plan


def _score(name: str, source: Input, span: Range | None, plan: Plan, top: int) -> Float32[np.ndarray, "tile padded"]:
    """Score a row of tiles on a worker."""
    with _held(name) as worker, open_source(source, span) as image:
        return worker.loaded[0].predictor.score(image, plan, top)


def _by_rows(client: Client, name: str, source: Input, results: Results) -> "Outcome":
    """Predict a large image on all workers, and write it here."""
    try:
        results.begin(source)
        known, span, plan = client.submit(_plan, name, _absolute(source), pure=False, retries=RETRIES).result()
        most = ROWS * max(1, sum(client.nthreads().values()))
        score = partial(_score, name, _absolute(source), span, plan)
        with _submitted(client, score, plan.grid.down.starts, most) as rows:
            write_strips(results, replace(known, source=source), plan, (row.result() for row in rows))
    except InputError as error:
        return told(source, error)
    except KilledWorker as error:
        return f"{source.path}: not predicted: {error}"
    return None


@contextmanager
def _submitted(
    client: Client, function: Callable[[Item], Any], items: Iterable[Item], most: int | None = None
) -> "Iterator[Iterator[Future[Any]]]":
    """Submit `function(item)` for each item, and give the tasks in their order, with at most so many under way.

    Tasks that are not taken when the block ends are cancelled.
    """
    pending = iter(items)
    waiting: deque[Future[Any]] = deque()

    def tasks() -> "Iterator[Future[Any]]":
        while True:
            more = islice(pending, most and most - len(waiting))
            waiting.extend(client.submit(function, item, pure=False, retries=RETRIES) for item in more)
            if not waiting:
                return
            yield waiting[0]
            waiting.popleft()

    try:
        yield tasks()
    finally:
        client.cancel(list(waiting))


def _absolute(source: Input) -> Input:
    """Name a file as workers do who run in another folder."""
    return replace(source, path=source.path.absolute()) if isinstance(source.path, Path) else source
