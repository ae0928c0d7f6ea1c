"""Run a stage: its arguments are paths, its errors are one line, and it ends when its parent ends."""

import argparse
import contextlib
import errno
import functools
import inspect
import operator
import os
import re
import signal
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import psutil
import yaml

from unetseg.errors import STOPPED, InputError, printable
from unetseg.files import is_full
from unetseg.parallel import limit_threads

SECONDS_BETWEEN_LOOKS = 0.25
SMALL = 2**24  # bytes, of a file that is read within a moment

if not sys.stderr:  # closed, as by `2>&-`: lines for it would go to stdout
    sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as the process
limit_threads()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow, imported later, should print only errors


def run(main: Callable[..., None], hint: Callable[..., str] = lambda **_paths: "") -> None:
    """Call `main` with params.yaml as its first argument and a path from the command line for each other one.

    Exits with status 1 and a line on stderr for what the user can fix: bad input, a full disk, no permission. What
    `hint` gives, called with the same paths, is a last line after bad input, params.yaml included.
    """
    names = [name for name in inspect.signature(main).parameters if name != "params"]
    parser = argparse.ArgumentParser(description=sys.modules[main.__module__].__doc__)
    for name in names:
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, required=True)
    arguments = vars(parser.parse_args())
    with one_line_errors():
        _start_watching()
        from unetseg.params_file import load_params  # noqa: PLC0415 - no import may delay the watch

        try:
            params = load_params()
            before = _recorded(params.model_dump())
            _check_unchanged(before | CODE, before)
            main(params, **arguments)
            _check_unchanged(before, _recorded(load_params().model_dump()))
        except InputError as error:
            if (last := hint(**arguments)) in ("", *error.args):  # as where a worker has told it
                raise
            raise InputError(*error.args, last) from error


def _declared() -> dict[str, Any]:
    """Read from dvc.yaml the entry of this stage, and `vars`; nothing without DVC."""
    name, pipeline = os.environ.get("DVC_STAGE", ""), Path("dvc.yaml")
    if not name or not pipeline.is_file():
        return {}
    try:
        content = yaml.safe_load(pipeline.read_text(encoding="utf-8"))
        stage = content["stages"][name.rpartition(":")[2].partition("@")[0]]  # folder/dvc.yaml:stage@item
        known = [each for each in content.get("vars") or () if isinstance(each, dict)]  # others name files
        return {**{key: value for key, value in stage.items() if value}, "vars": known}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, yaml.YAMLError):  # not what DVC has started
        return {}


def _recorded(params: dict[str, Any]) -> dict[str, Any]:
    """Give what DVC will record of this stage: its values of params.yaml, and marks of its code and data.

    DVC reads them when the stage has ended: a value that was changed meanwhile it would take for the one in use, then
    and whenever that value comes again.
    """
    known = functools.reduce(operator.or_, DECLARED.get("vars", ()), params)

    def value(dotted: str) -> Any:
        return functools.reduce(lambda inner, key: inner.get(key, {}), dotted.split("."), known)

    found: dict[str, Any] = {}
    for key in (each for each in DECLARED.get("params", ()) if isinstance(each, str)):  # of this file
        values = value(key)
        inner = {f"{key}.{each}": it for each, it in values.items()} if isinstance(values, dict) else {key: values}
        found |= {f"params.yaml: {each}": it for each, it in inner.items()}
    deps = (re.sub(r"\$\{([\w.]+)\}", lambda match: str(value(match[1])), dep) for dep in DECLARED.get("deps", ()))
    return found | _marks(deps)


def _marks(deps: Iterable[str], kind: str = "") -> dict[str, tuple[int, int]]:
    """Mark each file of some files and folders, of a kind if asked to, by its size and checksum, or its time if large.

    Git, DVC and people write files anew as they were. Left out are files that editors and systems hide in a folder.
    """
    hidden = re.compile(r"\..*|.*~|__pycache__")

    def below(folder: Path) -> Iterator[Path]:
        return (each for each in folder.rglob("*") if not any(map(hidden.fullmatch, each.relative_to(folder).parts)))

    found = (file for dep in map(Path, deps) for file in (dep, *below(dep)) if file.name.endswith(kind))
    sizes = {file: file.stat() for file in found if file.is_file()}
    return {
        str(file): (now.st_size, zlib.crc32(file.read_bytes()) if now.st_size <= SMALL else now.st_mtime_ns)
        for file, now in sizes.items()
    }


def _check_unchanged(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Refuse results that DVC would record as made from something else.

    Raises:
        InputError: naming the first change.
    """
    for name in before | after:
        if before.get(name) != (now := after.get(name)):
            values = f" from {before[name]} to {now}" if name.startswith("params.yaml") else ""
            rule = "its results are not of what stands there now: set it back, or leave it, and run again"
            raise InputError(f"{name} was changed{values} while the stage ran; {rule}")


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn errors that the user can repair into lines on stderr and exit status 1; leave in order when told to stop.

    SIGTERM and SIGHUP count as Ctrl-C, so that blocks which tidy up do so; `nohup` stays in force. Only bad input, a
    failing file system and an interrupt are told in a line; any other exception keeps its traceback.
    """
    told = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    main = threading.current_thread() is threading.main_thread()  # only it may set what signals do
    usual = (signal.SIG_DFL, signal.default_int_handler)
    changed = {each: before for each in told if main and (before := signal.getsignal(each)) in usual}
    for each in changed:
        signal.signal(each, _stop)
    try:
        try:
            yield
        finally:
            for each, before in changed.items():
                signal.signal(each, before)
            STOPPED.clear()
    except BaseException as error:
        if not (line := _told(error)):
            raise
        print(line, file=sys.stderr)
        if _is_interrupt(error) and os.environ.get("KERAS_BACKEND") == "jax":  # ends in a crash if it was compiling
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(1)
        sys.exit(1)


def _told(error: BaseException) -> str | None:
    """Give what the user is told of an exception; None for a defect."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, OSError) and (said := error.strerror or (os.strerror(errno.ENOSPC) if is_full(error) else "")):
        where = f"{printable(os.fsdecode(error.filename))}: " if isinstance(error.filename, str | bytes) else ""
        return f"{where}{said}"
    return "interrupted" if _is_interrupt(error) else None


def _stop(_number: int, _frame: FrameType | None) -> None:
    """Raise an exception, so that cleanup code runs."""
    STOPPED.set()
    raise KeyboardInterrupt


def _is_interrupt(error: BaseException | None) -> bool:
    """Tell Ctrl-C, also where a library caught it and raised something else."""
    while error and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _hook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Say in one line what ends a stage while it imports what it needs, outside of any block."""
    if line := _told(error):
        print(line, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


@functools.cache
def _start_watching() -> None:
    """Watch the parent process and `dvc`, if it is an ancestor: a shell may be between them."""
    parents = psutil.Process().parents()
    if "DVC_STAGE" in os.environ and parents and _takes_orphans(parents[0]) and not any(map(_is_dvc, parents)):
        sys.exit("interrupted")  # dvc was killed before this line was reached
    guardians = parents[:1] + [process for process in parents[1:] if _is_dvc(process)]
    threading.Thread(target=_watch, args=(guardians,), daemon=True).start()


def _is_dvc(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return any(Path(word).stem == "dvc" for word in process.cmdline()[:3])  # dvc, python dvc, python -m dvc
    return False


def _takes_orphans(process: psutil.Process) -> bool:
    """Tell the first process and systemd's of a user, to which the children of a dead process go.

    A Python that is the first process, as in a container, is what called DVC.
    """
    with contextlib.suppress(psutil.Error):
        return process.name() == "systemd" or (process.pid == 1 and not process.name().startswith("python"))
    return False


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _watch(guardians: list[psutil.Process]) -> None:
    """Stop this process when one of them ends: a killed `dvc` must not leave a training running."""
    while all(_lives(process) for process in guardians):
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(1)  # a signal waits for the end of a long call into C
    os._exit(1)


sys.excepthook = _hook
DECLARED = _declared()
CODE = _marks((dep for dep in DECLARED.get("deps", ()) if "$" not in dep), ".py")  # it may change while it is imported
if "DVC_STAGE" in os.environ:  # set by `dvc`, which may be killed while a stage imports TensorFlow, for seconds
    _start_watching()
