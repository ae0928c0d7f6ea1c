"""Rules for the members of a zip that may be unpacked: names, kinds and positions in the file."""

import contextlib
import re
import stat
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from unetseg.dataset.layout import nfc

LONGEST_NAME = 255  # bytes of a file or folder name, on Linux, macOS and Windows
LONGEST_PATH = 1024  # bytes; macOS allows no more
NAME_RULES = [
    (re.compile(pattern), rule)
    for pattern, rule in (
        ("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", "has a control character in its name"),
        ("^[A-Za-z]:", "begins with a drive letter; names must be relative to the archive"),
        (r"\\", "has a backslash in its name; pack it again with forward slashes between folders"),
        ("^/", "is an absolute path; names must be relative to the archive"),
        (r"(^|/)\.\.(/|$)", "leads out of its folder by '..'"),
        (r"(^|/)\.?(/|$)", "has an empty name or '.' in its path"),
        (r"(?i)(^|/)(con|prn|aux|nul|com[1-9]|lpt[1-9])(\.[^/]*)?(/|$)", "has a name that Windows keeps for a device"),
    )
]
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst")
UNPACK = "unpack it and run `unetseg import` on the folder"
AGAIN = "download or pack it again"
BEGINNINGS = {  # what is taken for a zip by mistake
    b"7z\xbc\xaf\x27\x1c": f"a 7z archive; {UNPACK}",
    b"Rar!": f"a RAR archive; {UNPACK}",
    b"\x1f\x8b": f"a gzip or tar.gz file; {UNPACK}",
    b"BZh": f"a bzip2 file; {UNPACK}",
    b"\xfd7zXZ": f"an xz file; {UNPACK}",
    b"<!doctype": f"a web page; {AGAIN}",
    b"<html": f"a web page; {AGAIN}",
    b"version https://git-lfs": "a pointer of Git LFS; run `git lfs pull`",
}
INNER = "is an archive inside the archive; unpack it and pack the samples alone"
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
ENCRYPTED = 0x1
UTF_8 = 0x800
HEADER = 30  # bytes of a member's header in the file, before its name


def faults(members: Sequence[zipfile.ZipInfo], end: int) -> Iterator[tuple[str, str]]:
    """List the members that must not be unpacked, each with the rule that it breaks.

    Args:
        members: all members, those that will not be unpacked too.
        end: the byte of the file where the contents of the members end.

    Yields:
        The member's name as it stands in the file, and the rule.
    """
    names = [member_name(member) for member in members]
    for name, member in zip(names, members, strict=True):
        for rule in (*name_faults(name), *_kind_faults(name, member)):
            yield name, rule
    yield from _clashes(name for name in names if len(name) <= LONGEST_PATH)
    yield from _overlaps(members, end)


def member_name(member: zipfile.ZipInfo) -> str:
    """Decode a member's name, in Unicode form NFC.

    Finder and others write UTF-8 without the flag that says so; zipfile then takes it for code page 437.
    """
    name = member.orig_filename
    if not name.isascii() and not member.flag_bits & UTF_8:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return nfc(name)


def shown(name: str) -> str:
    """Give a member's name as it can be printed: control characters escaped, the middle of a long one left out."""
    quoted = repr(name)
    return f"member {quoted}" if len(quoted) <= 200 else f"member {quoted[:90]}…{quoted[-90:]}"


def what_is(head: bytes) -> str:
    """Say what a file that should be an archive seems to be, by its first bytes, and what to do."""
    begin = head.lstrip().lower()
    for start, what in BEGINNINGS.items():
        if head.startswith(start) or begin.startswith(start):
            return what
    text = head[:20].decode("ascii", errors="replace").partition("\n")[0]
    told = text.isprintable() and "\ufffd" not in text
    what = f"a text that begins with {text!r}" if told and text else "of no known kind" if head else "empty"
    return f"{what}; {AGAIN}"


def name_faults(name: str) -> Iterator[str]:
    """Say which rules a path breaks that is to be unpacked."""
    if len(name) > LONGEST_PATH:
        yield f"has a path of {len(name)} characters, more than {LONGEST_PATH}"
        return
    path = name.removesuffix("/")
    yield from [rule for pattern, rule in NAME_RULES if pattern.search(path)][:1]
    longest = max(len(part.encode()) for part in path.split("/"))
    if longest > LONGEST_NAME:
        yield f"has a name of {longest} bytes, more than {LONGEST_NAME}"


def _kind_faults(name: str, member: zipfile.ZipInfo) -> Iterator[str]:
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind == stat.S_IFLNK:
        yield "is a symbolic link; pack the file itself"
    elif kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        yield "is a device, pipe or socket"
    if kind == stat.S_IFDIR and not name.endswith("/"):
        yield "is a folder where a file should be"
    if name.endswith("/") and member.file_size:
        yield "is a folder with contents of its own"
    if member.flag_bits & ENCRYPTED:
        yield "is encrypted; pack it again without a password"
    if member.compress_type not in METHODS:
        yield f"uses compression method {member.compress_type}; pack it again with the usual one, deflate"
    if name.lower().endswith(ARCHIVES):
        yield INNER


def _clashes(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Find paths that are the same on some file system: macOS and Windows ignore case, macOS also the Unicode form.

    In alphabetical order what is in a folder stands together, so that one folder in each depth is in memory.
    """
    above: list[tuple[str, dict[str, str]]] = [("", {})]  # folders on the way to a name, and how each place is spelt
    for before, name in pairwise(("", *sorted(names))):
        if name == before:
            yield name, "is there twice"
        while not name.startswith(above[-1][0]):
            above.pop()
        for part in re.findall("[^/]+/?", name.removeprefix(above[-1][0])):
            folder, spelt = above[-1]
            path = f"{folder}{part}"
            first = spelt.setdefault(nfc(part.removesuffix("/").casefold()), path)
            if (other := first.removesuffix("/")) != path.removesuffix("/"):
                yield name, f"{path.removesuffix('/')!r} differs from {other!r} only in case or Unicode form"
            elif first != path:
                yield name, f"{other!r} is a file and a folder at once"
            if part.endswith("/"):
                above.append((path, {}))


def _overlaps(members: Sequence[zipfile.ZipInfo], end: int) -> Iterator[tuple[str, str]]:
    """Find members that share bytes of the file, which is how a small zip bomb gets large."""
    ordered = sorted(members, key=lambda member: member.header_offset)
    limits = [*(member.header_offset for member in ordered[1:]), end]
    for member, limit in zip(ordered, limits, strict=False):
        if member.header_offset + HEADER + len(member.orig_filename) + member.compress_size > limit:
            yield member_name(member), "overlaps what follows it in the file"
