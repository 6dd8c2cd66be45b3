"""Compressed files are read by their suffix, and files of another kind are named with the step that helps."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from sightline.core.errors import EnvironmentFault, InputError
from sightline.data.rows.compression import COMPRESSIONS
from sightline.data.rows.files import open_bytes, read_lines
from sightline.testing.rows import COMPRESS


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "<x/>")
    return buffer.getvalue()


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.csv"))
    return buffer.getvalue()


def written(write: Callable[[io.BytesIO], object]) -> bytes:
    write(buffer := io.BytesIO())
    return buffer.getvalue()


TABLE = pl.DataFrame({"source": ["a"], "target": ["b"]})
KINDS = {
    "gzip": (gzip.compress(b"a\tb\n"), "is gzip: let its name end in .gz"),
    "bzip2": (bz2.compress(b"a\tb\n"), "is bzip2: let its name end in .bz2"),
    "xz": (lzma.compress(b"a\tb\n"), "is xz: let its name end in .xz"),
    "zstd": (b"\x28\xb5\x2f\xfd\0\0", "is zstd: let its name end in .zst"),
    "xlsx": (zipped("[Content_Types].xml", "xl/workbook.xml"), "is an Office file: save the sheet as CSV in UTF-8"),
    "zip": (zipped("a.csv"), "is a zip archive: unpack it and give the file inside"),
    "tar": (tar(), "is a tar archive: unpack it and give the file inside"),
    "pdf": (b"%PDF-1.7\n", "is PDF: extract its text first, for example with pdftotext"),
    "parquet": (written(TABLE.write_parquet), "is parquet: let its name end in .parquet"),
    "arrow": (written(TABLE.write_ipc), "is Arrow: let its name end in .arrow"),
    "lfs": (
        b"version https://git-lfs.github.com/spec/v1\n",
        "is only a pointer of Git LFS: fetch the file with git lfs",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_another_kind_is_named(kind: str, tmp_path: Path) -> None:
    content, message = KINDS[kind]
    path = tmp_path / "a.tsv"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        list(read_lines(path))
    assert str(caught.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_a_suffix_that_is_not_true(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.tsv{ending}"
    path.write_bytes(b"a\tb\n")
    name = COMPRESSIONS[ending].name
    with pytest.raises(InputError, match=rf": is not {name} although its name ends in \{ending}$"):
        open_bytes(path)
    other = next(suffix for suffix in COMPRESSIONS if suffix != ending)
    path.write_bytes(COMPRESSIONS[other].magic + bytes(20))
    with pytest.raises(InputError, match=rf" but {COMPRESSIONS[other].name}: let its name end in \{other}$"):
        open_bytes(path)


@pytest.mark.parametrize("ending", COMPRESS)
def test_streams_go_to_any_place_and_broken_ones_say_so(ending: str, tmp_path: Path) -> None:
    draw = random.Random(0)
    content = b"".join(draw.randbytes(draw.randrange(3000)).hex().encode() + b"\n" for _ in range(300))
    path = tmp_path / f"a.txt{ending}"
    path.write_bytes(COMPRESS[ending](content))
    with open_bytes(path) as stream:
        assert stream.read() == content
        for place in (100_000, 7, 200_000, 0):
            assert stream.seek(place) == stream.tell() == place
            assert stream.readline() == content[place : content.index(b"\n", place) + 1]
            assert stream.read(70_000) == content[stream.tell() - 70_000 : stream.tell()]
    assert [line.text.encode() for line in read_lines(path)] == content.splitlines()
    path.write_bytes(COMPRESS[ending](content)[:-5000])
    with pytest.raises(InputError, match=rf": broken {COMPRESSIONS[ending].name}: "):
        list(read_lines(path))
    path.write_bytes(COMPRESS[ending](content)[:2000] + bytes(9000))
    with pytest.raises(InputError, match=rf": broken {COMPRESSIONS[ending].name}: "):
        list(read_lines(path))


@pytest.mark.parametrize("ending", COMPRESS)
def test_members_one_after_another_are_one_file(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.txt{ending}"
    path.write_bytes(COMPRESS[ending](b"one\n") + COMPRESS[ending](b"two\n"))
    assert [line.text for line in read_lines(path)] == ["one", "two"]


def test_zst_without_its_library_names_the_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd", None)
    path = tmp_path / "a.tsv.zst"
    path.write_bytes(COMPRESSIONS[".zst"].magic)
    with pytest.raises(EnvironmentFault, match=r"a\.tsv\.zst: reading \.zst needs backports\.zstd: pip install"):
        open_bytes(path)
