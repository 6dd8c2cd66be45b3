"""The columns of times and of values where nobody names them."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from sightline.core.errors import InputError
from sightline.data.series.corpus import load_panel
from sightline.data.series.roles import SeriesColumns
from sightline.data.series.table import SeriesTable, read_series_table


def table(path: Path, text: str, columns: SeriesColumns | None = None) -> SeriesTable:
    path.write_text(text)
    return read_series_table(path, columns or SeriesColumns())


@pytest.mark.parametrize(
    ("header", "rows", "time"),
    [
        ("STATIONS_ID;MESS_DATUM;TMK", ["433;20240101;1.5", "433;20240102;2.5"], "MESS_DATUM"),
        ("id;value;stamp", ["7;3;202401", "7;2;202402"], "stamp"),
        ("id;value;when", ["7;3;2024-01", "7;2;2024-02"], "when"),
        ("id;value;n", ["7;3;1", "7;2;2"], "n"),  # the only numbers in order
        ("id;date;seen", ["7;1;2024-01", "8;2;2024-02"], "date"),  # a usual name comes before other times
        ("year;value;n", ["2001;3;1", "2002;2;2"], "year"),
        ("first;second", ["1;1", "2;2"], "first"),
        ("made;value;n", ["20240101;3;1", "20240101;2;2"], "n"),  # one day: when the file was made
    ],
)
def test_the_column_of_times(header: str, rows: list[str], time: str, tmp_path: Path) -> None:
    assert table(tmp_path / "a.csv", "\n".join([header, *rows, ""])).time_column == time


def test_a_slip_in_a_time_does_not_change_the_column(tmp_path: Path) -> None:
    rows = [f"{number},2024-01-{number:02}" for number in range(1, 31)]
    rows[20] = "21,yesterday"
    with pytest.raises(InputError, match=r"a\.csv:22: 'yesterday' is not a time"):
        table(tmp_path / "a.csv", "\n".join(["v,when", *rows, ""]))


def test_columns_of_words_are_left_out_with_a_note(tmp_path: Path) -> None:
    read = table(tmp_path / "a.csv", "time,v,eor,w\n2024-01-01,1,eor,3\n2024-01-02,2,eor,4\n")
    assert read.targets == ("v", "w")
    assert read.words == ("eor",)
    assert (
        "the column 'eor' contains no numbers and is left out (--series-column, if it names the series)" in read.notes
    )
    frame = pl.DataFrame({"time": [1, 2], "name": ["a", "b"], "v": [1.0, 2.0]})
    frame.write_parquet(tmp_path / "a.parquet")
    panel = load_panel(tmp_path / "a.parquet")
    assert panel.targets == ("v",)


def test_a_column_of_words_that_is_named_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.csv:2: the cell of 'w' is not a number: 'high'"):
        table(tmp_path / "a.csv", "time,v,w\n1,1,high\n2,2,low\n", SeriesColumns(targets=("w",)))
