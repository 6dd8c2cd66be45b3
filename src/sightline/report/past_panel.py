"""How trained runs use their past, in a bottleneck panel: losses along axes, and states. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sightline.core.digits import significant
from sightline.core.sourced import sourced
from sightline.lab.panel_results import Axis, LossAlong, PanelResults
from sightline.report.drawing import Drawing
from sightline.report.panel_lines import known_line, lines
from sightline.report.text import names_of, visible


class AxisWords(NamedTuple):
    """The words for a loss along an axis: the ending of a figure's name, its title, the labels of its axes."""

    ending: str
    title: str
    label: str
    quantity: str = "loss"


AXES: dict[Axis, AxisWords] = {
    "target position": AxisWords("target", "Loss by position of the target", "position of the target"),
    "source length": AxisWords("length", "Loss by length of the source", "positions of the source"),
    "step ahead": AxisWords("ahead", "Error by step of the horizon", "step ahead", "error"),
}


def past_drawings(results: PanelResults, order: Mapping[str, int]) -> list[Drawing]:
    """A figure for each axis and unit of a loss."""
    figures = []
    for axis, words in AXES.items():
        rows = [row for row in results.losses if row.along == axis]
        for place, unit in enumerate(dict.fromkeys(row.loss_unit for row in rows)):
            known = {row.name: known_line(row.loss) for row in rows if row.loss_unit == unit}
            shown = {name: line for name, line in known.items() if line is not None}
            if shown:
                name, labels = (
                    f"past-{words.ending}{f'-{place + 1}' * (place > 0)}",
                    (words.label, f"{words.quantity} ({unit})"),
                )
                log_x = axis == "target position"  # whose stretches double
                figures.append(lines(name, words.title, labels, shown, order, log_y=False, log_x=log_x))
    return figures


def past_findings(results: PanelResults) -> list[str]:
    """A sentence for each axis: the loss of each run at its beginning and at its end."""
    return [text for axis in AXES if (text := _text(axis, results.losses))]


def _text(axis: Axis, losses: Sequence[LossAlong]) -> str:
    each = []
    for place, row in enumerate(losses):
        known = [at for at, value in enumerate(row.loss.centre) if value is not None]
        if row.along == axis and len(known) > 1:
            (first, low), (last, high) = (
                (
                    sourced(f"{row.loss.at[at]:g}", ("losses", place, "loss", "at", at)),
                    sourced(significant(row.loss.centre[at] or 0.0, 3), ("losses", place, "loss", "centre", at)),
                )
                for at in (known[0], known[-1])
            )
            each.append(f"{visible(row.name)} from {low} (at {first}) to {high} {row.loss_unit} (at {last})")
    return f"{AXES[axis].title}, from the first to the last: {names_of(each)}." if each else ""


class StateRow(NamedTuple):
    """A line of the table of states; `place` is where it is in the results."""

    place: tuple[str | int, ...]
    name: str
    source: int
    target: int
    state_bytes: int


def state_rows(results: PanelResults) -> Sequence[StateRow]:
    """Every state, the name of its run once."""
    rows, before = [], None
    for place, one in enumerate(results.states):
        name = "" if one.name == before else one.name
        rows.append(StateRow(("states", place), name, one.source, one.target, one.state_bytes))
        before = one.name
    return rows
