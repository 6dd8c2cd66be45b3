"""The interactive charts of a ladder: differences from rung to rung, and what each rung reaches and costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sightline.core.metrics import Metric, defined
from sightline.lab.ladder_results import LadderResults, RungResult
from sightline.report.charts import ChartAxis, InteractiveChart
from sightline.report.comparison_charts import metric_axis
from sightline.report.estimates import ends
from sightline.report.ladder_text import difference_text, effect_text, outcome_text, quality_text
from sightline.report.text import quantity, size

NAMES = ChartAxis("name", "", "names")
ROW = 36  # pixels for each rung


def difference_chart(
    results: LadderResults, verdicts: Sequence[str], looks: Sequence[tuple[int, int]]
) -> InteractiveChart:
    """Each rung's difference from the one that it is compared with, by the verdict on its reason."""
    metric = results.metric
    direction = "right is better" if metric.higher_is_better else "lower is better, to the right"
    title = f"Difference from the rung before ({metric.unit_of_difference}); {direction}"
    reverse = not metric.higher_is_better
    axis = ChartAxis("difference", title, zero=True, grid=True, reverse=reverse)
    rows = [
        {
            "series": rung.verdict or verdicts[-1], "line": rung.name, "name": rung.title, "note": rung.verdict,
            **ends("difference", rung.difference, metric.factor), "text": _difference_facts(results, rung),
        }
        for rung in results.rungs
        if rung.difference is not None and defined(rung.difference.mean)
    ]  # fmt: skip
    margin = None if results.margin is None else results.margin * metric.factor
    return InteractiveChart(
        "intervals", rows, verdicts, [axis], [NAMES], bands=[] if margin is None else [(-margin, margin)], rules=[0.0],
        looks=looks, height=60 + ROW * len(rows),
    )  # fmt: skip


def _difference_facts(results: LadderResults, rung: RungResult) -> str:
    over = results.find(rung.over)
    facts = [
        f"{rung.title}, against {over.title}",
        f"{difference_text(results, rung)} {results.metric.unit_of_difference}: {outcome_text(results, rung)}",
        f"{quality_text(results, over)} → {quality_text(results, rung)}",
        effect_text(rung),
        f"its reason: {rung.verdict}" if rung.verdict else "",
    ]
    return "\n".join(fact for fact in facts if fact)


def cost_chart(results: LadderResults) -> InteractiveChart:
    """The quality of each rung, or one of its costs, which the reader chooses."""
    metric, data = results.metric, results.data
    costs = {
        "train_s": "Training (s)",
        "steps": "Training steps",
        "speed": f"{data.speed_unit} per second".capitalize(),
        "parameters": "Parameters",
        "state_bytes": "State (bytes)",
    }
    rows = [_cost_row(results, rung, metric, costs) for rung in results.rungs]
    axes = [
        ChartAxis(field, title, zero=not _wide(rows, field), log=10 * _wide(rows, field), grid=True)
        for field, title in costs.items()
        if any(defined(row[field]) for row in rows)
    ]
    return InteractiveChart(
        "intervals", rows, [metric.label], [metric_axis(metric), *axes], [NAMES], height=60 + ROW * len(rows)
    )


def _cost_row(results: LadderResults, rung: RungResult, metric: Metric, costs: dict[str, str]) -> dict[str, Any]:
    facts = {
        "train_s": f"{quantity(rung.train_s)} s of training",
        "steps": f"{quantity(rung.steps)} steps",
        "speed": f"{quantity(rung.speed)} {results.data.speed_unit} per second",
        "parameters": f"{quantity(rung.parameters)} parameters",
        "state_bytes": f"{size(rung.state_bytes)} of state",
    }
    values = {field: getattr(rung, field) for field in costs}
    known = [facts[name] for name, value in values.items() if defined(value)]
    lines = [rung.title, quality_text(results, rung), *known]
    quality = ends(metric.name, rung.quality, metric.factor)
    return {
        "series": metric.label, "line": rung.name, "name": rung.title, **quality, **values, "text": "\n".join(lines),
    }  # fmt: skip


def _wide(rows: Sequence[dict[str, Any]], field: str) -> bool:
    """Whether the values of a cost, all above 0, span so much that a logarithmic axis tells them apart better."""
    values = [row[field] for row in rows if defined(row[field])]
    return bool(values) and max(values) >= 10 * min(values) > 0
