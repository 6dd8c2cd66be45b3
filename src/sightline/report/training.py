"""One self-contained HTML page of a watched training: each quantity over its steps. Runs no model, imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sightline.core.digits import number_of, significant
from sightline.core.files import write_file
from sightline.lab.dynamics import AttentionCourse, GateCourse, LossCurve, MatrixCourse, TrainingDynamics
from sightline.lab.panel_results import Band
from sightline.report.charts import ChartAxis
from sightline.report.drawing import Drawing
from sightline.report.frame import PageSection, render_page
from sightline.report.panel_figures import FLOOR, STATISTICS
from sightline.report.panel_lines import BandLine, known_line, lines
from sightline.report.text import visible

POINTS = 40  # of the training loss
DISTANCES = 8  # lines of the gradient
MOMENTS = 5  # looks whose gradient is shown by distance


SECTIONS = (
    PageSection("loss", "Loss", "How much the model had learned by each step."),
    PageSection(
        "attention",
        "Attention",
        "The weights of each query, on the same few validation items at every look: their entropy as a share of that "
        "of even weights over the keys in view (1 = even, 0 = all on one key), the largest weight, and the Frobenius "
        "norm of the softmax's Jacobian, diag(p) − p pᵀ. That is near 0 where weights are saturated: little gradient "
        "then passes to queries and keys. Lines: medians over queries and heads. Bands: quartiles. Low entropy says "
        "that attention is sharp, not that it is right.",
    ),
    PageSection(
        "gradients",
        "Gradient by distance",
        "The Frobenius norm of the derivative of the logits by the input vector k positions before the end: of a "
        "language model the logits after the last position, of a classifier those of the item, of an encoder–decoder "
        "those of the first target token, with k counted from the end of the source, of a forecaster the first step. "
        "Medians over items. It says what a small change of the input would do, not what the model uses.",
    ),
    PageSection(
        "gates",
        "Gates",
        "Shares of units whose gate is in the lowest 5 % (shut) or the highest 5 % (open) of its range, over positions "
        "and items. The slope of a sigmoid is less than a fifth of its largest there. An open forget gate keeps the "
        "state of the cell. A hidden state is a tanh, moved to the same range.",
    ),
    PageSection(
        "matrices",
        "Recurrent matrices",
        "The largest singular value and the spectral radius of the hidden-to-hidden weights of each gate. The gradient "
        "of a plain RNN over k steps is a product of k such matrices and slopes of tanh: it vanishes where all "
        "singular values are below 1. In gated units the state has a path of its own, and these values bound nothing.",
    ),
)


class LayerRow(NamedTuple):
    """The entropy of a layer in the table: at the first and the last look, and the step by which half of the change is
    done.
    """

    name: str
    first: float | None
    last: float | None
    half: int | None
    largest: float | None


def write_training(dynamics: TrainingDynamics, path: Path, numbers: Path | None = None) -> Path:
    """Write the page to the file `path`; `numbers` is the file of the dynamics, if there is one."""
    write_file(path, render_training(dynamics, numbers))
    return path


def render_training(dynamics: TrainingDynamics, numbers: Path | None = None) -> str:
    """The page as HTML."""
    figures = training_drawings(dynamics)
    return render_page(
        "training.html.j2",
        "dynamics.json" if numbers is None else numbers.name,
        dynamics,
        [drawing for part in figures.values() for drawing in part],
        source_file="" if numbers is None else numbers.name,
        findings=training_findings(dynamics),
        cautions_of=_cautions(dynamics),
        sections=[section for section in SECTIONS if section.key in figures],
        figures=figures,
        rows=layer_rows(dynamics),
        looks=number_of(len(dynamics.steps), "look"),
        cost=cost_text(dynamics),
    )


def training_drawings(dynamics: TrainingDynamics) -> dict[str, list[Drawing]]:
    """The figures of every part that was measured."""
    steps = [float(step) for step in dynamics.steps]
    losses = {"training": _thinned(dynamics.train), "validation": _line(dynamics.valid.steps, dynamics.valid.loss)}
    parts = {
        "loss": _over_steps("loss", "Loss", "loss", losses),
        "attention": _attention(dynamics.attention),
        "gradients": _gradients(dynamics, steps),
        "gates": _gates(dynamics.gates, steps),
        "matrices": _matrices(dynamics.matrices, steps),
    }
    return {part: drawings for part, drawings in parts.items() if drawings}


def _attention(courses: Sequence[AttentionCourse]) -> list[Drawing]:
    figures = []
    for part, words in STATISTICS.items():
        floor = FLOOR if part == "gradient" else -1.0
        rows = {one.name: known_line(getattr(one, part), floor) for one in courses}
        label = words.partition(",")[0].lower()
        figures += _over_steps(f"attention-{part}", words, label, rows, log_y=part == "gradient")
    return figures


def _gradients(dynamics: TrainingDynamics, steps: Sequence[float]) -> list[Drawing]:
    if not dynamics.distances:
        return []
    known = [place for place, _ in enumerate(dynamics.distances) if any(row[place] for row in dynamics.gradients)]
    chosen = [known[place] for place in _evenly(len(known), DISTANCES)]
    rows = {
        f"k = {dynamics.distances[place]}": _line(steps, [row[place] for row in dynamics.gradients], FLOOR)
        for place in chosen
    }
    figures = _over_steps("gradients", "Gradient of the logits by distance k", "norm of ∂ logits/∂x", rows, log_y=True)
    looks = {
        f"step {steps[look]:,.0f}": _line([k + 1 for k in dynamics.distances], dynamics.gradients[look], FLOOR)
        for look in _evenly(len(steps), MOMENTS)
    }
    shown = {name: line for name, line in looks.items() if line is not None}
    if shown:
        order = {name: place for place, name in enumerate(looks)}
        labels = "position from the end", "norm of ∂ logits/∂x"
        figures.append(lines("gradients-by-distance", "The same by distance, at some looks", labels, shown, order))
    return figures


def _evenly(count: int, most: int) -> list[int]:
    """At most `most` of `count` places, the first and the last included."""
    return sorted({round(at) for at in np.linspace(0, count - 1, min(most, count))})


def _gates(courses: Sequence[GateCourse], steps: Sequence[float]) -> list[Drawing]:
    shut = {f"{one.name}, {one.gate}": _line(steps, one.shut) for one in courses}
    opened = {f"{one.name}, {one.gate}": _line(steps, one.open) for one in courses}
    return [
        *_over_steps("gates-open", "Gates that are open (the highest 5 %)", "share of units", opened),
        *_over_steps("gates-shut", "Gates that are shut (the lowest 5 %)", "share of units", shut),
    ]


def _matrices(courses: Sequence[MatrixCourse], steps: Sequence[float]) -> list[Drawing]:
    largest = {f"{one.name}, {one.gate}": _line(steps, one.largest) for one in courses}
    radius = {f"{one.name}, {one.gate}": _line(steps, one.radius) for one in courses}
    return [
        *_over_steps("matrices-largest", "Largest singular value of recurrent weights", "singular value", largest),
        *_over_steps("matrices-radius", "Spectral radius of recurrent weights", "spectral radius", radius),
    ]


def _over_steps(
    name: str, title: str, label: str, rows: Mapping[str, BandLine | None], log_y: bool = False
) -> list[Drawing]:
    """A figure with a line for each row over steps, which a reader can also see evenly spaced."""
    shown = {row: line for row, line in rows.items() if line is not None}
    if not shown:
        return []
    order = {row: place for place, row in enumerate(rows)}
    drawing = lines(name, title, ("step", label), shown, order, log_y)
    assert drawing.chart is not None
    axes = [ChartAxis("x", "Step (logarithmic)", log=2), ChartAxis("x", "Step")]
    return [replace(drawing, chart=replace(drawing.chart, x=axes))]


def _line(x: Sequence[float] | Sequence[int], y: Sequence[float | None], floor: float = -np.inf) -> BandLine | None:
    values = list(y)
    return known_line(Band([float(place) for place in x], values, values, values), floor)


def _thinned(curve: LossCurve) -> BandLine | None:
    """The curve at places that grow by equal factors."""
    count = len(curve.steps)
    if not count:
        return None
    places = np.unique(np.geomspace(1, count, min(count, POINTS)).round().astype(int)) - 1
    return _line([curve.steps[place] for place in places], [curve.loss[place] for place in places])


def layer_rows(dynamics: TrainingDynamics) -> list[LayerRow]:
    """The course of every layer's entropy in numbers."""
    return [
        LayerRow(
            one.name,
            one.entropy.centre[0],
            one.entropy.centre[-1],
            half_step(dynamics.steps, one.entropy.centre),
            one.largest.centre[-1],
        )
        for one in dynamics.attention
    ]


def layer_cells(dynamics: TrainingDynamics) -> list[tuple[str, str, str, str, str]]:
    """`layer_rows` as text."""
    return [
        (visible(row.name), _three(row.first), _three(row.last), "—" if row.half is None else f"{row.half:,}",
         _three(row.largest))
        for row in layer_rows(dynamics)
    ]  # fmt: skip


def _three(value: float | None) -> str:
    return "—" if value is None else f"{value:.3f}"


def half_step(steps: Sequence[int], values: Sequence[float | None]) -> int | None:
    """The first look from which on at least half of the change from the first to the last value is done."""
    first, last = values[0], values[-1]
    if first is None or last is None or first == last:
        return None
    half = None
    for step, value in reversed(list(zip(steps, values, strict=True))):
        if value is None or (value - first) / (last - first) < 0.5:
            break
        half = step
    return half


def training_findings(dynamics: TrainingDynamics) -> list[str]:
    """The largest changes in sentences."""
    sentences = []
    changed = [row for row in layer_rows(dynamics) if row.first is not None and row.last is not None]
    if changed:
        row = max(changed, key=lambda row: abs((row.last or 0) - (row.first or 0)))
        first, last = row.first or 0.0, row.last or 0.0
        word = "fell" if last < first else "rose"
        by = f"; half of it by step {row.half:,} of {dynamics.steps[-1]:,}" if row.half else ""
        fallen = sum((one.last or 0) < (one.first or 0) for one in changed)
        all_of = f" It fell in {fallen} of {len(changed)} layers." if len(changed) > 1 else ""
        sentences.append(
            f"The entropy of attention changed most in {visible(row.name)}: it {word} from {first:.2f} to {last:.2f} "
            f"of that of even weights{by}.{all_of}"
        )
    sentences += _gate_sentence(dynamics) + _gradient_sentence(dynamics)
    return sentences or ["No layer of this model is watched: see its loss."]


def _gradient_sentence(dynamics: TrainingDynamics) -> list[str]:
    """How the gradient at the largest distance that most looks have compares with that at the end."""
    if not dynamics.gradients:
        return []
    first, last = dynamics.gradients[0], dynamics.gradients[-1]
    known = [place for place, k in enumerate(dynamics.distances) if k and first[place] is not None and last[place]]
    ends = first[0] or 0.0, last[0] or 0.0
    if not known or not all(ends):
        return []
    far = known[-1]
    before, after = (significant((row[far] or 0.0) / end, 2) for row, end in zip((first, last), ends))
    place = f"{dynamics.distances[far]} positions before the end"
    return [f"{place}, the gradient was {before} times that at the end at the first look, {after} times at the last."]


def _gate_sentence(dynamics: TrainingDynamics) -> list[str]:
    """Which gate opened or shut most."""
    ends = {
        (one.name, one.gate, word): (shares[0] or 0.0, shares[-1] or 0.0)
        for one in dynamics.gates
        for word, shares in (("open", one.open), ("shut", one.shut))
    }
    if not ends:
        return []
    (name, gate, word), (first, last) = max(ends.items(), key=lambda item: abs(item[1][1] - item[1][0]))
    units = f"{gate} gates" if gate != "hidden" else "hidden units"
    changed = f"{_percent(first)} were {word} at the first look and {_percent(last)} at the last"
    return [f"Of the {units} of {visible(name)}, {changed}: no other gates changed more."]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def cost_text(dynamics: TrainingDynamics) -> str:
    """The time of all looks beside that of the training: "2.1 s, 3.5 % of the 60 s of training"."""
    spent, whole = sum(dynamics.watch_s), dynamics.training_s
    share = 100 * spent / max(whole, 1e-9)
    return f"{significant(spent, 2)} s, {share:.1f} % of the {significant(whole, 3)} s of training"


def _cautions(dynamics: TrainingDynamics) -> list[str]:
    if not dynamics.left_out:
        return []
    paths = ", ".join(visible(path) for path in dynamics.left_out)
    return [f"Not read: {paths}. The weights of patterns of blocks and of logits with a soft cap are left out."]
