"""Pairs into a file, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from sightline.core.errors import EnvironmentFault, InputError
from sightline.data.pairs.table import Pairs
from sightline.data.rows.formats import FORMATS, suffixes


def write_pairs(pairs: Pairs, path: str | Path, *, overwrite: bool = False) -> None:
    """Write a table with the columns `source` and `target`, which `read_pairs` reads back.

    Raises:
        InputError: "dates.xls: the name must end in …", "dates.tsv: exists already; …", "dates.tsv: row 7 contains a
            tab or a line break, which TSV cannot store; …".
        EnvironmentFault: "dates.tsv: cannot be written: No space left on device".
    """
    path = Path(path)
    entry = FORMATS.get(path.suffix.lower())
    if entry is None:
        raise InputError(f"the name must end in {suffixes()}", where=path)
    if path.exists() and not overwrite:
        raise InputError("exists already; --overwrite replaces it", where=path)
    try:
        content = entry.write({"source": pairs.sources, "target": pairs.targets})
    except ValueError as error:
        raise InputError(f"{error}; use .jsonl", where=path) from None
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    except OSError as error:
        raise EnvironmentFault(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        beside.unlink(missing_ok=True)
