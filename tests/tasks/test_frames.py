"""Frames, lists of dicts and columns of any library are read whole: their index, their times, what they lack."""

from __future__ import annotations

import logging
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import sightline
from sightline.core.errors import InputError
from tests.tasks.classification import small as labels
from tests.tasks.subjects import SUBJECTS

SIZES: dict[str, Any] = {"lookback": 12, "horizon": 6, "season": 6, "settings": {"seed": 1}, "quiet": True}
HOURS = pd.date_range("2026-01-01", periods=60, freq="h")


def shops(lengths: dict[str, int]) -> pd.DataFrame:
    """Sales of shops by hour, each of its own length."""
    frames = [
        pd.DataFrame({"store": store, "date": HOURS[:length], "sales": np.sin(np.arange(length) + number) + 2.0})
        for number, (store, length) in enumerate(lengths.items())
    ]
    return pd.concat(frames, ignore_index=True)


SHOPS = shops({"north": 60, "south": 60, "new": 8})


def nlinear(data: Any, **keys: Any) -> Any:
    return sightline.fit("forecasting", data, "nlinear", "2steps", **{**SIZES, **keys})


@pytest.mark.parametrize("index", [["store", "date"], ["date"], ["store"]], ids="+".join)
def test_an_index_with_names_is_data(index: list[str], tmp_path: Path) -> None:
    indexed = SHOPS.set_index(index)
    indexed.to_csv(tmp_path / "sales.csv")
    of_file = sightline.describe(tmp_path / "sales.csv", series_column="store")
    of_memory = sightline.describe(indexed, series_column="store")
    assert (of_memory.sha256, of_memory.parts) == (of_file.sha256, of_file.parts)


@pytest.mark.parametrize("name", ["when", ""])
@pytest.mark.parametrize("columns", [["load"], ["load", "price"]], ids=str)
def test_an_index_of_texts_of_times_is_data(columns: list[str], name: str, tmp_path: Path) -> None:
    """As `pd.read_csv("load.csv", index_col=0)` has it."""
    times = HOURS.strftime("%Y-%m-%d %H:%M")
    table = pd.DataFrame({column: np.cos(np.arange(60) + len(column)) for column in columns}, index=times)
    table.rename_axis(name).to_csv(tmp_path / "load.csv")
    frame = pd.read_csv(tmp_path / "load.csv", index_col=0)
    of_file, of_memory = (sightline.describe(one, "forecasting") for one in (tmp_path / "load.csv", frame))
    assert (of_memory.sha256, of_memory.parts) == (of_file.sha256, of_file.parts)


def test_an_index_that_is_a_column_too_is_left_out() -> None:
    frame = SHOPS.set_index("date", drop=False)
    expected = sightline.describe(SHOPS, series_column="store")
    assert sightline.describe(frame, series_column="store").sha256 == expected.sha256


def test_numbers_of_rows_are_no_data() -> None:
    texts = pd.DataFrame({"source": [f"a {n}" for n in range(40)], "target": [f"b {n}" for n in range(40)]})
    shuffled = texts.sample(frac=1, random_state=0)
    assert sightline.describe(shuffled).sha256 == sightline.describe(shuffled.reset_index(drop=True)).sha256


def test_forecasts_have_the_index_of_the_frame(caplog: pytest.LogCaptureFixture) -> None:
    model = nlinear(SHOPS, series_column="store")
    plain, indexed = model.predict(SHOPS), model.predict(SHOPS.set_index(["store", "date"]))
    pd.testing.assert_frame_equal(indexed, plain.set_index(["store", "date"])[["sales"]])


def test_series_that_are_left_out_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = nlinear(SHOPS, series_column="store")
    SHOPS.to_csv(tmp_path / "sales.csv", index=False)
    expected = [note.partition(": ")[2] for note in model.predict(tmp_path / "sales.csv").notes]
    assert any(note.startswith("'new' is left out: it has 8 steps") for note in expected)
    for frame in (SHOPS, pl.from_pandas(SHOPS), SHOPS.to_dict("records")):
        caplog.clear()
        forecasts = model.predict(frame)
        assert {*forecasts["store"]} == {"north", "south"}
        assert caplog.messages == [f"data ({type(frame).__name__}): {note}" for note in expected]


@pytest.mark.parametrize("form", ["rows", "columns"])
def test_dicts_are_a_table_of_a_forecaster(form: str) -> None:
    table = shops({"north": 60})[["date", "sales"]]
    frame = pl.from_pandas(table)
    dicts: Any = frame.to_dicts() if form == "rows" else frame.to_dict(as_series=False)
    model = nlinear(frame)
    expected = model.predict(frame)
    assert model.predict(dicts).equals(expected)
    assert [one.equals(expected) for one in model.predict([frame, frame])] == [True, True]
    assert model.evaluate(dicts).metrics == model.evaluate(frame).metrics
    assert sightline.describe(dicts).sha256 == sightline.describe(frame).sha256


def test_dicts_are_rows_of_a_classifier_of_columns_of_numbers() -> None:
    data = labels.data("series")
    for part in data.parts.values():
        part.sources[:] = [source[:4, :1] for source in part.sources]
    model = labels.ClassificationTask.build(data, labels.run())
    rows = np.random.default_rng(0).normal(size=(3, 4)).round(2)
    frame = pl.DataFrame(dict(zip("abcd", rows.T.tolist(), strict=True)))
    expected = model.predict(frame, proba=True)
    assert model.predict(frame.to_dicts(), proba=True) == expected
    assert len({tuple(one.values()) for one in expected}) == 3


@pytest.mark.parametrize("make", [pl.DataFrame, pd.DataFrame], ids=["polars", "pandas"])
def test_a_frame_of_one_column_stays_as_it_is_and_its_steps_are_whole_numbers(make: Any) -> None:
    frame = make({"load": np.sin(np.arange(60.0))})
    model = nlinear(frame)
    forecasts = model.predict(frame)
    model.evaluate(frame)
    assert [*frame.columns] == ["load"]
    assert forecasts["time"].to_list() == [*range(60, 66)]


def test_the_row_of_a_time_that_occurs_twice_is_named_as_a_row() -> None:
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(60)]
    frame = pl.DataFrame({"date": [*days[:8], days[7]], "sales": np.arange(9.0)})
    with pytest.raises(InputError, match=r"^row 9: the time 2026-01-08 is in row 8 already: "):
        sightline.describe(frame)
    holes = pl.DataFrame({"date": days, "sales": [None if n in (2, 4) else n / 7 for n in range(60)]})
    notes = sightline.describe(holes, fill="linear").notes
    assert [note for note in notes if "2 missing cells filled by linear (at or before rows 3, 5)" in note]


def test_two_arrays_are_sources_and_labels() -> None:
    """Also where both are texts and no task is named."""
    texts = np.array([f"{'red' if n % 2 else 'blue'} {n}" for n in range(60)])
    names = np.array(["a", "b"] * 30)
    for kind in (np.asarray, pd.Series, lambda one: pl.Series(one.tolist())):
        assert sightline.describe((kind(texts), kind(names))).parts["train"]["labels"] == 2
    assert "pairs" in sightline.describe((texts, names), "translation").parts["train"]
    assert "pairs" in sightline.describe([*zip(texts.tolist(), names.tolist(), strict=True)]).parts["train"]


TEXT_COLUMNS = {
    "polars": lambda texts: pl.Series("source", texts),
    "pandas": lambda texts: pd.Series(texts, name="source"),
    "pandas of objects": lambda texts: pd.Series(texts, name="source", dtype=object),
    "pyarrow": lambda texts: pa.chunked_array([texts]),
    "pyarrow array": pa.array,
    "list": list,
}


@pytest.mark.parametrize("column", TEXT_COLUMNS.values(), ids=TEXT_COLUMNS)
@pytest.mark.parametrize("task", ["translation", "classification", "language"])
def test_a_column_of_texts_has_outputs_as_its_frame_has(task: str, column: Any, tmp_path: Path) -> None:
    """A missing text is an empty one."""
    model: Any = SUBJECTS[task](tmp_path).built()
    texts = ["12 red", None, "907", ""]
    name = "text" if task == "language" else "source"
    expected = model.predict(pl.DataFrame({name: texts}))
    assert model.predict(column(texts)) == expected
    assert expected == [model.predict(text or "") for text in texts]


def test_the_first_input_that_is_not_a_text_is_named(tmp_path: Path) -> None:
    for task in ("translation", "classification", "language"):
        model: Any = SUBJECTS[task](tmp_path).built()
        with pytest.raises(InputError, match=r"^input 3: expected text, found int$"):
            model.predict(["a", "", 7, 8.0])


class Lazy:
    """A frame that is not in memory, of a library that narwhals collects to pandas, as dask is."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame


def test_a_lazy_frame_of_another_library_is_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    import narwhals as nw

    from sightline.data.rows.in_memory import frame_like, polars_frame

    frame = shops({"north": 20})[["date", "sales"]].set_index("date")
    lazy, from_native = Lazy(frame), nw.from_native

    class Collected(nw.LazyFrame):
        def __init__(self) -> None:
            pass

        def collect(self, *_: Any, **__: Any) -> Any:
            return from_native(frame)

        implementation = nw.Implementation.DASK

    def opened(native: Any, **options: Any) -> Any:
        if isinstance(native, Lazy):
            if options.get("eager_only"):
                raise TypeError("Cannot only use `eager_only` with a lazy frame")
            return Collected()
        return from_native(native, **options)

    monkeypatch.setattr(nw, "from_native", opened)
    assert polars_frame(lazy).equals(polars_frame(frame))
    assert polars_frame(lazy).columns == ["date", "sales"]
    assert isinstance(frame_like({"a": [1, 2]}, lazy), pl.DataFrame)


def test_nothing_is_logged_of_a_frame_that_is_used_whole(caplog: pytest.LogCaptureFixture) -> None:
    frame = pl.from_pandas(shops({"north": 60})[["date", "sales"]])
    model = nlinear(frame)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        model.predict(frame)
    assert not caplog.messages
