"""The rows of interactive charts, and the script that draws them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib.resources import files
from math import inf, nan

import pytest

from sightline.report.charts import ChartAxis, InteractiveChart
from sightline.report.comparison_charts import difference_chart, front_chart, learning_chart
from sightline.report.page import vega_script
from tests.report.synthetic import LEVELS, make_results

AXIS = ChartAxis("x", "x")


def embedded(rows, **more):
    chart = InteractiveChart("lines", rows, ["a"], [AXIS], [AXIS], **more)
    return chart.embedded("about")


def test_a_chart_s_text_cannot_end_its_element():
    text = embedded([{"series": "a", "x": 1.0, "text": "</script><!-- & \u202e"}])
    assert not re.search("[<>&\u202e]", text)
    assert json.loads(text)["rows"][0]["text"] == "</script><!-- & ⟨U+202E⟩"


def test_unknown_values_are_left_out_and_numbers_are_short():
    text = embedded([{"series": "a", "x": 0.123456789, "y": nan, "z": inf, "w": None, "text": ""}])
    assert json.loads(text)["rows"] == [{"series": "a", "x": 0.123457, "text": "", "line": "a"}]


def test_the_learning_chart_has_every_validation_with_all_axes():
    results = make_results()
    chart = learning_chart(results, "tokens", "target tokens trained on", "exact_match")
    assert [axis.field for axis in chart.x] == ["tokens", "steps", "flops", "seconds"]
    assert [axis.field for axis in chart.y] == ["exact_match", "loss"]
    assert len(chart.rows) == sum(len(run.history) for run in results.runs)
    run = results.runs[2]  # lstm, seed 0
    row = next(row for row in chart.rows if row["line"] == "lstm 0" and row["steps"] == 40)
    assert row["exact_match"] == pytest.approx(100 * run.history[0]["exact_match"])
    assert row["text"].split("\n")[:2] == ["lstm, seed 0", "step 40, 3 s"]
    assert row["text"].split("\n")[2] == f"exact match {100 * run.history[0]['exact_match']:.1f} %"


def test_differences_change_sign_with_what_they_are_compared_to():
    chart = difference_chart(replace(make_results(), margin=0.01))
    rows = {(row["group"], row["series"]): row for row in chart.rows}
    assert len(rows) == len(LEVELS) * (len(LEVELS) - 1)
    assert chart.bands == [(-1.0, 1.0)]
    for base, other in rows:
        one, turned = rows[base, other], rows[other, base]
        assert one["difference"] == pytest.approx(100 * (LEVELS[other] - LEVELS[base]))
        assert one["difference_low"] == pytest.approx(-turned["difference_high"])
    assert rows["bahdanau", "gru"]["note"] == "worse"
    assert rows["gru", "bahdanau"]["note"] == "better"
    assert rows["lstm", "bahdanau"]["note"] == "not decided"


def test_the_fronts_chart_has_every_metric_and_cost_with_the_texts_of_the_tables():
    chart = front_chart(make_results(), {"rnn": True})
    assert [axis.field for axis in chart.y[:3]] == ["exact_match", "chrf", "perplexity"]
    assert {"train_s", "ms", "state_bytes", "parameters"} <= {axis.field for axis in chart.x}
    row = next(row for row in chart.rows if row["series"] == "rnn")
    assert (row["hollow"], row["ms"]) == (True, 0.21)
    assert row["peak_memory_bytes"] == 612
    assert "peak memory of training 612 MB" in row["text"]


def test_the_bundle_is_of_the_pinned_packages_and_has_their_licences():
    bundle = files("sightline.report").joinpath("bundle")
    pins = json.loads(bundle.joinpath("package.json").read_text())["dependencies"]
    locked = json.loads(bundle.joinpath("package-lock.json").read_text())["packages"]
    versions = ", ".join(f"{name} {version}" for name, version in pins.items())
    assert vega_script().startswith(f"/* {versions}; ")
    assert all(locked[f"node_modules/{name}"]["version"] == version for name, version in pins.items())
    assert all("integrity" in one for name, one in locked.items() if name)
    licences = bundle.joinpath("LICENSES.txt").read_text()
    assert f"vega-lite {pins['vega-lite']} (BSD-3-Clause)" in licences
    assert "Redistribution and use in source and binary forms" in licences
