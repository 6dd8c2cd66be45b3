"""Pairs into a file, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

from sightline.core.errors import InputError
from sightline.core.files import write_file
from sightline.data.pairs.table import Pairs


def write_pairs(pairs: Pairs, path: str | Path, *, overwrite: bool = False) -> None:
    """Write `.tsv`, `.jsonl` or `.parquet` with the columns `source` and `target`, as `read_pairs` reads it.

    Raises:
        InputError: "dates.xls: the name must end in .tsv, .jsonl or .parquet", "dates.tsv: exists already; …", or
            "dates.tsv: pair 7 contains a tab or a line break, which TSV cannot; …".
        EnvironmentFault: "dates.tsv: No space left on device: 812 bytes are needed, 0 are free".
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".tsv", ".jsonl", ".parquet"):
        raise InputError("the name must end in .tsv, .jsonl or .parquet", where=path)
    if path.exists() and not overwrite:
        raise InputError("exists already; --overwrite replaces it", where=path)
    write_file(path, _content(pairs, suffix, path))


def _content(pairs: Pairs, suffix: str, path: Path) -> bytes:
    if suffix == ".parquet":
        import io

        import polars as pl

        buffer = io.BytesIO()
        pl.DataFrame({"source": pairs.sources, "target": pairs.targets}).write_parquet(buffer)
        return buffer.getvalue()
    rows = zip(*pairs, strict=True)
    if suffix == ".jsonl":
        lines = [json.dumps({"source": source, "target": target}, ensure_ascii=False) for source, target in rows]
    else:
        lines = ["source\ttarget"]
        for number, (source, target) in enumerate(rows, 1):
            if any(mark in text for text in (source, target) for mark in "\t\n") or target.endswith("\r"):
                raise InputError(
                    f"pair {number} contains a tab or a line break, which TSV cannot; use .jsonl", where=path
                )
            lines.append(f"{source}\t{target}")
    return "".join(line + "\n" for line in lines).encode()
