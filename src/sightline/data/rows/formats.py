"""The file formats of tables: one entry each, from which readers, writers, help and errors are made."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, final

from sightline.core.errors import InputError
from sightline.data.rows.columnar import Columnar, columnar_bytes
from sightline.data.rows.compression import COMPRESSIONS
from sightline.data.rows.conllu import Conllu, conllu_bytes
from sightline.data.rows.delimited import Delimited, csv_bytes, tsv_bytes
from sightline.data.rows.dialect import csv_dialect, tsv_dialect
from sightline.data.rows.files import check_file
from sightline.data.rows.json_array import json_bytes, open_json
from sightline.data.rows.json_lines import JsonLines, jsonl_bytes
from sightline.data.rows.record import Rows
from sightline.data.rows.xml_units import XmlUnits, tmx_bytes, xliff_bytes

Form = Literal["delimited", "objects", "columns"]
FORMS: tuple[Form, ...] = ("delimited", "objects", "columns")


@final
class Format(NamedTuple):
    """A file format of tables.

    form: "delimited": lines of cells, which can be read as running text too; "objects": each row names its own cells;
        "columns": columns with types
    open: opens a file
    write: the bytes of a file, from columns of texts; in forms other than "delimited" of numbers too, but in XML
    columns: the only columns that the format has; None = any
    """

    form: Form
    open: Callable[[Path], Rows]
    write: Callable[[Mapping[str, Sequence[Any]]], bytes]
    columns: tuple[str, ...] | None = None


FORMATS: dict[str, Format] = {
    ".tsv": Format("delimited", partial(Delimited, dialect=tsv_dialect), tsv_bytes),
    ".csv": Format("delimited", partial(Delimited, dialect=csv_dialect), csv_bytes),
    ".jsonl": Format("objects", JsonLines, jsonl_bytes),
    ".json": Format("objects", open_json, json_bytes),
    ".parquet": Format("columns", partial(Columnar, kind="parquet"), partial(columnar_bytes, kind="parquet")),
    ".arrow": Format("columns", partial(Columnar, kind="ipc"), partial(columnar_bytes, kind="ipc")),
    ".tmx": Format("objects", partial(XmlUnits, root="tmx"), tmx_bytes),
    ".xliff": Format("objects", partial(XmlUnits, root="xliff"), xliff_bytes, ("source", "target")),
    ".conllu": Format("objects", Conllu, conllu_bytes),
}
for _alias, _suffix in ((".ndjson", ".jsonl"), (".feather", ".arrow"), (".xlf", ".xliff")):
    FORMATS[_alias] = FORMATS[_suffix]


def _words(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


COMPRESSED = _words(list(COMPRESSIONS))  # the suffixes of compressed files as a list in words


def suffixes(forms: Iterable[Form] = FORMS) -> str:
    """The suffixes of the formats as a list in words: ".tsv, .csv or .parquet"."""
    return _words([suffix for suffix, entry in FORMATS.items() if entry.form in forms])


def suffix_of(path: Path) -> str:
    """The suffix that names a file's format, the one before that of a compression; "" without any."""
    endings = [suffix.lower() for suffix in path.suffixes]
    return endings[-2] if len(endings) > 1 and endings[-1] in COMPRESSIONS else endings[-1] if endings else ""


def open_rows(path: Path, forms: Iterable[Form] = FORMS, hint: str = "") -> Rows:
    """The table in a file, whose name says its format.

    Raises:
        InputError: a problem of the whole file, such as "a.xlsx: unknown format '.xlsx': the name must end in …",
            "clips: is a directory, and a table is expected: …".
        EnvironmentFault: "a.csv: no permission to read it".
    """
    suffix = suffix_of(path)
    if suffix not in FORMATS or FORMATS[suffix].form not in forms:
        endings = f"{suffixes(forms)} (or one of these and {COMPRESSED})"
        if os.path.isdir(path):  # Path.is_dir raises where a name is too long
            raise InputError(f"is a directory, and a table is expected: give a file that ends in {endings}", where=path)
        check_file(path)
        raise InputError(f"unknown format {suffix!r}: the name must end in {endings}{hint}", where=path)
    return FORMATS[suffix].open(path)
