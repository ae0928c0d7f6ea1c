"""Feed damaged archives to the archive reader: whatever they hold, the only exception may be InputError.

Needs `pip install atheris` (Linux, CPython 3.11 to 3.13). Inputs that end in another exception, hang or take too much
memory are kept in --folder; each belongs into tests/dataset/test_archive.py.

    python benchmarks/fuzz_archive.py --minutes 10
"""

import io
import sys
from collections.abc import Iterator

import atheris
from fuzzing import fuzz

sys.modules.pop("zipfile", None)  # a module that is already imported would not be instrumented
with atheris.instrument_imports(include=["unetseg", "zipfile"]):
    import zipfile

    from unetseg.dataset import archive
    from unetseg.params_file import load_params

SMALL = {"max_members": 100, "max_gigabytes": 0.01, "max_ratio": 200.0}
LIMITS = load_params().data.model_copy(update=SMALL)


def read(data: bytes) -> Iterator[str]:
    """Read all of an archive, and see to it that what is accepted stays in the target and within the limits."""
    with archive.open_zip(io.BytesIO(data)) as file:
        found = archive.contents(file, LIMITS)
        for path in found.members:
            if path.startswith("/") or {"..", "."}.intersection(path.split("/")) or "\\" in path:
                raise RuntimeError(f"unsafe path {path!r}")
        size = sum(len(piece) for member in found.members.values() for piece in archive.read_member(file, member))
        if size > LIMITS.max_gigabytes * 1e9:
            raise RuntimeError(f"{size} bytes unpacked")
    yield "archives accepted"


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


if __name__ == "__main__":
    fuzz(__doc__, read, seeds(), outcomes=["archives accepted"], suffix=".zip")
