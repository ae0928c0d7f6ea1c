"""Run Python programs in forks of a process that has imported TensorFlow and DVC, or JAX, which takes others seconds.

`python warm.py serve SOCKET PID BACKEND` waits for programs while the process PID lives; `python warm.py SOCKET
python …` is to the caller what `python …` is. Only installed packages are imported beforehand: a program imports the
project's code anew, from its own PYTHONPATH.
"""

import array
import atexit
import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import NoReturn

COMMON = (
    "concurrent.futures.process", "encodings.cp437", "encodings.utf_8_sig", "h5py", "jaxtyping", "keras", "psutil",
    "pydantic.main", "pydantic.type_adapter", "scipy.ndimage", "skimage.color", "skimage.exposure", "yaml",
)  # fmt: skip
WITH_TENSORFLOW = (
    "tensorflow", "cv2", "imagecodecs._imcd", "imagecodecs._png", "matplotlib.backends.backend_agg",
    "matplotlib.figure", "multiprocessing.forkserver", "PIL.BmpImagePlugin", "PIL.GifImagePlugin",
    "PIL.JpegImagePlugin", "PIL.PngImagePlugin", "PIL.PpmImagePlugin", "scipy.spatial", "scipy.stats", "skimage.draw",
    "skimage.measure", "skimage.metrics", "skimage.morphology", "skimage.segmentation", "sklearn.model_selection",
    "statistics", "tifffile", "tqdm", "zlib_ng.zlib_ng",
)  # fmt: skip
OF_DVC = (
    "dvc.api", "dvc.cli.parser", "dvc.data_cloud", "dvc.render", "dvc.repo.experiments.queue.celery",
    "dvc.repo.experiments.queue.workspace", "dvc.repo.experiments.run", "dvc.repo.experiments.show", "dvc.repo.index",
    "dvc.repo.open_repo", "dvc.repo.plots", "dvc.utils.hydra", "dvc.utils.strictyaml", "dvc_data.hashfile.build",
    "celery.app.base", "configobj", "dulwich.porcelain", "fsspec.implementations.memory", "hydra",
    "hydra._internal.config_loader_impl", "hydra.core.override_parser.overrides_parser", "kombu.transport.filesystem",
    "networkx", "omegaconf", "platformdirs", "pygit2", "ruamel.yaml", "shortuuid", "voluptuous.humanize",
)  # fmt: skip
PYTHON = sys.executable
BEFOREHAND = {"tensorflow": WITH_TENSORFLOW + OF_DVC + COMMON, "jax": ("jax", *COMMON)}


def make_programs(folder: Path, pid: int, backend: str = "tensorflow") -> Path:
    """Start the process; give a folder of programs to put first on the path, once they can be used."""
    import subprocess

    folder.mkdir()
    ear = folder / "socket"
    for name, words in {"python": "", "dvc": "-m dvc", "unetseg": "-m unetseg.cli"}.items():
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{__file__}" "{ear}" {words} "$@"\n')
        (folder / name).chmod(0o755)
    command = [sys.executable, __file__, "serve", str(ear), str(pid), backend]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )
    assert process.stdout is not None
    with process.stdout as told:
        assert told.readline() == b"ready\n", (folder / "log").read_text()
    process.returncode = 0  # it goes on: no warning of a running child
    return folder


def call(ear: str, *arguments: str) -> int:
    """Have a program run with this process's arguments, folder, environment and files; give its exit status."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(ear)
        connection.sendmsg([b" "], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
        connection.sendall(json.dumps([arguments, str(Path.cwd()), dict(os.environ)]).encode() + b"\n")
        with connection.makefile() as answer:
            status = int(answer.readline() or 1)
    if status < 0:
        os.kill(os.getpid(), -status)
    return status


def serve(ear: str, pid: int, backend: str) -> None:
    """Import what takes long and run what is asked for."""
    import importlib

    if backend == "jax":
        os.environ["KERAS_BACKEND"] = "jax"
        sys.modules["tensorflow"] = None  # type: ignore[assignment] # nothing needs it, and Keras would import it
    for name in BEFOREHAND[backend]:
        importlib.import_module(name)
    if backend == "tensorflow":
        sys.modules["tensorflow"].config.run_functions_eagerly(True)  # to compile takes longer than the models do
    sys.dont_write_bytecode = False  # each copy of a finished project brings its compiled modules along
    gc.collect()
    gc.set_threshold(50_000, 20, 20)
    gc.freeze()  # or each fork's collector would copy all that was imported, for seconds
    sys.executable = str(Path(ear).with_name("python"))  # what a program starts is a fork as well
    server = socket.socket(socket.AF_UNIX)
    server.bind(ear)
    server.listen(64)
    print("ready", flush=True)
    end, running = os.pidfd_open(pid), dict[int, tuple[int, socket.socket]]()
    events = select.epoll()
    events.register(server, select.EPOLLIN)
    events.register(end, select.EPOLLIN)
    while True:
        ((ready, _),) = events.poll(maxevents=1)
        if ready == end:
            return
        if ready == server.fileno():
            connection, _ = server.accept()
            if (child := os.fork()) == 0:
                _answer(connection)
            program = os.pidfd_open(child)
            running[program] = running[connection.fileno()] = child, connection
            events.register(program, select.EPOLLIN)
            events.register(connection, select.EPOLLRDHUP)
            continue
        child, connection = running.pop(ready)
        events.unregister(ready)
        if ready == connection.fileno():  # its caller ended
            os.kill(child, signal.SIGKILL)
            continue
        os.close(ready)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if running.pop(connection.fileno(), None):
            events.unregister(connection)
            with contextlib.suppress(OSError):
                connection.sendall(b"%d\n" % status)
        connection.close()


def _answer(connection: socket.socket) -> NoReturn:
    """Run the program that is asked for, with its caller's files, folder and environment."""
    _, files, _, _ = socket.recv_fds(connection, 1, 3)
    arguments, folder, environment = json.loads(connection.makefile().readline())
    connection.close()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    status = _run(arguments)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _run(arguments: list[str]) -> int:
    """Do as `python ARGUMENTS…` does and give the exit status."""
    import importlib
    import runpy

    if arguments[0] == "-u":  # of a process that shares the tests: what it starts is to import all anew
        sys.executable, arguments = PYTHON, arguments[1:]
    beside = Path.cwd() if arguments[0] in ("-c", "-m") else Path(arguments[0]).parent.resolve()
    sys.path[:1] = [str(beside)]
    sys.path[1:1] = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.modules.pop("sitecustomize", None)
    with contextlib.suppress(ImportError):
        importlib.import_module("sitecustomize")
    try:
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        elif arguments[0] == "-c":
            sys.argv = ["-c", *arguments[2:]]
            exec(arguments[1], {"__name__": "__main__"})
        else:
            sys.argv = arguments
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        return 1
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    else:
        sys.exit(call(*sys.argv[1:]))
