"""A metric that is undefined is null in JSON, "undefined" for people, and named in a note, in every command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sightline.cli.app import main
from sightline.data.series.grid import Grid
from sightline.data.series.panel import Panel, Series
from sightline.tasks.forecasting.forecast import Forecast
from sightline.tasks.forecasting.scores import naive_errors

SERIES: dict[str, Callable[[int], float]] = {
    "periodic": lambda t: 3 + t % 7,
    "constant": lambda t: 5.0,
    "tiny": lambda t: 1e-310 * (t % 5),
    "periodic up to rounding": lambda t: float(np.sin(2 * np.pi * t / 7) + 1e3),
}
SMALL = ["--task", "forecasting", "--lookback", "14", "--horizon", "7", "--season", "7", "--data", "days.csv"]
NOTE = "MASE is undefined where the seasonal naive forecast has no error in training, or none is known"


def strictly(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} in JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture(params=SERIES)
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    value = SERIES[request.param]
    rows = [f"{np.datetime64('2024-01-01') + t},{value(t)!r}" for t in range(140)]
    (tmp_path / "days.csv").write_text("\n".join(["date,v", *rows]) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_training_and_evaluation(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training = ["train", *SMALL, "--arch", "nlinear", "--max-steps", "3", "-o", "run", "-q", "--device", "cpu"]
    assert main([*training, "--json"]) == 0
    assert strictly(capsys.readouterr().out)["metrics"]["mase"] is None
    assert all(strictly(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines())
    assert main(["eval", "run", "--json"]) == 0
    out, err = capsys.readouterr()
    facts = strictly(out)
    assert facts["metrics"]["mase"] is None
    assert set(facts["by_step"]["mase"]) == {None}
    assert [row["mase"] for row in facts["by_series"]] == [None]
    assert facts["metrics"]["mse"] is not None
    assert err == f"sightline: {NOTE}\n"
    assert main(["eval", "run"]) == 0
    assert "  mase             undefined\n" in capsys.readouterr().out
    assert main([*training, "--overwrite"]) == 0
    assert "mase undefined" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["constant"], indirect=True)
def test_a_comparison(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = ["--archs", "nlinear", "--budget", "3steps", "--seeds", "1", "--search", "0", "-o", "cmp", "-q"]
    assert main(["compare", *SMALL, *more]) == 0
    assert NOTE in capsys.readouterr().out
    results = strictly((folder / "cmp" / "results.json").read_text())
    assert {architecture["metrics"]["mase"]["mean"] for architecture in results["architectures"]} == {None}
    assert {run["metrics"]["mase"] for run in results["runs"]} == {None}
    assert all(architecture["metrics"]["mse"]["mean"] is not None for architecture in results["architectures"])
    assert "undefined" in (folder / "cmp" / "report.html").read_text()
    assert main(["compare", *SMALL, *more[:-2], "other", "-q", "--metric", "mase"]) == 2
    assert "mase is undefined for these test items" in capsys.readouterr().err


def test_a_naive_error_that_is_rounding_is_none() -> None:
    steps = np.arange(70)
    periodic = 1e3 * np.sin(2 * np.pi * steps / 7)[:, None]
    assert np.abs(periodic[7:] - periodic[:-7]).max() > 0
    assert naive_errors([periodic], 7).item() == 0.0
    assert naive_errors([1e-310 * steps[:, None]], 7).item() == 0.0
    assert naive_errors([periodic + 1e-6 * steps[:, None]], 7).item() == pytest.approx(7e-6, rel=1e-3)


def test_the_table_of_a_forecast_tells_steps_apart_at_any_level() -> None:
    values = 1.7e9 + np.array([0.25, 0.5, 0.75])[None, :, None]
    empty = np.zeros((2, 0))
    series = Series("", 0, np.zeros((2, 1)), empty, empty)
    panel = Panel("x", Grid("number", 0, 1), ("a",), (), (), (series,))
    rows = Forecast(panel, values, np.zeros((1, 3, 1, 0))).csv().splitlines()[1:]
    assert [float(row.split(",")[-1]) for row in rows] == pytest.approx(values.ravel().tolist(), abs=1e-6)
    small = Forecast(panel, values - 1.7e9, np.zeros((1, 3, 1, 0))).csv().splitlines()[1:]
    assert [row.split(",")[-1] for row in small] == ["0.25", "0.5", "0.75"]
