"""The files of a corpus of running text: a file, a folder, a glob, several of them, built-in ones."""

from __future__ import annotations

import glob
import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from sightline.core.errors import InputError
from sightline.data.rows.files import check_file

STDLIB = "builtin:stdlib"
_LEFT_OUT = {"site-packages", "dist-packages", "__pycache__", "test", "tests", "idle_test", "lib2to3"}
_WILD = frozenset("*?[")


def text_files(data: str) -> list[Path]:
    """The files that `data` names, in a fixed order.

    A folder means all files below it but hidden ones, a glob (`src/**/*.py`) the files that it matches, and
    `builtin:stdlib` the source code of the running Python's standard library without its tests.

    Raises:
        InputError: "corpus.txt: no such file", "src/**/*.pyy: matches no file", "corpus: contains no files".
        EnvironmentFault: "corpus.txt: no permission to read it".
    """
    if not data:
        raise InputError(f"no data: give a text file, a folder, a glob such as 'src/**/*.py', or {STDLIB}")
    if data.startswith("builtin:"):
        if data != STDLIB:
            raise InputError(f"unknown built-in text {data!r}; there is {STDLIB}", where="--data")
        return _standard_library()
    if "," in data and not os.path.lexists(data):
        names = data.split(",")
        if not all(names):
            raise InputError("an empty name between commas", where=data)
        return [path for name in names for path in text_files(name)]
    path = Path(data)
    if path.is_dir():
        paths = list(_below(path))
        if not paths:
            raise InputError("contains no files", where=data)
    elif not os.path.lexists(data) and _WILD & set(data):
        paths = [Path(name) for name in sorted(glob.glob(_literal(path), recursive=True)) if not os.path.isdir(name)]
        if not paths:
            raise InputError("matches no file", where=data)
    else:
        paths = [path]
    for each in paths:
        check_file(each)
    return paths


def _literal(pattern: Path) -> str:
    """The pattern, where the names of folders that exist as they are written, such as `data [1]`, mean themselves."""
    known = next(folder for folder in (*pattern.parents, Path()) if folder.is_dir())
    return os.path.join(glob.escape(str(known)), pattern.relative_to(known))


def _below(folder: Path, left_out: frozenset[str] | set[str] = frozenset({"__pycache__"})) -> Iterator[Path]:
    """All files below a folder in the order of their names, hidden ones and the folders `left_out` apart."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in left_out and not name.startswith("."))
        yield from (Path(place) / name for name in sorted(names) if not name.startswith("."))


def _standard_library() -> list[Path]:
    root = Path(sysconfig.get_paths()["stdlib"])
    paths = [path for path in _below(root, _LEFT_OUT) if path.suffix == ".py" and path.stat().st_size]
    if not paths:
        raise InputError(f"this Python keeps no source code of its standard library in {root}", where=STDLIB)
    return paths
