"""Columns are found by name, and bad rows are refused, or skipped and counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from sightline.core.errors import InputError
from sightline.data.rows.formats import FORMATS, open_rows, suffixes
from sightline.data.rows.record import Refusals


def test_skipped_rows_are_counted_and_the_first_ones_named() -> None:
    table = Refusals("a.csv", skip_bad=True)
    assert table.notes() == []
    for line in range(1, 8):
        table.refuse("is bad", f"a.csv:{line}")
    (note,) = table.notes()
    assert note == (
        "a.csv: skipped 7 bad rows: a.csv:1: is bad; a.csv:2: is bad; a.csv:3: is bad; a.csv:4: is bad; "
        "a.csv:5: is bad; and 2 more"
    )
    with pytest.raises(InputError, match=r"^a\.csv: no good row: 7 bad ones, first a\.csv:1: is bad$"):
        table.check_some([])
    with pytest.raises(InputError, match=r"^a\.csv:3: is bad, or leave such rows out by --skip-bad$"):
        Refusals("a.csv").refuse("is bad", "a.csv:3")
    with pytest.raises(InputError, match=r"^a\.csv:3: b\.wav: no such file, or leave such rows out by --skip-bad$"):
        Refusals("a.csv").refuse(InputError("b.wav: no such file", where="a.csv:3"), "a.csv:3")


def test_a_column_must_exist_once(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("source\ten\ten\nx\ty\tz\n")
    rows = open_rows(path)
    assert rows.column("source") == "source"
    with pytest.raises(InputError, match=r"a\.tsv:1: no column 'sorce' for the source, did you mean 'source'\?$"):
        rows.column("sorce", "source")
    with pytest.raises(InputError, match=r"a\.tsv:1: no column 'zebra'; columns: 'source', 'en', 'en'$"):
        rows.column("zebra")
    with pytest.raises(InputError, match=r"a\.tsv:1: two columns are named 'en'$"):
        rows.column("en")
    assert [record.cells for record in rows.records(["source"])] == [{"source": "x"}]
    assert [record.line for record in rows.without_header().records()] == [1, 2]


def test_errors_list_the_suffixes_of_the_table(tmp_path: Path) -> None:
    tables = [suffix for suffix, entry in FORMATS.items() if entry.form in ("delimited", "columns")]
    assert suffixes(["delimited", "columns"]) == f"{', '.join(tables[:-1])} or {tables[-1]}"
    assert all(suffix in suffixes() for suffix in FORMATS)
    path = tmp_path / "a.xls"
    path.write_bytes(b"x")
    with pytest.raises(
        InputError, match=rf"a\.xls: unknown format '\.xls': the name must end in {suffixes(['delimited', 'columns'])}"
    ):
        open_rows(path, ["delimited", "columns"])
