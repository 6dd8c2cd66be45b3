"""Where the data of a run is, when the run is used from another directory than the one it was trained in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from glob import has_magic, iglob
from pathlib import Path
from typing import TypeVar

from sightline.core.errors import InputError
from sightline.tasks.run import RunConfig

R = TypeVar("R", bound=RunConfig)
ENVIRONMENT = "environment.json"
FILES = ("data", "valid", "test")


def located(run: R, place: Path) -> R:
    """The configuration of the run at `place` with paths of data that exist.

    A relative path begins in the directory that the run was trained in, otherwise in the working directory, otherwise
    in one that contains the run, for folders that have been moved as a whole.

    Raises:
        InputError: "pairs.tsv: no such file, neither here nor in ../project, where runs/x was trained: name it
            with --data".
    """
    places = {}
    for key in FILES:
        name = getattr(run.corpus, key, None)
        if name and not name.startswith("builtin:"):
            places[key] = _find(name, place, key)
    return run.changed(**places)


def _find(name: str, place: Path, key: str) -> str:
    trained = _trained_in(place)
    for directory in _directories(place, trained):
        if (path := _below(directory, name)) is not None:
            return name if directory.resolve() == Path.cwd() else path
    where = f", neither here nor in {trained}, where {place} was trained" if trained else ""
    raise InputError(f"no such file{where}: set --{key}", where=name)


def _directories(place: Path, trained: Path | None) -> Iterator[Path]:
    yield from () if trained is None else (trained,)
    yield Path.cwd()
    yield from place.resolve().parents


def _trained_in(place: Path) -> Path | None:
    with suppress(OSError, ValueError, KeyError, TypeError):
        return Path(json.loads((place / ENVIRONMENT).read_text(encoding="utf-8"))["directory"])
    return None


def _below(directory: Path, name: str) -> str | None:
    """The path or paths (`a.de,a.en`, `texts/*.txt`) of `name` from a directory; None where one does not exist."""
    for names in ([name], name.split(",")):
        paths = [str(directory / one) for one in names]
        if all(Path(path).exists() or (has_magic(path) and next(iglob(path, recursive=True), None)) for path in paths):
            return ",".join(paths)
    return None
