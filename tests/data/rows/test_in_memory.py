"""Tables in memory are read as the same tables in files are."""

from __future__ import annotations

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sightline.core.errors import InputError
from sightline.data.pairs.corpus import read
from sightline.data.rows.in_memory import frame_like, is_frame, polars_frame, store_table
from sightline.testing.rows import READERS, TEXTS

MAKERS = {
    "polars": pl.DataFrame,
    "lazy polars": pl.LazyFrame,
    "pandas": pd.DataFrame,
    "pandas of objects": lambda table: pd.DataFrame(table).astype(object),
    "pyarrow": pa.table,
    "columns": dict,
    "rows": lambda table: [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)],
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_every_reader_gets_the_items_of_the_table(tmp_path, reader, make):
    table = store_table(make(dict(reader.table)), tmp_path)
    assert reader.read(table.path) == reader.items


def test_equal_tables_share_a_file(tmp_path):
    table = {"source": [*TEXTS], "target": [*TEXTS]}
    paths = {store_table(make(table), tmp_path).path for name, make in MAKERS.items() if name != "columns"}
    assert len(paths) == len([*tmp_path.iterdir()]) == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (5, "data: found int: expected a path, a frame"),
        ([], "data: has no rows"),
        ({"text": []}, "data: has no rows"),
        ({"a": [1], "b": [1, 2]}, "data: has columns of different lengths: {'a': 1, 'b': 2}"),
        (["one", {"text": "two"}], "data: row 2 is a dict, row 1 a text"),
        ([("a", "b"), ("a", "b", "c")], "data: row 2 is ('a', 'b', 'c'): expected"),
        ({"a": [[1], "x"]}, "data: the column 'a' has values of several or unknown types: list, str"),
        ({"a": [object()]}, "data: the column 'a' has values of several or unknown types: object"),
    ],
)
def test_other_data_is_refused_in_one_line(tmp_path, data, message):
    with pytest.raises(InputError) as caught:
        store_table(data, tmp_path)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(("argument", "place"), [("data", "row 2: "), ("valid", "valid: row 2: ")])
def test_messages_name_rows_of_the_table(tmp_path, argument, place):
    table = store_table(pd.DataFrame({"source": ["a", "b"], "target": ["c", None]}), tmp_path, argument=argument)
    with pytest.raises(InputError) as caught:
        read(table.path)
    assert table.named(str(caught.value)).startswith(f"{place}the target is empty")
    assert table.named(f"{table.path}: a note") == f"{argument} (DataFrame): a note"


def test_a_frame_is_not_changed(tmp_path):
    frame = pl.DataFrame({"load": [1.0, 2.0]})
    table = store_table(frame, tmp_path)
    assert frame.columns == ["load"]
    assert pl.read_parquet(table.path).to_dict(as_series=False) == {"time": [0, 1], "load": [1.0, 2.0]}


def test_what_a_cell_lacks_is_missing_in_any_library():
    columns = {"text": ["a", None], "number": [1.5, None], "whole": [1, None]}
    frames = [pl.DataFrame(columns), pd.DataFrame(columns), pa.table(columns)]
    assert [polars_frame(frame).row(1) for frame in frames] == [(None, None, None)] * 3


def test_times_in_the_index_of_pandas_are_a_column_and_become_an_index_again():
    times = pd.date_range("2026-01-01", periods=3, freq="h", name="when")
    frame = pd.DataFrame({"load": [1.0, 2.0, 3.0]}, index=times)
    columns = polars_frame(frame)
    assert columns.columns == ["when", "load"]
    again = frame_like(columns.to_dict(as_series=False), frame, times="when")
    pd.testing.assert_frame_equal(again, frame, check_freq=False)


@pytest.mark.parametrize(
    ("index", "columns"),
    [
        (pd.RangeIndex(3), ["load"]),
        (pd.Index([2, 0, 1]), ["load"]),
        (pd.Index([2, 0, 1], name="step"), ["step", "load"]),
        (pd.Index(["a", "b", "c"]), ["load"]),
        (pd.Index(["2026-01-01", "2026-01-02", "2026-01-03"]), ["index", "load"]),
        (pd.MultiIndex.from_product([["a"], pd.date_range("2026-01-01", periods=3)]), ["level_0", "level_1", "load"]),
        (pd.MultiIndex.from_product([["a"], [1, 2, 3]], names=["store", "load"]), ["store", "load"]),
        (pd.timedelta_range("1h", periods=3, freq="h"), ["load"]),
    ],
    ids=["rows", "shuffled rows", "named", "names", "texts of times", "series and times", "also a column", "spans"],
)
def test_an_index_of_pandas_is_data_where_it_has_names_or_times(index: pd.Index, columns: list[str]) -> None:
    frame = pd.DataFrame({"load": [1.0, 2.0, 3.0]}, index=index)
    read = polars_frame(frame)
    assert read.columns == columns
    assert read["load"].to_list() == [1.0, 2.0, 3.0]
    again = frame_like(read.to_dict(as_series=False), frame, times=columns[-2] if len(columns) > 1 else None)
    assert polars_frame(again).equals(read)


@pytest.mark.parametrize("like", [pl.DataFrame({"a": [1]}), pd.DataFrame({"a": [1]}), pa.table({"a": [1]})])
def test_a_frame_is_made_of_the_library_that_was_given(like):
    assert is_frame(like)
    made = frame_like({"b": [1, 2]}, like)
    assert type(made) is type(like)
    assert polars_frame(made).to_dict(as_series=False) == {"b": [1, 2]}


def test_a_frame_that_no_file_can_store_is_refused_and_leaves_nothing(tmp_path):
    objects = pl.DataFrame({"source": pl.Series([object()], dtype=pl.Object)})
    with pytest.raises(InputError, match=r"^data: cannot be stored: cannot write 'Object'"):
        store_table(objects, tmp_path)
    assert not [*tmp_path.iterdir()]
