"""The interactive charts of a comparison: learning curves, quality by length or position, differences, fronts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sightline.core.metrics import METRICS, Metric, defined
from sightline.lab.details import Curve
from sightline.lab.pareto import COSTS, Cost
from sightline.lab.results import Estimate, Pair, Results
from sightline.report.charts import ChartAxis, InteractiveChart
from sightline.report.drawing import axis_label
from sightline.report.estimates import ends
from sightline.report.recommendation import cost_label, written
from sightline.report.spent import seconds_of_step
from sightline.report.text import capitalised, quantity

SCALES = {"s": (1.0, "s"), "ms": (1.0, "ms"), "bytes": (1e6, "MB"), "": (1.0, "")}


def metric_axis(info: Metric, prefix: str = "", grid: bool = True) -> ChartAxis:
    """The axis of a metric; that of a bounded one includes zero, as in the pictures."""
    bounded = math.isfinite(info.limits[1] - info.limits[0])
    return ChartAxis(info.name, capitalised(axis_label(info, prefix)), log=10 * info.log_scale, zero=bounded, grid=grid)


def learning_chart(results: Results, unit: str, x_label: str, metric: str) -> InteractiveChart:
    """The validations of every run, over the chosen unit first."""
    valid = [(run, h) for run in results.runs for h in run.history if h.get("event") == "valid"]
    names = [metric, *(name for name in METRICS if name != metric and any(name in h for _, h in valid))]
    infos = [results.metric_named(name) for name in names]
    planned = bool(results.budget.steps) and unit == "steps"
    units = {"steps": "training steps", "tokens": f"{results.data.counted} trained on", "flops": "training FLOPs"}
    units["seconds"] = "training time (s)"
    fields = [name for name in units if all(name in h for _, h in valid)]
    x = [ChartAxis(name, capitalised(units[name])) for name in sorted(fields, key=lambda name: name != unit)]
    if planned:
        x = [ChartAxis("planned", capitalised(x_label)), *x]
    rows = []
    for run, record in valid:
        at = {name: record[name] for name in fields}
        if planned:
            at["planned"] = record["steps"] * (seconds_of_step(results, run.arch) or 1.0)
        where = [f"step {quantity(record.get('steps'))}", f"{record['seconds']:.0f} s"] if "seconds" in record else []
        scores = {info.name: record[info.name] for info in infos if defined(record.get(info.name))}
        rows.append(
            {
                "series": run.arch, "line": f"{run.arch} {run.seed}", **at,
                **{info.name: scores[info.name] * info.factor for info in infos if info.name in scores},
                "text": _lines(
                    f"{run.arch}, seed {run.seed}", ", ".join(where),
                    *(f"{info.label} {info.text(scores[info.name])}" for info in infos if info.name in scores),
                ),
            }
        )  # fmt: skip
    y = [metric_axis(info, "validation ") for info in infos]
    return InteractiveChart("lines", rows, _series(results), x, y)


def length_chart(results: Results, info: Metric, labels: Sequence[str]) -> InteractiveChart:
    """The metric of each architecture in each bin of lengths."""
    rows = [
        {
            "series": a.arch, "length": label, info.name: value * info.factor,
            "text": _lines(
                a.arch, f"{results.data.length_of}: {label}, {b.items} items", f"{info.label} {info.text(value)}"
            ),
        }
        for a in results.architectures
        for label, b, value in zip(labels, results.lengths, a.by_length)
        if defined(value)
    ]  # fmt: skip
    x = ChartAxis("length", capitalised(results.data.length_of), "names")
    return InteractiveChart("lines", rows, _series(results), [x], [metric_axis(info)])


def curve_chart(curves: Mapping[str, Curve], info: Metric, series: Sequence[str], log: bool) -> InteractiveChart:
    """The metric of each architecture along positions or steps."""
    rows = [
        {
            "series": arch, "at": at, info.name: value * info.factor,
            "text": _lines(arch, f"{curve.along} {at:,.12g}", f"{info.label} {info.text(value)}"),
        }
        for arch, curve in curves.items()
        for at, value in zip(curve.at, curve.values)
        if defined(value)
    ]  # fmt: skip
    x = ChartAxis("at", capitalised(next(iter(curves.values())).along), log=10 * log)
    return InteractiveChart("lines", rows, [*dict.fromkeys([*series, *curves])], [x], [metric_axis(info)])


def difference_chart(results: Results) -> InteractiveChart:
    """Every architecture minus one that the reader chooses, with intervals; shaded: the margin."""
    info, names = results.metric, [a.arch for a in results.ranked]
    both = {(p.first, p.second): p for p in results.pairs}
    rows = []
    for base in names:
        for other in names:
            pair, sign = (both[base, other], -1) if (base, other) in both else (both.get((other, base)), 1)
            if pair is not None and defined(pair.difference.mean):
                rows.append(_difference_row(info, pair, sign, base, other))
    bases = [name for name in names if any(row["group"] == name for row in rows)]
    unit = "points" if info.unit == "%" else info.unit
    title = f"Difference in {info.label}{f' ({unit})' if unit else ''}"
    margin = None if results.margin is None else results.margin * info.factor
    return InteractiveChart(
        "intervals", rows, _series(results), [ChartAxis("difference", title, zero=True, grid=True)],
        [ChartAxis("name", "", "names")], groups=bases, group_label="compared with",
        bands=[] if margin is None else [(-margin, margin)], rules=[0.0], height=40 + 40 * max(len(names) - 1, 1),
        legend=False,
    )  # fmt: skip


def _difference_row(info: Metric, pair: Pair, sign: int, base: str, other: str) -> dict[str, Any]:
    """The row of `other` minus `base`; sign: of the pair's difference."""
    difference = pair.difference if sign > 0 else pair.difference.turned()
    outcome = pair.outcome or ("better" if pair.shown else "not decided")
    note = outcome
    if outcome == "better":
        outcome, note = f"{pair.first} is better", "better" if pair.first == other else "worse"
    return {
        "note": note,
        "series": other, "group": base, "name": other, **ends("difference", difference, info.factor),
        "text": _lines(
            f"{other} minus {base}", difference_text(info, difference),
            f"p {'< 0.001' if pair.p_holm < 0.001 else f'= {pair.p_holm:.3f}'} after correction", outcome,
        ),
    }  # fmt: skip


def difference_text(info: Metric, difference: Estimate) -> str:
    """A difference with its interval and unit: "+1.2 points [0.3, 2.1]"."""
    sign = "+" if (difference.mean or 0.0) > 0 else ""
    unit = f" {info.unit_of_difference}"
    if difference.low is None or difference.high is None:
        return f"{sign}{info.number(difference.mean)}{unit}"
    return f"{sign}{info.number(difference.mean)}{unit} [{info.number(difference.low)}, {info.number(difference.high)}]"


def front_chart(results: Results, hollow: Mapping[str, bool]) -> InteractiveChart:
    """Any two of the metrics and costs of each architecture; `hollow` marks those on no front."""
    infos = [results.metric] + [
        results.metric_named(name)
        for name in dict.fromkeys(name for a in results.architectures for name in a.metrics)
        if name != results.primary_metric
    ]
    costs = [cost for cost in COSTS if any(cost.of(results, a) for a in results.architectures)]
    rows = []
    for a in results.architectures:
        row: dict[str, Any] = {"series": a.arch, "hollow": hollow.get(a.arch, False) or None}
        facts = [a.arch]
        for info in infos:
            if info.name in a.metrics and defined((estimate := a.metrics[info.name]).mean):
                row |= ends(info.name, estimate, info.factor)
                facts.append(f"{info.label} {info.text(estimate.mean)}")
        for cost in costs:
            if value := cost.of(results, a):
                row[cost.name] = value / SCALES[cost.unit][0]
                facts.append(f"{cost_label(results, cost)} {written(cost, value)}")
        rows.append(row | {"text": _lines(*facts)})
    axes = [replace(metric_axis(info), zero=False) for info in infos]
    ranges = [_cost_axis(results, cost, rows) for cost in costs]
    return InteractiveChart("points", rows, _series(results), [*ranges, *axes], [*axes, *ranges], height=340)


def _cost_axis(results: Results, cost: Cost, rows: Sequence[Mapping[str, Any]]) -> ChartAxis:
    values = [row[cost.name] for row in rows if cost.name in row]
    unit = SCALES[cost.unit][1]
    title = capitalised(cost_label(results, cost))
    wide = max(values) >= 3 * min(values) > 0
    return ChartAxis(cost.name, f"{title} ({unit})" if unit else title, log=10 * wide, grid=True)


def _series(results: Results) -> list[str]:
    return [a.arch for a in results.architectures]


def _lines(*facts: str) -> str:
    return "\n".join(fact for fact in facts if fact)
