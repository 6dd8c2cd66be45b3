"""Interactive charts of a page: rows, and what their fields mean. Vega-Lite draws them (templates/charts.js).

A chart goes with a static drawing of the same content, which is shown without JavaScript and in print:
`Drawing(..., chart=InteractiveChart(...))`, and in the template `{{ drawn(drawing) }}`. Colours, marks and dashes of a
series are those of the static figures, by its place in `series`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, final

from sightline.report.text import visible

DIGITS = 6  # of coordinates; texts have the digits of the tables


@final
@dataclass(frozen=True)
class ChartAxis:
    """An axis: the field of the rows that it shows, and how.

    kind: "numbers", or "names" in the order of the rows
    log: the base of a logarithmic axis; values up to zero are left out. 0 = linear
    zero: whether the axis includes zero
    reverse: whether it runs from right to left
    labels: names of the whole numbers from 0 on, instead of numbers; give the domain with them
    domain: the ends of the axis, where they are not those of the rows
    """

    field: str
    title: str
    kind: Literal["numbers", "names"] = "numbers"
    log: int = 0
    zero: bool = False
    grid: bool = False
    reverse: bool = False
    labels: Sequence[str] = ()
    domain: tuple[float, float] | None = None


@final
@dataclass(frozen=True)
class InteractiveChart:
    """An interactive chart.

    rows: each has `series`, a value for the field of every axis (a row without one is not shown there), and `text`:
        what is known of the point, a line for each fact, in the formats of the tables. It may have `<field>_low` and
        `<field>_high`, the ends of an interval; `line`, where a series has several lines; `group`; `hollow`; of
        intervals `note`, which is written beside them; and of lines `dotted`, and `part`, where a row is only a place
        on the "line", a "point" of its own, or an "interval" without a point
    series: names in the order of their colours
    looks: the colour and the mark of each series, where they are not those of its place; a colour below 0 is that of
        notes
    x, y: the axes that a reader can choose from, the first one shown
    groups: values of the rows' `group` of which one is shown at a time; group_label: what they are
    bands, rules: stretches and places on the axis that intervals lie along; rule_labels: what horizontal rules are
    """

    kind: Literal["lines", "points", "intervals"]
    rows: Sequence[Mapping[str, Any]]
    series: Sequence[str]
    x: Sequence[ChartAxis]
    y: Sequence[ChartAxis]
    groups: Sequence[str] = ()
    group_label: str = ""
    bands: Sequence[tuple[float, float]] = ()
    rules: Sequence[float] = ()
    rule_labels: Sequence[str] = ()
    looks: Sequence[tuple[int, int]] = ()
    height: int = 300
    legend: bool = True

    def embedded(self, description: str) -> str:
        """The chart as JSON for a script element: no text in it can end the element or begin a comment."""
        plain = asdict(self) | {"rows": [_plain(row) for row in self.rows], "description": description}
        plain["series"] = [visible(name) for name in self.series]
        plain["rule_labels"] = [visible(label) for label in self.rule_labels]
        text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row without unknown values, in short numbers, with its line named."""
    kept = {name: _short(value) for name, value in row.items() if _known(value)}
    return {**kept, "line": visible(str(row.get("line", row["series"])))}


def _known(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return "\n".join(visible(line) for line in value.split("\n"))
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
