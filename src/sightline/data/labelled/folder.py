"""A folder of folders: a folder for each class, and in it files of one kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, final

from sightline.core.errors import EnvironmentFault, InputError
from sightline.data.labelled.labels import labels_of


@final
class ClassFile(NamedTuple):
    """A file of a class, with its kind, "" where that is unknown, and its problem."""

    path: Path
    label: str
    kind: str
    problem: str = ""


def class_files(root: Path, kinds: Mapping[str, str]) -> Iterator[ClassFile]:
    """The files of a folder of folders, in order of their names.

    kinds: of files, by suffix; all files must be of the kind of the first

    Raises:
        InputError: "photos: is an empty folder; expected a folder for each class", and the like.
    """
    folders = _entries(root)
    if not folders:
        raise InputError("is an empty folder; expected a folder for each class", where=root)
    first: ClassFile | None = None
    for folder in folders:
        if not folder.is_dir():
            raise InputError("unexpected file next to the class folders", where=folder)
        files = _entries(folder)
        if not files:
            raise InputError("is an empty folder; expected the files of a class", where=folder)
        (label,) = labels_of(folder.name)
        for path in files:
            if path.is_dir():
                raise InputError(
                    f"is a folder inside the class {label!r}: expected files; if the parts are folders, give each, "
                    f"such as {root / 'train'} and as test {root / 'test'}",
                    where=path,
                )
            file = ClassFile(path, label, kinds.get(path.suffix.lower(), ""))
            first = first or (file if file.kind else None)
            if first and file.kind and file.kind != first.kind:
                file = file._replace(
                    problem=f"is {file.kind}, but {first.path} is {first.kind}: expected one kind of file"
                )
            yield file


def _entries(folder: Path) -> list[Path]:
    """The content of a folder in order of name, hidden files apart."""
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise EnvironmentFault(f"{folder}: cannot be read: {error.strerror or error}") from None
