"""Unpack the members of a zip one by one, and find those that are damaged."""

import copy
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator

from unetseg.dataset.members import HEADER
from unetseg.errors import InputError

PIECE = 2**20
MAGIC = b"PK\3\4"
LOCAL = struct.Struct("<4s2xHH16xHH")  # of a member's header in the file: magic, flags, method, lengths that follow
UTF_8 = 0x800
HARMLESS = UTF_8 | 0x2 | 0x4 | 0x8  # flags that change nothing in how a member is read: names, effort, sizes come later
EXTRA = 256  # bytes that may follow a name
DAMAGE = (  # what zipfile raises for damaged files; MemoryError where one announces a list of exabytes
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    OverflowError,
    MemoryError,
)


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """Unpack a member piece by piece, and stop at the first byte more than its header announced.

    So the limits, which `contents` checks on announced sizes, hold for what is written.

    Raises:
        InputError: if the member is damaged or its size is not the announced one.
    """
    if (content := _sound_content(archive, member)) is not None:
        yield content
        return
    whole = copy.copy(member)
    whole.file_size = sys.maxsize  # zipfile would stop at the announced size without a word
    size = 0
    try:
        with archive.open(whole) as stream:
            while size <= member.file_size and (piece := stream.read(PIECE)):
                size += len(piece)
                if size <= member.file_size:
                    yield piece
    except DAMAGE as error:
        raise InputError(f"{shown(member.orig_filename)}: is damaged ({error})") from error
    if size != member.file_size:
        found = "fewer" if size < member.file_size else "more"
        raise InputError(
            f"{shown(member.orig_filename)}: unpacks to {found} than the {member.file_size} bytes it declares"
        )


def _sound_content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes | None:
    """Unpack a small member by one read and one call; `None` if anything about it is out of the ordinary.

    zipfile takes several times as long for a file of a few hundred bytes, but knows what is wrong with others.
    """
    source = archive.fp
    if source is None or max(member.file_size, member.compress_size) > PIECE:
        return None
    try:
        source.seek(member.header_offset)
        head = source.read(HEADER + len(member.orig_filename) * 4 + EXTRA + member.compress_size)
        magic, flags, method, name_length, extra_length = LOCAL.unpack_from(head)
        name = member.orig_filename.encode("utf-8" if flags & UTF_8 else "cp437")
        start = HEADER + name_length + extra_length
        content = head[start : start + member.compress_size]
        if (magic, method) != (MAGIC, member.compress_type) or flags & ~HARMLESS:
            return None
        if head[HEADER : HEADER + name_length] != name or len(content) != member.compress_size:
            return None
        if method == zipfile.ZIP_DEFLATED:
            unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
            content = unpacker.decompress(content, member.file_size + 1)
            if not unpacker.eof:
                return None
    except DAMAGE:
        return None
    return content if len(content) == member.file_size and zlib.crc32(content) == member.CRC else None


def shown(name: str) -> str:
    """Give a member's name as it can be printed: control characters escaped, the middle of a long one left out."""
    quoted = repr(name)
    return f"member {quoted}" if len(quoted) <= 200 else f"member {quoted[:90]}…{quoted[-90:]}"
