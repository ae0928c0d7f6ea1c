"""Feed damaged archives to the archive reader: whatever they hold, the only exception may be InputError.

Needs `pip install atheris` (Linux, CPython 3.11 to 3.13). Inputs that end in another exception, hang or take too much
memory are kept in --folder; each belongs into tests/test_archive.py.

    python benchmarks/fuzz_archive.py --minutes 10
"""

import argparse
import io
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

import atheris

sys.modules.pop("zipfile", None)  # a module that is already imported would not be instrumented
with atheris.instrument_imports(include=["unetseg", "zipfile"]):
    import zipfile

    from unetseg.dataset import archive
    from unetseg.errors import InputError
    from unetseg.params_file import load_params

SMALL = {"max_members": 100, "max_gigabytes": 0.01, "max_ratio": 200.0}
LIMITS = load_params().data.model_copy(update=SMALL)
SECONDS_AN_INPUT = 10
MEGABYTES = 4096


class Target:
    """Read an archive as the stage does, in memory, and count."""

    def __init__(self, findings: Path, seconds: float) -> None:
        """Go on for so many seconds and keep what fails in the folder `findings`."""
        self.findings, self.seconds = findings, seconds
        self.started = time.monotonic()
        self.executions = self.accepted = 0
        self.failures: dict[str, Path] = {}

    def __call__(self, data: bytes) -> None:
        """Read one input; libFuzzer calls this with one after the other."""
        if time.monotonic() - self.started > self.seconds:
            self.report()
            os._exit(bool(self.failures))  # libFuzzer leaves without a chance to report
        self.executions += 1
        try:
            read(data)
            self.accepted += 1
        except InputError:
            pass
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} in {where.name}: {error}"
            if kind not in self.failures:
                self.failures[kind] = self.findings / f"finding-{len(self.failures)}.zip"
                self.failures[kind].write_bytes(data)

    def report(self) -> None:
        """Print what came of it."""
        seconds = time.monotonic() - self.started
        print(f"{self.executions} executions in {seconds:.0f} s, {self.accepted} archives accepted")
        print(f"{len(self.failures)} kinds of unhandled exceptions")
        for kind, path in self.failures.items():
            print(f"  {kind}: {path}")
        sys.stdout.flush()


def read(data: bytes) -> None:
    """Read all of an archive, and see to it that what is accepted stays in the target and within the limits."""
    with archive.open_zip(io.BytesIO(data)) as file:
        found = archive.contents(file, LIMITS)
        for path in found.members:
            if path.startswith("/") or {"..", "."}.intersection(path.split("/")) or "\\" in path:
                raise RuntimeError(f"unsafe path {path!r}")
        size = sum(len(piece) for member in found.members.values() for piece in archive.read_member(file, member))
        if size > LIMITS.max_gigabytes * 1e9:
            raise RuntimeError(f"{size} bytes unpacked")


def seeds() -> list[bytes]:
    """Make small archives of every form that the reader knows."""
    sample = {"ab/images/ab.png": b"image", "ab/masks/1.png": b"mask" * 30}
    forms = [
        sample,
        {f"train/{name}": content for name, content in sample.items()} | {"train/": b"", "train/ab/masks/": b""},
        sample | {"__MACOSX/._x": b"", "groups.csv": b"id,group\nab,1\n", "größe.txt": b"text"},
        sample | {"../x": b"", "AB/images/x.png": b"", "C:\\x": b"", "inner.zip": b"PK\3\4"},
    ]
    return [_pack(form, method, streamed) for form in forms for method in (0, 8) for streamed in (False, True)] + [
        _pack(sample, zipfile.ZIP_DEFLATED, streamed=False, zip64=True)
    ]


def _pack(members: dict[str, bytes], method: int, streamed: bool, zip64: bool = False) -> bytes:
    buffer = io.BytesIO()
    if streamed:
        buffer.seekable = lambda: False  # sizes behind the contents
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, content in members.items():
            with file.open(zipfile.ZipInfo(name), "w", force_zip64=zip64) as member:
                member.write(content)
    return buffer.getvalue()


def main() -> None:
    """Fuzz for the time asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "fuzz_archive")
    options = parser.parse_args()
    corpus = options.folder / "corpus"  # grows, and the next run starts from it
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (corpus / f"seed-{number}.zip").write_bytes(seed)
    limits = ["-max_len=2048", f"-timeout={SECONDS_AN_INPUT}", f"-rss_limit_mb={MEGABYTES}", "-verbosity=0"]
    arguments = [sys.argv[0], *limits, f"-artifact_prefix={options.folder}/", str(corpus)]
    atheris.Setup(arguments, Target(options.folder, options.minutes * 60))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
