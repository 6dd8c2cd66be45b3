"""Windows: the published counts, no look into another part, every window once an epoch, any batch again."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from sightline.core.errors import InputError
from sightline.data.batches import Cursor
from sightline.data.series.corpus import SeriesColumns, fit_scaling, load_panel, load_series
from sightline.data.series.panel import Panel, Series
from sightline.data.series.windows import (
    WindowBatches,
    all_windows,
    forecastable,
    make_windows,
    next_windows,
    usual_sizes,
)
from sightline.data.split import by_time

LONG = SeriesColumns(series="id")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Two series whose values are their times; the second begins late and ends early."""
    rows = [f"{name},{t},{t}" for name, low, high in (("a", 0, 100), ("b", 37, 90)) for t in range(low, high)]
    path = tmp_path / "a.csv"
    path.write_text("id,t,v\n" + "\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize(("horizon", "counts"), [(96, (8209, 2785, 2785)), (720, (7585, 2161, 2161))])
def test_the_published_split_has_the_published_numbers_of_windows(horizon: int, counts: tuple[int, int, int]) -> None:
    data = load_series("builtin:ar?length=17420&series=1", split=(8640.0, 2880.0, 2880.0))
    result = make_windows(data, 336, horizon)
    assert tuple(result.sizes.values()) == counts


def test_no_window_reads_or_says_what_it_should_not(table: Path) -> None:
    data = load_series(table, LONG, split=(60.0, 20.0, 20.0))
    result = make_windows(data, 8, 5)
    for part, windows in (("train", result.train), ("valid", result.valid), ("test", result.test)):
        low, high = data.span(part)
        batches = WindowBatches(windows, fit_scaling(data, "none"), size=7, shuffle=False)
        seen = set()
        for batch in batches.epoch():
            for row, values, future in zip(batch.rows, batch.values[..., 0], batch.future[..., 0], strict=True):
                times = torch.cat([values, future]).tolist()
                assert times == list(range(int(times[0]), int(times[0]) + 13))  # one series, no step left out
                assert low <= times[8] <= times[12] < high
                assert part != "train" or times[0] >= low
                seen.add((int(windows.record[row]), times[8]))
                assert windows.time(row) == str(int(times[8]))
        possible = {
            (number, origin)
            for number, (first, end) in enumerate([(0, 100), (37, 90)])
            for origin in range(first + 8, end - 4)
            if low <= origin and origin + 5 <= high
        }
        assert seen == possible


def test_a_part_without_a_window_says_so(table: Path) -> None:
    with pytest.raises(InputError, match=r"no window of 8 \+ 30 steps fits into the valid part, whose longest series"):
        make_windows(load_series(table, LONG, split=(60.0, 20.0, 20.0)), 8, 30)
    with pytest.raises(InputError, match=r"no series has 90 \+ 30 steps"):
        all_windows(load_panel(table, LONG), 90, 30)


def test_a_limit_keeps_the_first_windows(table: Path) -> None:
    result = make_windows(load_series(table, LONG), 8, 5, limit=3)
    assert set(result.sizes.values()) == {3}


def test_every_window_comes_once_an_epoch_in_another_order_each_time(table: Path) -> None:
    data = load_series(table, LONG)
    windows = make_windows(data, 8, 5).train
    batches = WindowBatches(windows, fit_scaling(data), size=16, seed=3)
    orders = [[row for batch in batches.epoch(number) for row in batch.rows] for number in (0, 1, 0)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(len(windows)))
    assert orders[0] == orders[2] != orders[1]
    assert orders[0] != [
        row for batch in WindowBatches(windows, fit_scaling(data), size=16).epoch() for row in batch.rows
    ]


def test_the_stream_goes_on_from_any_cursor(table: Path) -> None:
    data = load_series(table, LONG)
    windows = make_windows(data, 8, 5).train
    first = WindowBatches(windows, fit_scaling(data), size=16, seed=3)
    whole = list(islice(first.stream(), 3 * len(first)))
    for stop in (1, len(first) - 1, len(first), 2 * len(first) + 1):
        again = WindowBatches(windows, fit_scaling(data), size=16, seed=3).stream(whole[stop - 1][1])
        batch, cursor = next(again)
        assert cursor == whole[stop][1]
        assert batch.rows == whole[stop][0].rows
        for left, right in zip(batch[:4], whole[stop][0][:4], strict=True):
            assert torch.equal(left, right)
    with pytest.raises(InputError, match="epoch 0 has no batch 99"):
        next(first.stream(Cursor(0, 99)))


def test_values_and_covariates_are_scaled_by_training(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = "\n".join(f"{t},{a:.6f},{b:.6f},{c:.6f}" for t, (a, b, c) in enumerate(random.normal(5, 3, (80, 3))))
    path = tmp_path / "a.csv"
    path.write_text(f"t,v,past,known\n{rows}\n")
    data = load_series(path, SeriesColumns(past=("past",), known=("known",)), split=(50.0, 15.0, 15.0))
    windows = make_windows(data, 10, 4).test
    batch = next(WindowBatches(windows, fit_scaling(data), size=5, shuffle=False).epoch())
    record = data.panel.records[0]
    for values, actual, steps in (
        (record.values, batch.values, slice(55, 65)), (record.values, batch.future, slice(65, 69)),
        (record.past, batch.past, slice(55, 65)), (record.known, batch.known, slice(55, 69)),
    ):  # fmt: skip
        expected = (values - values[:50].mean(0)) / values[:50].std(0)
        np.testing.assert_allclose(actual[0].numpy(), expected[steps], rtol=1e-5, atol=1e-6)


def test_the_next_window_begins_after_the_last_value_of_each_series() -> None:
    empty = np.zeros((30, 0))
    made = [Series(name, start, np.arange(30.0)[:, None], empty, np.arange(36.0)[:, None]) for name, start in
            (("a", 0), ("b", 9))]  # fmt: skip
    panel = Panel("p", load_series("builtin:ar").panel.grid, ("v",), (), ("k",), tuple(made))
    windows = next_windows(panel, 4, 6)
    scaling = fit_scaling(load_series("builtin:ar?series=1"), "none")
    scaling = scaling._replace(center=np.zeros((2, 1)), spread=np.ones((2, 1)), known=np.array([[0.0], [1.0]]))
    batch = next(WindowBatches(windows, scaling, size=9, shuffle=False).epoch())
    assert batch.values[..., 0].tolist() == [[26.0, 27, 28, 29]] * 2
    assert batch.known[..., 0].tolist() == [[26.0, 27, 28, 29, 30, 31, 32, 33, 34, 35]] * 2
    with pytest.raises(InputError, match="'a' has 30 steps, but the model reads 31"):
        forecastable(panel, 31, 6)
    with pytest.raises(InputError, match="'a' has 6 steps of 'k' beyond the last value, but a forecast needs 7"):
        forecastable(panel, 4, 7)


@pytest.mark.parametrize(
    ("season", "steps", "sizes", "reason"),
    [
        (1, 4000, (96, 24), "as usual without a season"),
        (24, 4000, (96, 24), "as the season has 24 steps"),
        (7, 4000, (28, 7), "as the season has 7 steps"),
        (4, 4000, (32, 8), "as the season has 4 steps"),
        (12, 4000, (48, 12), "as the season has 12 steps"),
        (168, 9000, (384, 96), "as the season has 168 steps"),
        (12, 60, (21, 6), "as the parts have 42, 6 and 12 steps"),
        (1, 10, (3, 1), "as the parts have 7, 1 and 2 steps"),
    ],
)
def test_usual_sizes(season: int, steps: int, sizes: tuple[int, int], reason: str) -> None:
    series = load_series(f"builtin:ar?length={max(steps, 16)}&series=1")
    record = series.panel.records[0]
    panel = replace(series.panel, records=(record._replace(values=record.values[:steps], past=record.past[:steps]),))
    series = replace(series, panel=panel, bounds=by_time(0, steps, (0.7, 0.1, 0.2)))
    assert usual_sizes(series, 0, 0, season, 1) == (*sizes, reason)
    assert all(make_windows(series, season=season).sizes.values())
