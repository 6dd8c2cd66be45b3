"""The figures of a bottleneck panel, from its results alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sightline.lab.panel_results import Band, PanelResults, Phase, Saturation
from sightline.report.drawing import Drawing
from sightline.report.panel_lines import BandLine, known_line, lines
from sightline.report.recall_panel import recall_drawings

FLOOR = 1e-9  # norms below it are not shown
TITLES: dict[Phase, str] = {
    "forward": "a forward pass",
    "training": "a training step",
    "prefill": "prefill",
    "decode": "one step of decoding",
}


STATISTICS = {
    "entropy": "Entropy, share of that of uniform weights",
    "largest": "Largest weight",
    "gradient": "Norm of the softmax's Jacobian",
}


def panel_drawings(results: PanelResults) -> dict[str, list[Drawing]]:
    """The figures of every part that was measured."""
    order = {name: place for place, name in enumerate(results.names)}
    parts = {
        "reach": _reach(results, order),
        "serial": _serial(results, order),
        "growth": _growth(results, order),
        "saturation": _saturation(results),
        "recall": recall_drawings(results, order),
    }
    return {part: drawings for part, drawings in parts.items() if drawings}


def _known(rows: Mapping[str, BandLine | None]) -> dict[str, BandLine]:
    return {name: line for name, line in rows.items() if line is not None}


def _reach(results: PanelResults, order: Mapping[str, int]) -> list[Drawing]:
    figures = []
    order = {name: place for place, name in enumerate(dict.fromkeys([*order, *(r.name for r in results.reach)]))}
    inputs = _known({r.name: known_line(r.input, FLOOR) for r in results.reach})
    states = _known({r.name: known_line(r.state, FLOOR) for r in results.reach if r.state is not None})
    used = {r.name: known_line(r.used) for r in results.reach if r.used is not None}
    if inputs:
        title = "Gradient of the output by its input, by distance"
        figures.append(lines("reach-input", title, ("distance k", "norm of ∂y(t)/∂x(t−k)"), inputs, order))
    if states:
        title = "Gain from state to state, by distance"
        label = "root mean square gain of ∂h(t)/∂h(t−k)"
        figures.append(lines("reach-state", title, ("distance k", label), states, order))
    if used:
        unit = next(r.loss_unit for r in results.reach if r.used is not None)
        title = "Loss where only the last k positions are read"
        figures.append(lines("reach-used", title, ("positions read", f"loss ({unit})"), _known(used), order, False))
    return figures


def _serial(results: PanelResults, order: Mapping[str, int]) -> list[Drawing]:
    figures = []
    for phase in ("forward", "training"):
        rows = {
            c.name: _exact(c.lengths, [float(steps) for steps in c.operations])
            for c in results.serial
            if c.phase == phase
        }
        if rows:
            title = f"Longest chain of dependent operations of {TITLES[phase]}"
            figures.append(lines(f"serial-{phase}", title, ("positions n", "operations"), rows, order))
    return figures


def _growth(results: PanelResults, order: Mapping[str, int]) -> list[Drawing]:
    figures = []
    for phase, words in TITLES.items():
        costs = [c for c in results.growth if c.phase == phase]
        if not costs:
            continue
        times = {c.name: _spread(c.lengths, c.seconds) for c in costs}
        figures.append(lines(f"time-{phase}", f"Time of {words}", ("positions n", "milliseconds"), times, order))
        if phase in ("training", "decode"):
            what = "Peak memory of a training step" if phase == "training" else "State after n positions"
            peaks = {c.name: _exact(c.lengths, [b / 1e3 for b in c.peak_bytes]) for c in costs if min(c.peak_bytes)}
            figures.append(lines(f"memory-{phase}", what, ("positions n", "kB"), peaks, order))
    return figures


def _saturation(results: PanelResults) -> list[Drawing]:
    figures = []
    for axis in ("d_k", "layer"):
        rows = [s for s in results.saturation if s.along == axis]
        order = {s.name: place for place, s in enumerate(rows)}
        for field, words in STATISTICS.items():
            log_y = field == "gradient"
            shown = _known({s.name: known_line(_field(s, field), FLOOR if log_y else -1.0) for s in rows})
            if shown:
                labels = axis, words.partition(",")[0]
                name, title = f"saturation-{axis}-{field}", f"{words}, by {axis}"
                figures.append(lines(name, title, labels, shown, order, log_y, axis != "layer"))
    return figures


def _field(row: Saturation, name: str) -> Band:
    return {"entropy": row.entropy, "largest": row.largest, "gradient": row.gradient}[name]


def _exact(lengths: Sequence[int], values: Sequence[float]) -> BandLine:
    x, y = [float(n) for n in lengths], list(values)
    return BandLine(x, y, y, y)


def _spread(lengths: Sequence[int], rounds: Sequence[Sequence[float]]) -> BandLine:
    """Medians and quartiles in milliseconds."""
    low, middle, high = (1e3 * np.array([np.quantile(r, (0.25, 0.5, 0.75)) for r in rounds])).T
    return BandLine([float(n) for n in lengths], middle.tolist(), low.tolist(), high.tolist())
