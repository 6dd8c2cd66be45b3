"""Columns that pandas and R add to number the rows are recognised, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from sightline.data.rows.formats import open_rows
from sightline.data.rows.index import index_columns, index_notes


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (",de,en\n0,a,b\n1,c,d\n", ("",)),
        ('"","de","en"\n"1","a","b"\n"2","c","d"\n', ("",)),  # R's write.csv
        ("Unnamed: 0,de\n0,a\n1,b\n", ("Unnamed: 0",)),
        (",Unnamed: 0,Unnamed: 0.1,de\n0,0,0,a\n1,1,1,b\n", ("", "Unnamed: 0", "Unnamed: 0.1")),
        (",de\n7,a\n3,b\n", ("",)),  # filtered and shuffled
        (",v\n2024-01-01,1\n2024-01-02,2\n", ()),  # the index is the time
        (",v\n1,1\n1,2\n", ()),
        (",v\n0.5,1\n1.5,2\n", ()),
        (",v\nx,1\n,2\n", ()),
        ("Unnamed: 5,de\n0,a\n1,b\n", ()),
        ("id,de\n0,a\n1,b\n", ()),
        (",,de\n0,0,a\n1,1,b\n", ()),  # which of the two?
        (",de\n", ()),
    ],
)
def test_a_column_without_a_name_that_numbers_the_rows(content: str, names: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    assert index_columns(open_rows(path)) == names
    assert all(repr(name) in note for name, note in zip(names, index_notes(names), strict=True))


def test_the_index_of_a_parquet_file(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"de": ["a", "b"], "__index_level_0__": [4, 2]}).write_parquet(path)
    assert index_columns(open_rows(path)) == ("__index_level_0__",)


def test_rows_that_name_their_own_columns_have_no_index(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"": 0, "de": "a"}\n')
    assert index_columns(open_rows(path)) == ()
