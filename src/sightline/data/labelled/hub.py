"""The class names that Hugging Face's `datasets` keeps beside a parquet file's columns of numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sightline.data.rows.formats import suffix_of

_KEY = "huggingface"  # of the file's own metadata


def class_labels(path: Path, column: str) -> tuple[str, ...]:
    """The names of the classes 0, 1, … of a column of type ClassLabel, or of lists of them; () where there are none."""
    if path.suffix.lower() != ".parquet" or suffix_of(path) != ".parquet":
        return ()
    import polars as pl

    try:
        content: Any = json.loads(pl.read_parquet_metadata(path).get(_KEY, "null"))
        feature = content["info"]["features"][column]
        names = feature.get("feature", feature)["names"]
    except (pl.exceptions.PolarsError, OSError, ValueError, TypeError, KeyError, AttributeError):
        return ()
    return tuple(map(str, names)) if isinstance(names, list) else ()


def named(value: Any, names: tuple[str, ...]) -> Any:
    """A cell with the names in place of numbers; as it is where it contains none.

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
