"""Figures of forecasts: what they show, and colours that follow light and dark."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from sightline.core.errors import InputError
from sightline.report import forecasts
from sightline.report.forecasts import forecast_drawing, lines_of, save_forecasts, standalone


def record(
    times: list[str], *, series: tuple[str, ...] = ("",), columns: tuple[str, ...] = ("load",)
) -> dict[str, Any]:
    keys = [(one, column) for one in series for column in columns]
    half = len(times) // 2
    return {
        "source": "a.csv",
        "every": "1h",
        "seen": [
            {"time": time, "series": one, "column": column, "value": float(i)}
            for one, column in keys
            for i, time in enumerate(times[:half])
        ],
        "forecast": [
            {"time": time, "series": one, "column": column, "value": 5.0, "q0.05": 1.0, "q0.25": 3.0, "q0.5": 5.0,
             "q0.75": 6.0, "q0.95": 9.0}
            for one, column in keys
            for time in times[half:]
        ],
    }  # fmt: skip


HOURS = [f"2024-03-{d:02d} {h:02d}:00:00+01:00" for d in (30, 31) for h in range(24)]


def test_intervals_are_pairs_of_quantiles_the_widest_first() -> None:
    (line,) = lines_of(record(HOURS))
    assert [(round(share, 9), low[0], high[0]) for share, low, high in line.intervals] == [(0.9, 1, 9), (0.5, 3, 6)]
    assert line.dated
    assert line.at[0] - line.seen_at[-1] == pytest.approx(1 / 24)


@pytest.mark.parametrize(
    ("series", "columns", "labels"),
    [
        (("",), ("x", "y"), ["x", "y"]),
        (("a", "b"), ("v",), ["a", "b"]),
        (("a", "b"), ("x", "y"), ["a x", "a y", "b x", "b y"]),
    ],
)
def test_a_line_for_each_column_of_each_series(series: tuple[str, ...], columns: tuple[str, ...], labels: list) -> None:
    assert [line.label for line in lines_of(record(HOURS, series=series, columns=columns))] == labels


@pytest.mark.slow
@pytest.mark.parametrize("times", [HOURS, [str(i) for i in range(-3, 9)], [f"19{y}-01-01" for y in range(50, 60)]])
def test_the_svg_is_whole_and_has_no_fixed_colour(times: list[str]) -> None:
    (line,) = lines_of(record(times))
    svg = standalone(forecast_drawing(line, 1))
    root = ElementTree.fromstring(svg)
    style = next(element.text for element in root.iter() if element.tag.endswith("style"))
    assert style is not None
    assert "prefers-color-scheme:dark" in style
    light, dark = (set(re.findall(r"(--[a-z0-9]+):#", part)) for part in style.split("@media"))
    assert light == dark >= set(re.findall(r"var\((--[a-z0-9]+)\)", svg))
    assert not re.findall(r"#[0-9a-fA-F]{6}", svg.replace(style, ""))
    texts = {element.text for element in root.iter() if element.tag.endswith("}text")}
    assert {"observed", "forecast", "90 % interval", "50 % interval", "load"} <= texts


def test_files_are_written_and_a_hostile_name_stays_text(tmp_path: Path) -> None:
    made = save_forecasts([record(HOURS, columns=("<script>&", "$x^2$"))], tmp_path / "out")
    assert [path.name for path in made] == ["forecast-1.svg", "forecast-2.svg"]
    texts = [[e.text for e in ElementTree.fromstring(path.read_text()).iter()] for path in made]
    assert "<script>&" in texts[0]
    assert "$x^2$" in texts[1]


def test_what_is_not_drawn_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(forecasts, "standalone", lambda drawing: "<svg/>")
    names = tuple(f"s{number}" for number in range(21))
    assert len(save_forecasts([record(HOURS, series=names[:20])], tmp_path / "all")) == 20
    assert not caplog.records
    assert len(save_forecasts([record(HOURS, series=names)], tmp_path / "some")) == 20
    assert caplog.messages == [f"{tmp_path / 'some'}: the first 20 of 21 forecasts are drawn"]


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="exists and is not a directory"):
        save_forecasts([record(HOURS)], tmp_path / "out")


@pytest.mark.parametrize(
    ("times", "every", "dated"),
    [
        (["2024-01-30", "2024-01-31", "2024-02-01", "2024-02-02"], "1d", True),
        (["20240130", "20240131", "20240201", "20240202"], "1d", True),
        (["2023-W51", "2023-W52", "2024-W01", "2024-W02"], "7d", True),
        (["2023Q3", "2023Q4", "2024Q1", "2024Q2"], "1q", False),
        (["0.04", "0.08", "0.12", "0.16"], "0.04", False),
    ],
)
def test_times_are_evenly_spaced_in_whatever_form(times: list[str], every: str, dated: bool) -> None:
    (line,) = lines_of({**record(times), "every": every})
    assert line.dated == dated
    at = [*line.seen_at, *line.at]
    assert [b - a for a, b in pairwise(at)] == pytest.approx([at[1] - at[0]] * 3)
