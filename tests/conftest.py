import fcntl
import gc
import os
import shlex
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")  # other tests have the other cores
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import jaxtyping
import pytest
from pipeline import Project, make_project
from warm import make_programs

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what it runs in the background
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it
hypothesis.settings.register_profile("project", deadline=None)  # a busy computer is no defect
hypothesis.settings.load_profile("project")
jaxtyping.install_import_hook("unetseg", "beartype.beartype")

gc.set_threshold(50_000, 20, 20)

ROOT = Path(__file__).parents[1]
PROGRAMS = "UNETSEG_TEST_PROGRAMS"  # names the folder of programs to the processes that share the tests


@pytest.fixture
def realdata() -> Path:
    """The folder of real images that stands beside the project, where it does."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real images are not in ../shared/data")
    return folder


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this run of the tests share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(autouse=True)
def eager(request: pytest.FixtureRequest) -> None:
    """Run models without compiling, which takes far longer than the tests' models do, unless a test asks for it."""
    if tensorflow := sys.modules.get("tensorflow"):
        tensorflow.config.run_functions_eagerly("compiled" not in request.fixturenames)


@pytest.fixture
def compiled() -> None:
    """Ask for compiled steps."""


@pytest.fixture(scope="session")
def programs(shared: Path) -> None:
    """Let projects run Python and dvc in forks of one process, which has imported what takes long."""
    Project.programs = warm(shared, "tensorflow")


@pytest.fixture(scope="session")
def jax_python(shared: Path) -> str:
    """Python that has imported JAX already, and Keras on it, and has no TensorFlow."""
    pytest.importorskip("jax")
    return str(warm(shared, "jax") / "python")


def warm(shared: Path, backend: str) -> Path:
    """Give a folder of programs that run in forks of one process for all tests; where it cannot fork, of usual ones."""
    if sys.platform != "linux":
        return Path(sys.executable).parent
    if backend == "tensorflow" and PROGRAMS in os.environ:
        return Path(os.environ[PROGRAMS])
    pid = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    return once(shared / backend, lambda folder: make_programs(folder, pid, backend)).folder


@pytest.fixture(scope="session")
def fresh(shared: Path, programs: None) -> Project:
    """A small project that was committed and has not run. Shared by all tests: work on copies of it."""
    del programs  # which it runs
    return once(shared / "fresh", make_project)


@pytest.fixture(scope="session")
def finished(fresh: Project, shared: Path) -> Project:
    """The same project after `dvc repro`, nothing of it committed. Shared by all tests: work on copies of it."""

    def make(folder: Path) -> None:
        fresh.copy(folder).dvc("repro")

    return once(shared / "finished", make)


def once(folder: Path, make: Callable[[Path], object]) -> Project:
    """Make a project, or wait for the process that makes it."""
    done = folder.with_suffix(".done")
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            make(folder)
            done.touch()
    return Project(folder)


def pytest_collection_finish() -> None:
    """Leave all that was imported out of later garbage collections, of which Keras asks for many."""
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that run dvc as slow, and begin with the files of slow tests: several processes share the rest."""
    for item in items:
        if {"fresh", "finished", "programs"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
    count = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -count[item.path])


def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """Fork the processes that share the tests, too, from the one that has imported what takes long."""
    if sys.platform == "linux":
        folder = Path(tempfile.mkdtemp())
        config.add_cleanup(lambda: shutil.rmtree(folder))
        os.environ[PROGRAMS] = str(make_programs(folder / "programs", os.getpid()))
        for spec in specs:
            spec.python = shlex.quote(f"{os.environ[PROGRAMS]}/python")


def pytest_xdist_auto_num_workers() -> int:
    """Run one process more than there are cores: some tests wait for DVC's queue, or for other processes."""
    return (os.cpu_count() or 1) + 1
