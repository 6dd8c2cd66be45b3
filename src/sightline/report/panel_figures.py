"""The figures of a bottleneck panel, from its results alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from sightline.lab.panel_results import Band, PanelResults, Saturation
from sightline.report.drawing import Drawing
from sightline.report.panel_lines import BandLine, known_line, lines
from sightline.report.panel_text import TITLES
from sightline.report.past_panel import past_drawings
from sightline.report.reach_words import REACHED, SIDES, ReachWords
from sightline.report.recall_panel import recall_drawings

STATES = {
    "": "Gain from state to state, by distance",
    "encoder": "Gain from state to state in the encoder, by distance",
    "decoder": "Gain from state to state in the decoder, by distance",
}
FLOOR = 1e-9  # norms below it are not shown

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
        "recall": [*recall_drawings(results, order), *past_drawings(results, order)],
    }
    return {part: drawings for part, drawings in parts.items() if drawings}


def _known(rows: Mapping[str, BandLine | None]) -> dict[str, BandLine]:
    return {name: line for name, line in rows.items() if line is not None}


def _reach(results: PanelResults, order: Mapping[str, int]) -> list[Drawing]:
    figures = []
    order = {name: place for place, name in enumerate(dict.fromkeys([*order, *(r.name for r in results.reach)]))}
    for words in REACHED:
        rows = [r for r in results.reach if r.over in words.over]
        inputs = _known({r.name: known_line(_from_end(r.input, words), FLOOR) for r in rows})
        if inputs:
            name, labels = f"reach-input{words.ending}", (words.distance, words.norm)
            figures.append(lines(name, words.gradient, labels, inputs, order))
    for side, title in STATES.items():
        rows = [r for r in results.reach if r.state is not None and SIDES.get(r.over, "") == side]
        states = _known({r.name: known_line(r.state, FLOOR) for r in rows if r.state is not None})
        if states:
            name, label = f"reach-state{f'-{side}' * bool(side)}", "root mean square gain of ∂h(t)/∂h(t−k)"
            figures.append(lines(name, title, ("distance k", label), states, order))
    for words in REACHED:
        used = [r for r in results.reach if r.used is not None and r.over in words.over]
        for place, unit in enumerate(dict.fromkeys(r.loss_unit for r in used)):
            shown = _known({r.name: known_line(r.used) for r in used if r.used is not None and r.loss_unit == unit})
            name, labels = (
                f"reach-used{words.ending}{f'-{place + 1}' * (place > 0)}",
                (words.read, f"{words.quantity} ({unit})"),
            )
            figures.append(lines(name, words.cut, labels, shown, order, False))
    return figures


def _from_end(band: Band, words: ReachWords) -> Band:
    """Of a side with an end, positions counted from it, the last one 1; otherwise the band itself."""
    return replace(band, at=[at + 1 for at in band.at]) if words.from_end else band


def _serial(results: PanelResults, order: Mapping[str, int]) -> list[Drawing]:
    figures = []
    for along, phase in (("all", "forward"), ("all", "training"), ("source", "forward"), ("target", "forward")):
        rows = {
            c.name: _exact(c.lengths, [float(steps) for steps in c.operations])
            for c in results.serial
            if (c.along, c.phase) == (along, phase)
        }
        if rows:
            title = f"Longest chain of dependent operations of {TITLES[phase]}"
            name, label = f"serial-{phase}", "positions n"
            if along != "all":
                title, name = f"{title}, by {along} length alone", f"serial-{along}"
                label = f"positions of the {along}"
            figures.append(lines(name, title, (label, "operations"), rows, order))
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
