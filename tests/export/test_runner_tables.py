"""The runner of exported forecasters reads of a table what the model itself would; a stub replaces ONNX Runtime."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import sightline.export

RUNNER = Path(sightline.export.__file__).parent / "onnx_runner.py"
FACTS = {
    "form": "forecaster",
    "graphs": {"forecaster": {"file": "forecaster.onnx"}},
    "forecast": {
        "targets": ["x", "y"],
        "series": ["a", "b"],
        "series_column": "id",
        "missing": [-99.0],
        "center": [[0.0, 0.0], [200.0, 200.0]],
        "spread": [[1.0, 1.0], [4.0, 4.0]],
        "scale": "standard",
        "lookback": 3,
        "horizon": 2,
        "levels": [],
        "past": {"columns": [], "center": [], "spread": []},
        "known": {"columns": ["day"], "center": [0.0], "spread": [1.0]},
    },
}


class Session:
    """A graph that forecasts the last values of the look-back, plus the covariate of each step in x."""

    def __init__(self, *_arguments: Any, **_options: Any) -> None:
        self.seen: dict[str, np.ndarray] = {}

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name="values"), SimpleNamespace(name="known")]

    def get_outputs(self) -> list[Any]:
        return [SimpleNamespace(name="forecast")]

    def run(self, _names: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        self.seen = inputs
        last = np.repeat(inputs["values"][:, -1:], 2, 1)  # (1, H, C)
        last[..., 0] += inputs["known"][:, -2:, 0]
        return [last[..., None]]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    stub: Any = ModuleType("onnxruntime")
    stub.InferenceSession, stub.SessionOptions = Session, SimpleNamespace
    monkeypatch.setitem(sys.modules, "onnxruntime", stub)
    spec: Any = importlib.util.spec_from_file_location("exported_runner", RUNNER)
    runner: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(runner)
    (tmp_path / "export.json").write_text(json.dumps(FACTS))
    return runner.ExportedModel(tmp_path)


def table(tmp_path: Path, rows: list[str], head: str = "time,id,x,y,day") -> Path:
    path = tmp_path / "table.csv"
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def series(name: str, level: int, steps: int = 5, future: int = 2) -> list[str]:
    seen = [f"{t},{name},{level + t},{level - t},{t}" for t in range(steps)]
    return seen + [f"{t},{name},,,{t}" for t in range(steps, steps + future)]


def test_of_a_table_of_several_series_the_rows_of_one_are_read(tmp_path: Path, model: Any) -> None:
    path = table(tmp_path, [*series("a", 0), *series("b", 200)])
    assert model.forecast(path, "a") == [["step", "x", "y"], [1, 4 + 5, -4], [2, 4 + 6, -4]]
    b = model.forecast(path, "b")  # in units of its own spread, 4
    assert b == [["step", "x", "y"], [1, 204 + 20, 196], [2, 204 + 24, 196]]
    assert model.graphs["forecaster"].seen["values"][0, :, 0].tolist() == [0.5, 0.75, 1.0]
    with pytest.raises(SystemExit, match=r"choose a series: run\.py table\.csv NAME, one of a, b"):
        model.forecast(path)
    assert model.forecast(table(tmp_path, series("b", 200))) == b  # of one series its name says the scale


def test_a_hole_far_back_does_not_move_the_end(tmp_path: Path, model: Any) -> None:
    """The steps that are read are the last ones before the future, wherever cells are empty before."""
    rows = series("a", 0, steps=8)
    for hole in ("", "NaN", "-99"):
        rows[1] = f"1,a,{hole},{hole},1"
        assert model.forecast(table(tmp_path, rows), "a")[1:] == [[1, 7 + 8, -7], [2, 7 + 9, -7]]


@pytest.mark.parametrize("cells", ["", "-99", "null"])
def test_a_hole_in_what_is_read_is_refused(tmp_path: Path, model: Any, cells: str) -> None:
    rows = series("a", 0)
    rows[3] = f"3,a,{cells},0,3"
    with pytest.raises(SystemExit, match=r"table\.csv: x, y: the steps 3 to 5 need a number each"):
        model.forecast(table(tmp_path, rows), "a")


def test_too_few_steps_of_a_known_covariate_are_refused(tmp_path: Path, model: Any) -> None:
    with pytest.raises(SystemExit, match=r"table\.csv: day: the steps 3 to 7 need a number each"):
        model.forecast(table(tmp_path, series("a", 0, future=1)), "a")


def test_other_separators_and_a_byte_order_mark(tmp_path: Path, model: Any) -> None:
    rows = [f"{t},{t},{t},a" for t in range(5)] + [f",,{t},a" for t in (5, 6)]
    assert model.forecast(table(tmp_path, rows, head="\ufeffx,y,day,id"))[1:] == [[1, 4 + 5, 4], [2, 4 + 6, 4]]
    with pytest.raises(SystemExit, match="no rows with a column 'x', separated by commas"):
        model.forecast(table(tmp_path, ["1;a;2;3;4"], head="time;id;x;y;day"))
