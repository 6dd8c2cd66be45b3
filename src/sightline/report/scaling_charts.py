"""The interactive charts of a ladder of sizes: the loss over size with its laws, and by position in the context."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sightline.core.digits import significant
from sightline.core.metrics import Metric
from sightline.lab.results import Estimate
from sightline.lab.scaling_results import Along, ArchitectureLaw, HeldOut, ScaleResults, SizePoint
from sightline.report.charts import ChartAxis, InteractiveChart
from sightline.report.drawing import axis_label
from sightline.report.estimates import ends, score_of
from sightline.report.text import capitalised, short

PREDICTED_AT = 1.05  # the measured size over that at which its prediction is drawn
AXES: dict[Along, str] = {"parameters": "parameters", "flops": "FLOPs of one training"}


def place_of(point: SizePoint, along: Along) -> float:
    """Where a size lies along an axis."""
    return float(point.parameters if along == "parameters" else point.flops or point.flops_per_token)


def law_chart(results: ScaleResults, along: Along) -> InteractiveChart:
    """The measured losses with their intervals, the laws with their bands, and what they predicted."""
    info = results.info
    rows: list[dict[str, Any]] = []
    for arch in results.archs:
        own = [point for point in results.points if point.arch == arch]
        rows += [_measured(point, along, info) for point in own if point.loss is not None]
        if along == "parameters":
            rows += [_predicted(check, info) for check in results.held_out if check.arch == arch]
        law = results.law(arch, along)
        if law is not None and law.band is not None:
            last = max((place_of(point, along) for point in own if not point.held_out), default=0.0)
            rows += _law(law, last, info)
    x = ChartAxis("x", capitalised(AXES[along]), log=10, grid=True)
    y = ChartAxis("y", capitalised(axis_label(info, "test ")), log=10, grid=True)
    return InteractiveChart("lines", rows, results.archs, [x], [y], height=400)


def _measured(point: SizePoint, along: Along, info: Metric) -> dict[str, Any]:
    assert point.loss is not None
    x = place_of(point, along)
    facts = [
        f"{point.arch}, measured" + ", held out" * point.held_out,
        f"{short(x)} {AXES[along]}",
        f"{info.label} {score_of(info, point.loss)}",
    ]
    row = {"series": point.arch, "line": point.arch, "part": "point", "hollow": point.held_out or None, "x": x}
    return row | ends("y", point.loss, info.factor) | {"text": "\n".join(facts)}


def _predicted(check: HeldOut, info: Metric) -> dict[str, Any]:
    facts = [
        f"{check.arch}, predicted from the smaller sizes",
        f"{short(check.parameters)} parameters",
        f"{info.label} {score_of(info, check.predicted)}",
        "not decided" if check.holds is None else "the law holds" if check.holds else "the law does not hold",
    ]
    x = check.parameters / PREDICTED_AT
    row = {"series": check.arch, "line": f"{check.arch}, predicted", "part": "interval", "x": x}
    return row | ends("y", check.predicted, info.factor) | {"text": "\n".join(facts)}


def _law(law: ArchitectureLaw, last: float, info: Metric) -> Iterator[dict[str, Any]]:
    """The places on the law, and once more from the last fitted size on, where it is dotted."""
    assert law.band is not None
    band = zip(law.band.at, law.band.centre, law.band.low, law.band.high, strict=True)
    places = [(x, Estimate(y, low, high)) for x, y, low, high in band if y is not None]
    joint = max((x for x, _ in places if x <= last * 1.0001), default=0.0)
    for x, loss in places:
        facts = [f"{law.arch}, its law", f"{short(x)} {AXES[law.along]}", f"{info.label} {score_of(info, loss)}"]
        row = {"series": law.arch, "part": "line", "x": x, **ends("y", loss, info.factor), "text": "\n".join(facts)}
        if x <= joint:
            yield row | {"line": f"{law.arch}, law"}
        if x >= joint:
            yield row | {"line": f"{law.arch}, law beyond", "dotted": True}


def position_chart(results: ScaleResults, chosen: Mapping[str, SizePoint]) -> InteractiveChart:
    """The loss by position in the context of the sizes with these names; of each architecture the first is dotted."""
    unit, rows = results.data.loss_unit, []
    for number, (name, point) in enumerate(chosen.items()):
        assert point.by_position is not None
        for x, y in zip(point.by_position.at, point.by_position.values, strict=True):
            if y is not None:
                text = f"{name}\nposition {x:,.12g}\nloss {significant(y, 4)} {unit}"
                row = {"series": point.arch, "line": name, "part": "line", "dotted": number % 2 == 0 or None}
                rows.append(row | {"x": x, "y": y, "text": text})
    axes = ChartAxis("x", "Position in the context", log=2), ChartAxis("y", f"Test loss ({unit})", grid=True)
    return InteractiveChart("lines", rows, results.archs, [axes[0]], [axes[1]], height=340)
