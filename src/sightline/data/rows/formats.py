"""The file formats of tables: one entry each, from which readers, writers, help and errors are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, final

from sightline.core.errors import InputError
from sightline.data.rows.columnar import Columnar, columnar_bytes
from sightline.data.rows.delimited import Csv, Tsv, csv_bytes, tsv_bytes
from sightline.data.rows.files import check_file
from sightline.data.rows.json_lines import JsonLines, jsonl_bytes
from sightline.data.rows.record import Rows

Form = Literal["delimited", "objects", "columns"]
FORMS: tuple[Form, ...] = ("delimited", "objects", "columns")


@final
class Format(NamedTuple):
    """A file format of tables.

    form: "delimited": lines of cells, which can be read as running text too; "objects": each row names its own cells;
        "columns": columns with types
    open: opens a file
    write: the bytes of a file, from columns of texts; in forms other than "delimited" of numbers too
    """

    form: Form
    open: Callable[[Path], Rows]
    write: Callable[[Mapping[str, Sequence[Any]]], bytes]


FORMATS: dict[str, Format] = {
    ".tsv": Format("delimited", Tsv, tsv_bytes),
    ".csv": Format("delimited", Csv, csv_bytes),
    ".jsonl": Format("objects", JsonLines, jsonl_bytes),
    ".ndjson": Format("objects", JsonLines, jsonl_bytes),
    ".json": Format("objects", JsonLines, jsonl_bytes),  # as NeMo names its manifests
    ".parquet": Format("columns", partial(Columnar, kind="parquet"), partial(columnar_bytes, kind="parquet")),
}


def suffixes(forms: Iterable[Form] = FORMS) -> str:
    """The suffixes of the formats as a list in words: ".tsv, .csv or .parquet"."""
    *others, last = [suffix for suffix, entry in FORMATS.items() if entry.form in forms]
    return f"{', '.join(others)} or {last}" if others else last


def suffix_of(path: Path) -> str:
    """The suffix that names a file's format, the one before `.gz` where there is one; "" without any."""
    endings = [suffix.lower() for suffix in path.suffixes]
    return endings[-2] if endings[-1:] == [".gz"] and len(endings) > 1 else endings[-1] if endings else ""


def open_rows(path: Path, forms: Iterable[Form] = FORMS, hint: str = "") -> Rows:
    """The table in a file, whose name says its format.

    Raises:
        InputError: a problem of the whole file, such as "a.xlsx: unknown format '.xlsx': the name must end in …".
        EnvironmentFault: "a.csv: no permission to read it".
    """
    suffix = suffix_of(path)
    if suffix not in FORMATS or FORMATS[suffix].form not in forms:
        check_file(path)
        raise InputError(
            f"unknown format {suffix!r}: the name must end in {suffixes(forms)} (or one of these and .gz){hint}",
            where=path,
        )
    return FORMATS[suffix].open(path)
