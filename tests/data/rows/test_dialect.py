"""Quotes, escapes and separators are derived from the whole file, and a note says which."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.core.errors import InputError
from sightline.data.labelled.table import Reading, read_labelled
from sightline.data.rows.delimited import tsv_bytes
from sightline.data.rows.formats import open_rows
from sightline.data.rows.numbers import number_of

QUOTED, ESCAPED = "cells are quoted", "backslashes are escapes"
TSV: dict[str, tuple[str, list[list[str | None]], str]] = {
    "a cell with a quote": ('say "hi"\tb\nc\td\n', [['say "hi"', "b"], ["c", "d"]], ""),
    "speech": (
        '"Go," he said.\tb\n"No!"\td\n',
        [['"Go," he said.', "b"], ['"No!"', "d"]],
        "",
    ),
    "doubled quotes": ('a\tb\n"say ""hi"""\td\n', [["a", "b"], ['say "hi"', "d"]], QUOTED),
    "a quoted tab": ('a\tb\n"c\tc"\td\n', [["a", "b"], ["c\tc", "d"]], QUOTED),
    "a quoted line break": ('a\tb\n"c\n\nc"\td\ne\tf\n', [["a", "b"], ["c\n\nc", "d"], ["e", "f"]], QUOTED),
    "an open quote": ('a\tb\n"c\td\ne\tf\n', [["a", "b"], ['"c', "d"], ["e", "f"]], ""),
    "quotes on two lines": ('a\tb\n"c\td\ne"\tf\n', [["a", "b"], ['"c', "d"], ['e"', "f"]], ""),
    "a quoted empty cell": ('a\tb\n""\td\n', [["a", "b"], ["", "d"]], QUOTED),
    "all cells": ('"a"\t"b"\n"c"\t"d"\n', [["a", "b"], ["c", "d"]], QUOTED),
    "a whole column": ('a\tb\n"c"\t1\n"d"\t2\n', [["a", "b"], ["c", "1"], ["d", "2"]], QUOTED),
    "one cell": ('a\tb\n"c"\td\ne\tf\n', [["a", "b"], ['"c"', "d"], ["e", "f"]], "line 2 has a cell in quotes"),
    "both": (
        '"say ""hi"""\tb\nsay "hi"\td\n',
        [['"say ""hi"""', "b"], ['say "hi"', "d"]],
        "line 1 has a cell in quotes",
    ),
    "COPY": ("a\\tb\t\\N\nc\\\\d\t\\n\n\\.\n", [["a\tb", None], ["c\\d", "\n"]], ESCAPED),
    "paths": ("C:\\new\tb\nC:\\data\td\n", [["C:\\new", "b"], ["C:\\data", "d"]], ""),
    "only letters": ("a\\nb\tb\nc\td\n", [["a\\nb", "b"], ["c", "d"]], "line 1 has a backslash"),
    "empty lines at the end": ("a\tb\nc\td\n\n\n", [["a", "b"], ["c", "d"]], ""),
}


@pytest.mark.parametrize("case", TSV)
def test_tsv(case: str, tmp_path: Path) -> None:
    content, rows, note = TSV[case]
    path = tmp_path / "a.tsv"
    path.write_text(content)
    table = open_rows(path).without_header()
    assert [list(record.cells.values()) for record in table.records()] == rows
    assert len(table.notes) == bool(note)
    assert all(note in one for one in table.notes)


CSV: dict[str, tuple[str, list[list[str]], str]] = {
    "semicolons": ("a;b\nc, d;e\n", [["a", "b"], ["c, d", "e"]], "separated by semicolons"),
    "tabs": ("a\tb\nc, d\te\n", [["a", "b"], ["c, d", "e"]], "separated by tabs"),
    "bars": ("a|b\nc|e\n", [["a", "b"], ["c", "e"]], "separated by bars"),
    "declared": ("sep=;\na;b\n1,2;3,4\n", [["a", "b"], ["1,2", "3,4"]], "separated by ';', as line 1 says"),
    "semicolons in texts": ("a,b\nc; d,e; f\n", [["a", "b"], ["c; d", "e; f"]], ""),
    "one column": ("text\nc; d\ne; f\n", [["text"], ["c; d"], ["e; f"]], ""),
    "a comma in a name": (
        "day;rain, mm\n1;1,5\n2;2,5\n",
        [["day", "rain, mm"], ["1", "1,5"], ["2", "2,5"]],
        "semicolons",
    ),
    "an empty line at the end": ("a,b\nc,d\n\n", [["a", "b"], ["c", "d"]], ""),
}


@pytest.mark.parametrize("case", CSV)
def test_csv(case: str, tmp_path: Path) -> None:
    content, rows, note = CSV[case]
    path = tmp_path / "a.csv"
    path.write_text(content)
    table = open_rows(path).without_header()
    assert [list(record.cells.values()) for record in table.records()] == rows
    assert any(note in one for one in table.notes) if note else not table.notes


def test_an_empty_line_inside_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n\nc,d\n")
    problems = [record.problem for record in open_rows(path).records()]
    assert problems == ["expected 2 columns, found 1 (an empty line)", None]


EUROPEAN = "time;x;y;z\n2024-01-01;1.234,5;-0,25;1\n2024-01-02;;3;2\n2024-01-03;1.000;1,5e3;3\n"


def test_decimal_commas_are_numbers_in_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(EUROPEAN)
    rows = open_rows(path)
    assert rows.notes == ("cells are separated by semicolons, not by commas", "numbers have a decimal comma: 'x', 'y'")
    ((lines, frame),) = rows.frames(["time", "x", "y", "z"])
    assert list(lines) == [2, 3, 4]
    assert frame["x"].to_list() == ["1234.5", "", "1000"]
    assert frame["y"].cast(pl.Float64).to_list() == [-0.25, 3.0, 1500.0]
    assert frame["time"][0] == "2024-01-01"
    assert next(rows.records()).cells["x"] == "1.234,5"  # as a text it stays as it is


def test_decimal_commas_are_numbers_in_cells(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x1;x2;label\n1,5;-2;a\n0,25;1.000,5;b\n")
    table = read_labelled(path, Reading())
    assert [source.ravel().tolist() for source in table.sources] == [[1.5, -2.0], [0.25, 1000.5]]


def test_points_beside_decimal_commas_are_between_thousands(tmp_path: Path) -> None:
    """A file has one decimal mark: beside 0,5 the number 1.234 is 1234."""
    path = tmp_path / "a.csv"
    path.write_text("time;x;people;share\n1;0,5;1.234;0.5\n2;1,5;999;0.25\n3;2,5;2.345.678;0.125\n")
    rows = open_rows(path)
    assert rows.notes[1:] == (
        "numbers have a decimal comma: 'x'", "points are between thousands, as commas are decimal: 'people'"
    )  # fmt: skip
    ((_, frame),) = rows.frames(["people", "share"])
    assert frame["people"].cast(pl.Int64).to_list() == [1234, 999, 2345678]
    assert [number_of(record.cells["people"], "it") for record in rows.records()] == [1234.0, 999.0, 2345678.0]
    assert frame["share"].to_list() == ["0.5", "0.25", "0.125"]  # points that cannot be between thousands
    path.write_text("time;people\n1;1.234\n2;1.999\n")  # without a decimal comma a point is decimal
    assert [number_of(record.cells["people"], "it") for record in open_rows(path).records()] == [1.234, 1.999]


def test_a_decimal_point_among_decimal_commas_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x;y\n" + "1,5;2\n" * 1500 + "2.5;2\n")
    with pytest.raises(InputError, match=r"a\.csv:1502: the cell of 'x' is '2\.5', but the column has decimal commas$"):
        list(open_rows(path).frames(["x"]))


@pytest.mark.parametrize(
    ("cells", "decimal"),
    [
        (["1,234", "12,500", "999"], False),
        (["-1,234", "+12,500,000", ""], False),
        (["1,234", "1,5"], True),
        (["1,234", "0,567"], True),
        (["1234,567"], True),
        (["12", "999"], False),
    ],
    ids=str,
)
def test_commas_that_may_be_between_thousands_are_not_decimal(cells: list[str], decimal: bool, tmp_path: Path) -> None:
    for suffix, separator in (("tsv", "\t"), ("csv", ";"), ("csv", "|")):
        path = tmp_path / f"a.{suffix}"
        path.write_text(f"t{separator}v\n" + "".join(f"{n}{separator}{cell}\n" for n, cell in enumerate(cells)))
        rows = open_rows(path)
        assert any("decimal comma" in note for note in rows.notes) is decimal
        values = [record.cells["v"] for record in rows.records()]
        problem = "write it without commas between thousands, or decimals with a point"
        if not decimal and "," in values[0]:
            with pytest.raises(ValueError, match=problem):
                number_of(values[0], "'v'")
        elif decimal:
            assert number_of(values[0], "'v'") == float(cells[0].replace(",", "."))


TEXTS = st.text(st.sampled_from(['"', "\\", "N", "n", "a", " ", ",", ";"]), min_size=1, max_size=4)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5))
def test_what_is_written_as_tsv_comes_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "written.tsv"
    columns = {"source": [row[0] for row in rows], "target": [row[1] for row in rows]}
    path.write_bytes(tsv_bytes(columns))
    assert [tuple(record.cells.values()) for record in open_rows(path).records()] == rows


CELLS = st.text(st.sampled_from(['"', "\\", "\t", "\n", "a", " ", "é"]), min_size=1, max_size=5)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5), st.sampled_from(["pandas", "polars"]))
def test_what_other_writers_quote_is_read_as_they_mean_it(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], writer: str
) -> None:
    """pandas writes with the csv module; some cell needs its quotes, so that the file tells its dialect."""
    rows = [('a "needs" quotes', "x"), *rows]
    path = tmp_path_factory.getbasetemp() / "foreign.tsv"
    if writer == "polars":
        pl.DataFrame(rows, ["source", "target"], orient="row").write_csv(path, separator="\t")
    else:
        buffer = io.StringIO()
        csv.writer(buffer, delimiter="\t", lineterminator="\n").writerows([("source", "target"), *rows])
        path.write_text(buffer.getvalue())
    assert [tuple(record.cells.values()) for record in open_rows(path).records()] == rows
