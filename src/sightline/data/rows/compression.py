"""Compressed files, read as streams: one entry for each suffix; and the real kind of files with another's name."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
import zlib
from collections.abc import Callable
from importlib import import_module
from io import BufferedIOBase
from pathlib import Path
from typing import NamedTuple, final

from sightline.core.errors import EnvironmentFault, InputError


@final
class Compression(NamedTuple):
    """How a compressed file is recognised and read."""

    name: str
    magic: bytes
    open: Callable[[Path], BufferedIOBase]


def _zstd(path: Path) -> BufferedIOBase:
    try:
        zstd = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    except ImportError:
        raise EnvironmentFault(f"{path}: reading .zst needs backports.zstd: pip install backports.zstd") from None
    return zstd.ZstdFile(path)


COMPRESSIONS = {
    ".gz": Compression("gzip", b"\x1f\x8b", gzip.GzipFile),
    ".bz2": Compression("bzip2", b"BZh", bz2.BZ2File),
    ".xz": Compression("xz", b"\xfd7zXZ\0", lzma.LZMAFile),
    ".zst": Compression("zstd", b"\x28\xb5\x2f\xfd", _zstd),
}


def is_broken(error: Exception) -> bool:
    """Whether an error that reading raised means that the compressed content is broken."""
    if isinstance(error, OSError):  # bz2 has no error of its own, and its errors no number
        return isinstance(error, gzip.BadGzipFile) or error.errno is None
    return isinstance(error, EOFError | zlib.error | lzma.LZMAError) or type(error).__name__ == "ZstdError"


MAGIC_BYTES = 512

# How other files begin: their kind, and the step that makes them readable.
_KINDS: tuple[tuple[bytes, str], ...] = (
    (b"PAR1", "parquet: let its name end in .parquet"),
    (b"ARROW1", "Arrow: let its name end in .arrow"),
    (b"%PDF", "PDF: extract its text first, for example with pdftotext"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office file: save the sheet as CSV in UTF-8"),
    (b"SQLite format 3\0", "an SQLite database: export the table as CSV"),
    (b"\x89HDF\r\n\x1a\n", "HDF5: export the table as parquet or CSV"),
    (b"\x93NUMPY", "a NumPy array: export it as a table"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it and give the file inside"),
    (b"Rar!\x1a\x07", "a RAR archive: unpack it and give the file inside"),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"RIFF", "a sound or film (RIFF)"),
    (b"ID3", "a sound (mp3)"),
    (b"OggS", "a sound (Ogg)"),
    (b"fLaC", "a sound (FLAC)"),
    (b"\x7fELF", "a program"),
    (b"version https://git-lfs.github.com/spec/", "only a pointer of Git LFS: fetch the file with git lfs pull"),
)


def compression_of(path: Path) -> Compression | None:
    """The compression that a file's name says; None = it is not compressed."""
    return COMPRESSIONS.get(path.suffix.lower())


def real_kind(head: bytes) -> str | None:
    """The kind of a file that begins like this, and the step that makes it readable; None = it may be text.

    head: the first `MAGIC_BYTES` bytes
    """
    for suffix, entry in COMPRESSIONS.items():
        if head.startswith(entry.magic):
            return f"{entry.name}: let its name end in {suffix}"
    if head.startswith(b"PK\x03\x04"):
        office = b"[Content_Types].xml" in head or b"xl/" in head or b"mimetypeapplication/vnd" in head
        return "an Office file: save the sheet as CSV in UTF-8" if office else (
            "a zip archive: unpack it and give the file inside")  # fmt: skip
    if head[257:262] == b"ustar":
        return "a tar archive: unpack it and give the file inside"
    return next((kind for magic, kind in _KINDS if head.startswith(magic)), None)


def check_magic(path: Path, head: bytes) -> None:
    """Refuse a file that is not what its name says.

    Raises:
        InputError: "a.tsv: is xz: let its name end in .xz", "a.csv.gz: is not gzip although its name ends in .gz but
            …", "a.csv: is an Office file: save the sheet as CSV in UTF-8".
    """
    entry = compression_of(path)
    if entry is not None and (not head or head.startswith(entry.magic)):
        return
    kind = real_kind(head)
    if entry is not None:
        other = f" but {kind}" if kind else ""
        raise InputError(f"is not {entry.name} although its name ends in {path.suffix.lower()}{other}", where=path)
    if kind is not None:
        raise InputError(f"is {kind}", where=path)
