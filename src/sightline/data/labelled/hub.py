"""The class names that Hugging Face's `datasets` keeps in parquet and Arrow files, beside columns of numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

_KEY = "huggingface"  # of the file's own metadata
_MOST_BYTES = 16 << 20  # of a schema


def class_labels(path: Path, column: str) -> tuple[str, ...]:
    """The names of the classes 0, 1, … of a column of type ClassLabel, or of lists of them; () if there are none."""
    read = _READ.get(path.suffix.lower())
    try:
        feature = read(path)["info"]["features"][column] if read else {}
        names = feature.get("feature", feature)["names"]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return ()
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _of_parquet(path: Path) -> Any:
    import polars as pl

    try:
        return json.loads(pl.read_parquet_metadata(path).get(_KEY, "null"))
    except pl.exceptions.PolarsError as error:
        raise ValueError(str(error)) from None


def _of_arrow(path: Path) -> Any:
    """The metadata in the schema, which polars does not show: a flatbuffer, in which a text follows its length."""
    with path.open("rb") as file:
        if (mark := file.read(8)).startswith(b"ARROW1"):  # a file, or else a stream; both begin with the schema
            mark = file.read(8)
        schema = file.read(min(int.from_bytes(mark[4:], "little"), _MOST_BYTES)) if mark[:4] == b"\xff" * 4 else b""
    place = schema.find(b'{"info"')
    if place < 4:
        raise ValueError("no metadata of datasets")
    return json.loads(schema[place : place + int.from_bytes(schema[place - 4 : place], "little")])


_READ: dict[str, Callable[[Path], Any]] = {".parquet": _of_parquet, ".arrow": _of_arrow, ".feather": _of_arrow}


def named(value: Any, names: tuple[str, ...]) -> Any:
    """A cell with the names instead of numbers; unchanged where it contains none.

    Raises:
        ValueError: "the label is -1: the row is not labelled"; "the label 7 is none of the file's 2 classes".
    """
    if isinstance(value, list):
        return [named(part, names) for part in value]
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    if value == -1:
        raise ValueError("the label is -1: the row is not labelled")
    if not 0 <= value < len(names):
        raise ValueError(f"the label {value} is none of the file's {len(names)} classes")
    return names[value]
