"""A bad table of series ends in one line that names the file, and the line where there is one."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from sightline.core.errors import InputError
from sightline.data.series.corpus import SeriesColumns, load_panel, load_series
from sightline.data.series.panel import Evenness

PLAIN = (SeriesColumns(), Evenness())
LONG = (SeriesColumns(series="id"), Evenness())


def filled(rule: str) -> tuple[SeriesColumns, Evenness]:
    return SeriesColumns(), Evenness(fill=rule)


def parquet(**columns: object) -> Callable[[Path], None]:
    return lambda path: pl.DataFrame(columns, strict=False).write_parquet(path)


def cut_parquet(path: Path) -> None:
    pl.DataFrame({"time": [1, 2, 3], "v": [1.0, 2.0, 3.0]}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-9])


HOURS = b"time,v\n2024-01-01 00:00,1\n2024-01-01 01:00,2\n"
TSF = b"@attribute series_name string\n@attribute start_timestamp date\n@frequency daily\n@data\n"
# name of the case: (file, content or writer, how it is read, where, what the message says)
CASES: dict[str, tuple[str, bytes | Callable[[Path], None], tuple[SeriesColumns, Evenness], str, str]] = {
    "empty": ("a.csv", b"", PLAIN, "", "is empty"),
    "header only": ("a.csv", b"time,v\n", PLAIN, "", "has a header but no rows"),
    "no header": ("a.csv", b"2024-01-01,1\n2024-01-02,2\n", PLAIN, ":1", "expected a header"),
    "a header of numbers": ("a.csv", b"0,1\n1,2\n", PLAIN, ":1", "expected a header"),
    "one column": ("a.csv", b"time\n2024-01-01\n", PLAIN, ":1", "at least a column of times and one of values"),
    "spaces": ("a.csv", b"time v\n2024-01-01 1\n", PLAIN, ":1", "at least a column of times and one of values"),
    "no such column": ("a.csv", HOURS, (SeriesColumns(time="tme"), Evenness()), ":1", "did you mean 'time'?"),
    "no such target": ("a.csv", HOURS, (SeriesColumns(targets=("w",)), Evenness()), ":1",
        "no column 'w' for the target"),
    "one column twice": ("a.csv", b"time,v,v\n1,2,3\n2,3,4\n", PLAIN, ":1", "two columns are named 'v'"),
    "two roles": ("a.csv", HOURS, (SeriesColumns(targets=("v",), known=("v",)), Evenness()), ":1", "target and known"),
    "nothing to forecast": ("a.csv", HOURS, (SeriesColumns(known=("v",)), Evenness()), ":1", "left to forecast"),
    "too many columns": ("a.csv", HOURS + b"2024-01-01 02:00,3,4\n", PLAIN, ":4", "expected 2 columns, found 3"),
    "an empty line": ("a.csv", HOURS + b"\n2024-01-01 03:00,3\n", PLAIN, ":4", "found 1 (an empty line)"),
    "an open quote": ("a.csv", HOURS + b'2024-01-01 02:00,"3\n', PLAIN, ":4", "is never closed"),
    "invalid UTF-8": ("a.csv", HOURS + b"2024-01-01 02:00,\xff\n", PLAIN, ":4", "invalid UTF-8"),
    "text": ("a.csv", HOURS + b"2024-01-01 02:00,high\n", PLAIN, ":4", "the cell of 'v' is not a number: 'high'"),
    "a column of names": ("a.csv", b"t,id,v\n1,a,1\n1,b,1\n2,a,1\n", PLAIN, ":3", ("are these several series? "
        "Then set the column that distinguishes them: --series-column=id; else")),
    "numbers that are not times": ("a.csv", b"STATION,WHEN,v\n433,Jan 5,1\n433,Jan 6,2\n", PLAIN, ":1",
        "which column has the times? Set --time-column: one of 'WHEN', 'v'"),
    "numbers that repeat": ("a.csv", b"a,v\n1,2\n2,1\n2,3\n", (SeriesColumns(time="a"), Evenness()), ":4",
        "(the times are those of 'a'; --time-column chooses another column)"),
    "days that end in the year": ("a.csv", b"Datum;v\n31.01.2024 13:00;1,5\n31.01.2024 14:00;2,5\n", PLAIN, ":2",
        "as in --time-format='%d.%m.%Y %H:%M', or choose another column with --time-column"),
    "months that come first": ("a.csv", b"time,v\n1/31/24,1\n2/1/24,1\n", PLAIN, ":2", "--time-format=%m/%d/%y"),
    "decimal commas in one column": ("a.csv", b'time,v,w\n1,1,"1,5"\n2,1,"2,5"\n', PLAIN, ":2",
        "the cell of 'w' is not a number: '1,5'"),
    "thousands": ("a.csv", HOURS + b'2024-01-01 02:00,"1,200,300.5"\n', PLAIN, ":4",
        "'1,200,300.5': write it without commas between thousands"),
    "clocks in spring": ("a.csv", (b"t,v\n2023-03-26 00:00,1\n2023-03-26 01:00,1\n2023-03-26 03:00,1\n"
        b"2023-03-26 04:00,1\n"), PLAIN, ":4", ("before 2023-03-26 03:00:00: if clocks changed there, set the zone: "
        "--time-zone Europe/Berlin; else fill them")),
    "clocks in autumn": ("a.csv", b"t,v\n2023-10-29 01:00,1\n2023-10-29 02:00,1\n2023-10-29 02:00,1\n", PLAIN, ":4",
        "if clocks changed there, set the zone: --time-zone Europe/Berlin; else remove one"),
    "a decimal comma": ("a.csv", HOURS + b'2024-01-01 02:00,"3,5"\n', PLAIN, ":4", "is not a number: '3,5'"),
    "infinite": ("a.csv", HOURS + b"2024-01-01 02:00,-inf\n", filled("zero"), ":4",
        "the cell of 'v' is infinite: correct it, or leave it empty and fill it (--fill)"),
    "overflow": ("a.csv", HOURS + b"2024-01-01 02:00,1e999\n", PLAIN, ":4", "the cell of 'v' is infinite"),
    "NaN": ("a.csv", HOURS + b"2024-01-01 02:00,NaN\n2024-01-01 03:00,4\n", PLAIN, ":4", "the cell of 'v' is empty"),
    "an empty cell": ("a.csv", HOURS + b"2024-01-01 02:00,\n", PLAIN, ":4", "the cell of 'v' is empty"),
    "no value at all": ("a.csv", b"t,v,k\n1,,2\n2,,2\n", (SeriesColumns(known=("k",)), Evenness()), ":2",
        "no value of"),
    "nothing to fill from": ("a.csv", b"time,v\n1,\n2,3\n3,4\n", filled("forward"), ":2",
        "no value comes before it"),
    "nothing to draw to": ("a.csv", b"time,v\n1,1\n2,3\n3,\n", filled("linear"), ":4", "no value comes after it"),
    "no time": ("a.csv", HOURS + b"soon,3\n", PLAIN, ":4", "'soon' is not a time: write times as"),
    "an empty time": ("a.csv", HOURS + b",3\n", PLAIN, ":4", "an empty time is not a time"),
    "a day that does not exist": ("a.csv", HOURS + b"2023-02-29,3\n", PLAIN, ":4", "does not exist"),
    "an hour that does not exist": ("a.csv", HOURS + b"2024-01-01 24:10,3\n", PLAIN, ":4", "does not exist"),
    "an ambiguous day": ("a.csv", b"time,v\n01/02/2024,1\n02/02/2024,1\n", PLAIN, ":2",
        "set their format, as in --time-format=%d/%m/%Y"),
    "another form": ("a.csv", b"time,v\n13/01/24,1\n", (SeriesColumns(time_format="%m/%d/%y"), Evenness()), ":2",
                     "is not a time of the form '%m/%d/%y'"),
    "numbers, then a date": ("a.csv", b"time,v\n1,1\n2024-01-01,1\n", PLAIN, ":3", "is not a number, as"),
    "digits of another script": ("a.csv", "time,v\n1,1\n٣,1\n".encode(), PLAIN, ":3", "'٣' is not a number"),
    "a time twice": ("a.csv", HOURS + b"2024-01-01 01:00,3\n", PLAIN, ":4", "is in line 3 already"),
    "a long table read as a wide one": ("a.csv", b"time,v\n1,1\n1,2\n1,3\n2,1\n", PLAIN, ":3",
        "are these several series? Then set the column that distinguishes them: --series-column; else remove"),
    "a time twice in a series": ("a.csv", b"id,t,v\na,1,1\nb,1,1\na,2,2\na,2,3\n", LONG, ":5",
        "of 'a' is in line 4"),
    "unsorted": ("a.csv", HOURS + b"2023-12-31 23:00,3\n", PLAIN, ":4",
        "comes after 2024-01-01 01:00:00: sort the rows"),
    "unsorted in a series": ("a.csv", b"id,t,v\na,5,1\nb,1,1\na,4,2\n", LONG, ":4", "4 of 'a' comes after 5"),
    "mixed zones": ("a.csv", b"time,v\n2024-01-01 00:00Z,1\n2024-01-01 01:00+01:00,2\n", PLAIN, ":3",
        "mixed zones: +01:00"),
    "a zone for some": ("a.csv", b"time,v\n2024-01-01 00:00Z,1\n2024-01-01 01:00,2\n", PLAIN, ":3",
        "mixed zones: none here"),
    "a gap": ("a.csv", HOURS + b"2024-01-01 05:00,3\n", PLAIN, ":4",
        "3 steps of 1h are missing before 2024-01-01 05:00"),
    "a gap in a series": ("a.csv", b"id,t,v\na,1,1\na,2,1\na,4,2\nb,1,1\nb,2,1\n", LONG, ":4",
        "1 step of 1 is missing"),
    "off the grid": ("a.csv", HOURS + b"2024-01-01 02:00,3\n2024-01-01 02:59,3\n", PLAIN, ":5",
        ("is not on the grid of 1h from 2024-01-01 00:00:00 on: correct it, set the step: --every, or make the times"
        " even: --every=1h --resample=mean")),
    "a slip in the year": ("a.csv", HOURS + b"9024-01-01 02:00,3\n", filled("zero"), ":4",
        "check the time, the step (--every)"),
    "an unnamed series": ("a.csv", b"id,t,v\na,1,1\n,2,1\n", LONG, ":3", "the cell of 'id' is empty"),
    "one time": ("a.csv", b"time,v\n1,1\n", PLAIN, None, "a.csv: no series has two times in order: set the step"),
    "unknown format": ("a.xlsx", b"PK", PLAIN, "", "unknown format '.xlsx'"),
    "gzip cut short": ("a.csv.gz", gzip.compress(HOURS * 50)[:-12], PLAIN, "", "broken gzip"),
    "gzip bomb": ("a.csv.gz", gzip.compress(b"time,v\n" + b"1," + b"1" * 30_000_000), PLAIN, "",
        "expands to more than"),
    "missing": ("a.csv", lambda path: None, PLAIN, "", "no such file"),
    "a directory": ("a.csv", Path.mkdir, PLAIN, "", "is a directory"),
    "parquet cut short": ("a.parquet", cut_parquet, PLAIN, "", "broken parquet"),
    "parquet of text": ("a.parquet", parquet(time=[1, 2], v=["a", "b"]), PLAIN, "",
        "no column is left to forecast: 'v' has no numbers"),
    "parquet, infinite": ("a.parquet", parquet(time=[1, 2], v=[1.0, float("inf")]), PLAIN, ":2", "is infinite"),
    "parquet, null time": ("a.parquet", parquet(time=[1, None], v=[1.0, 2.0]), PLAIN, ":2", "an empty time"),
    "parquet, null cell": ("a.parquet", parquet(time=[1, 2], v=[1.0, None]), PLAIN, ":2", "the cell of 'v' is empty"),
    "parquet, unsorted": ("a.parquet", parquet(
        time=[datetime(2024, 1, 2), datetime(2024, 1, 1)], v=[1.0, 2.0]
    ), PLAIN, ":2", "sort the rows"),
    "parquet, times that are none": ("a.parquet", parquet(time=[True, False], v=[1.0, 2.0]),
        (SeriesColumns(time="time"), Evenness()), "", "must contain times"),
    "parquet, a time that is NaN": ("a.parquet", parquet(time=[1.5, float("nan")], v=[1.0, 2.0]), PLAIN, ":2",
        "'NaN' is not a number"),
    "thousands in TSV": ("a.tsv", b"t\tv\n1\t1,234\n2\t12,500\n3\t999\n", PLAIN, ":2", ("the cell of 'v' is not a "
        "number: '1,234': write it without commas between thousands, or decimals with a point")),
    "thousands beside semicolons": ("a.csv", b"t;v\n1;-1,234\n2;+12,500,000\n3;999\n", PLAIN, ":2", "'-1,234'"),
    "thousands beside bars": ("a.csv", b"t|v\n1|1,234\n2|12,500\n3|\n", PLAIN, ":2", "'1,234'"),
    "tsf without a tag": ("a.tsf", b"T1:1,2\n", PLAIN, ":1", "expected a tag such as @attribute or @data"),
    "tsf of another width": ("a.tsf", TSF + b"T1:1,2\n", PLAIN, ":5", "expected 3 parts between colons, found 2"),
    "tsf, a value": ("a.tsf", TSF + b"T1:2024-01-01 00-00-00:1,x\n", PLAIN, ":5", "not a number: 'x'"),
    "tsf, a time": ("a.tsf", TSF + b"T1:2024-02-30 00-00-00:1,2\n", PLAIN, ":5", "does not exist"),
    "tsf, no series": ("a.tsf", TSF, PLAIN, "", "has no series"),
    "tsf, a frequency": ("a.tsf", TSF.replace(b"daily", b"lunar") + b"T1:2024-01-01 00-00-00:1\n", PLAIN, "",
        "unknown frequency 'lunar': give --every"),
    "tsf with columns": ("a.tsf", TSF + b"T1:2024-01-01 00-00-00:1\n", LONG, "", "only --targets can be named"),
    "tsf, one name twice": ("a.tsf", TSF + b"T1:2024-01-01 00-00-00:1\n" * 2, PLAIN, ":6",
        "the time 2024-01-01 of 'T1' is in line 5 already"),
    "JSON lines, not JSON": ("a.jsonl", b"{\n", PLAIN, ":1", "bad JSON"),
    "JSON lines of rows": ("a.jsonl", b'{"time": 1, "v": 2}\n', PLAIN, ":1", 'the keys "start" and "target"'),
    "JSON lines, no list": ("a.jsonl", b'{"start": "2024-01-01", "target": 2}\n', PLAIN, ":1", "a list of numbers"),
    "JSON lines, no step": ("a.jsonl", b'{"start": "2024-01-01", "target": [2]}\n', PLAIN, "",
        "names no step: give --every"),
    "JSON lines, a step of other times": ("a.jsonl", b'{"start": "20202023", "target": [1, 2], "freq": "Y"}\n',
        (SeriesColumns(), Evenness(every="1y")), "", "every: the times are numbers: expected a plain number not '1y'"),
    "JSON lines, ragged": ("a.jsonl", b'{"start": "2024-01-01", "target": [[1, 2], [3]]}\n', PLAIN, ":1",
        "expected 2 channels of one length"),
    "JSON lines, a hole": ("a.jsonl", b'{"start": "2024-01-01", "target": [1, null, NaN]}\n',
        (SeriesColumns(), Evenness(every="1d")), ":1", "the cell of 'target' is empty (2 such cells)"),
    "parquet, no rows": ("a.parquet", parquet(time=pl.Series([], dtype=pl.Int64), v=pl.Series([], dtype=pl.Float64)),
                         PLAIN, "", "has a header but no rows"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_bad_table_is_one_line_with_its_place(case: str, tmp_path: Path) -> None:
    name, content, (columns, rules), place, problem = CASES[case]
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content(path)
    with pytest.raises(InputError) as caught:
        load_panel(path, columns, rules)
    message = str(caught.value)
    if place is not None:
        assert message.startswith(f"{path}{place}: ")
    assert problem in message
    assert message.isprintable()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("builtin:sesonal", "builtin: unknown built-in data 'sesonal', did you mean 'seasonal'?"),
        ("builtin:ar?phi=2", "builtin:ar: phi must be between -0.999 and 0.999, found 2.0"),
        ("builtin:ar?phy=0.5", "builtin:ar: phy: unknown key, did you mean 'phi'?"),
        ("builtin:seasonal?length=many", "builtin:seasonal: length: expected an integer"),
        ("builtin:seasonal?length=1000000000", "builtin:seasonal: length must be between 16 and 1e+06"),
        ("", "no data: give"),
    ],
)
def test_bad_names_of_built_in_series(name: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_series(name)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"every": "1 fortnight"}, "every: expected a number and a unit of"),
        ({"every": "0h"}, "every: expected a number and a unit of"),
        ({"every": "5"}, "every: the times are dates: expected a number with a unit"),
        ({"resample": "mean"}, "resample: needs the step"),
    ],
)
def test_bad_rules(rules: dict[str, str], message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(HOURS)
    with pytest.raises(InputError) as caught:
        load_panel(path, rules=Evenness(**rules))
    assert str(caught.value).startswith(message)
