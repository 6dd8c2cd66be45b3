"""Pairs into a file, whole or not at all."""

from __future__ import annotations

from pathlib import Path

from sightline.core.errors import InputError
from sightline.core.files import write_file
from sightline.data.pairs.table import Pairs
from sightline.data.rows.formats import FORMATS, suffixes


def write_pairs(pairs: Pairs, path: str | Path, *, overwrite: bool = False) -> None:
    """Write a table with the columns `source` and `target`, which `read_pairs` reads back.

    Raises:
        InputError: "dates.xls: the name must end in …", "dates.tsv: already exists; …", "dates.tsv: row 7 contains a
            tab or a line break, which TSV cannot store; …".
        EnvironmentFault: "dates.tsv: No space left on device: 812 bytes are needed, 0 are free".
    """
    path = Path(path)
    entry = FORMATS.get(path.suffix.lower())
    if entry is None:
        raise InputError(f"the name must end in {suffixes()}", where=path)
    if path.exists() and not overwrite:
        raise InputError("already exists; use --overwrite to replace it", where=path)
    try:
        content = entry.write({"source": pairs.sources, "target": pairs.targets})
    except ValueError as error:
        raise InputError(f"{error}; use .jsonl", where=path) from None
    write_file(path, content)
