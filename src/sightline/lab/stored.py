"""Results as JSON files with a schema version. Imports no torch."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from sightline.core.config import decode
from sightline.core.errors import InputError
from sightline.core.files import parse_json_object, read_regular, write_file
from sightline.core.json_text import finite, to_json

T = TypeVar("T")


def plain_results(results: Any) -> dict[str, Any]:
    """The fields of a dataclass as plain JSON types, schema_version first, NaN and infinities as null."""
    plain = asdict(results)
    return finite({"schema_version": plain.pop("schema_version"), **plain})


def save_results(results: Any, path: Path) -> None:
    """Write the fields of a dataclass to the file `path`, whole or not at all."""
    write_file(path, to_json(plain_results(results), indent=1) + "\n")


def load_results(cls: type[T], path: Path, schema_version: int) -> T:
    """The dataclass that `save_results` wrote to the file `path`.

    Raises:
        InputError: "no such file"; "not valid JSON: …"; "expected schema_version 2, found 1"; the first field that is
            wrong.
    """
    mapping = parse_json_object(read_regular(path), where=path)
    if (version := mapping.get("schema_version")) != schema_version:
        raise InputError(f"expected schema_version {schema_version}, found {version!r}", where=path)
    return decode(cls, mapping, where=str(path))
