"""Memory of the past in a bottleneck panel: its figures, tables and sentences. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from sightline.core.digits import significant
from sightline.lab.panel_results import ContextGap, ContextLoss, PanelResults, Recall, RecallPoint
from sightline.lab.results import Estimate
from sightline.report.drawing import Drawing
from sightline.report.estimates import with_ends
from sightline.report.panel_lines import BandLine, known_line, lines
from sightline.report.text import names_of, visible

KINDS = {
    "new repeat": "repeats, not in the training text",
    "known repeat": "repeats, in the training text too",
    "rest": "no repeats",
}


class PlantedRecall(NamedTuple):
    """A planted task in words; `size` is the field of a point that tells the size of its rows, in `unit`."""

    title: str
    unit: str
    size: Literal["items", "length"] = "items"

    def of(self, point: RecallPoint) -> int:
        """The size of the rows."""
        return point.items if self.size == "items" else point.length

    def question(self, point: RecallPoint) -> str:
        """What is asked for: "of 16 values"."""
        return f"of {point.items} values" if self.size == "items" else f"of one value in {point.length} positions"


PLANTED = {
    "recall": PlantedRecall("Multi-query recall", "pairs"),
    "copy": PlantedRecall("Copy", "values"),
    "selective copy": PlantedRecall("Selective copy", "values"),
    "needle": PlantedRecall("Needle", "positions", "length"),
}


class RecallRow(NamedTuple):
    """A line of the table of planted tasks.

    of, place: the places of the model and the point in the results; size: in `unit`, from the point's field `size_of`
    """

    of: tuple[str | int, ...]
    place: tuple[str | int, ...]
    name: str
    task: str
    width: str
    size_of: str
    size: str
    unit: str
    state_bytes: int
    accuracy: str
    ceiling: str
    bits: str
    bits_per_byte: str
    loss: str


class TokenRow(NamedTuple):
    """A line of the table of losses on text; `place` is where it stands in the results, `added` what it adds there."""

    place: tuple[str | int, ...]
    added: tuple[str | int, ...]
    name: str
    kind: str
    share: str
    loss: str
    adds: str


def recall_drawings(results: PanelResults, order: Mapping[str, int]) -> list[Drawing]:
    """Accuracy by the size of each planted task, stored bits by bytes of state, and loss by position."""
    figures = []
    for task, rows in _by_task(results.recall).items():
        words, ending = PLANTED[task], "" if task == "recall" else f"-{task.replace(' ', '-')}"
        widest = list({row.name: row for row in rows}.values())  # widths ascend
        accuracy = {row.name: _accuracy(row) for row in widest}
        title = f"{words.title}: right answers by number of {words.unit}, width {widest[0].d_model}"
        labels = words.unit, "right answers (%)"
        figures.append(lines(f"recall-accuracy{ending}", title, labels, accuracy, order, log_y=False))
        stored = _stored(rows)
        if any(len(line.x) > 1 for line in stored.values()):  # several widths
            title = f"{words.title}: stored bits by bytes of state, at the number of {words.unit} with the most"
            labels = "bytes of state", "bits, at least"
            figures.append(lines(f"recall-bits{ending}", title, labels, stored, order, log_y=False))
    by_position = {row.name: line for row in results.contexts if (line := known_line(row.by_position)) is not None}
    if by_position:
        labels = "positions seen", f"loss ({results.contexts[0].loss_unit})"
        figures.append(lines("recall-position", "Loss by position", labels, by_position, order, log_y=False))
    return figures


def _by_task(rows: Sequence[Recall]) -> dict[str, list[Recall]]:
    return {task: [row for row in rows if row.task == task] for task in dict.fromkeys(row.task for row in rows)}


def _accuracy(row: Recall) -> BandLine:
    x = [float(PLANTED[row.task].of(point)) for point in row.points]
    ends = ("mean", "low", "high")
    return BandLine(x, *([100 * (getattr(point.accuracy, end) or 0.0) for point in row.points] for end in ends))


def _stored(rows: Sequence[Recall]) -> dict[str, BandLine]:
    """By mechanism the most stored bits of each width that learned the task."""
    stored: dict[str, BandLine] = {}
    for row in rows:
        point = row.fullest
        if row.learned and (point.bits.mean or 0) > 0:
            line = stored.setdefault(row.name, BandLine([], [], [], []))
            line.x.append(float(point.state_bytes))
            for values, bits in zip(line[1:], (point.bits.mean, point.bits.low, point.bits.high)):
                values.append(bits or 0.0)
    return stored


def bits_per_byte(results: PanelResults, name: str) -> str:
    """The most stored bits per byte of a mechanism, in brackets where no task was learned; empty: not measured."""
    rows = [row for row in results.recall if row.name == name]
    if not rows:
        return ""
    row = max(rows, key=lambda row: (row.learned, row.fullest.bits_per_byte))
    text = significant(row.fullest.bits_per_byte, 2)
    return text if row.learned else f"({text})"


def recall_rows(results: PanelResults) -> list[RecallRow]:
    """Every mechanism, width and size of every planted task."""
    return [
        RecallRow(
            ("recall", number),
            ("recall", number, "points", at),
            row.name if at == 0 else "",
            PLANTED[row.task].title,
            str(row.d_model),
            PLANTED[row.task].size,
            str(PLANTED[row.task].of(point)),
            PLANTED[row.task].unit,
            point.state_bytes,
            _percent(point.accuracy),
            f"{100 * point.ceiling:.1f}",
            f"{_interval(point.bits, 0)} of {point.entropy_bits:.0f}",
            significant(point.bits_per_byte, 2),
            f"{row.loss:.2f}",
        )
        for number, row in enumerate(results.recall)
        for at, point in enumerate(row.points)
    ]


def token_rows(results: PanelResults) -> list[TokenRow]:
    """The loss of each run on each kind of token."""
    rows = []
    for number, one in enumerate(results.contexts):
        place = "contexts", number
        total = sum(kind.tokens for kind in one.classes)
        rows.append(
            TokenRow(
                place,
                ("loss", "mean"),
                one.name,
                "all",
                "100.0 %",
                _interval(one.loss, 3),
                f"{one.loss.mean or 0.0:.3f}",
            )
        )
        rows += [
            TokenRow(
                (*place, "classes", at),
                ("adds",),
                "",
                KINDS[kind.kind],
                f"{100 * kind.tokens / max(total, 1):.1f} %",
                _interval(kind.loss, 3) if kind.tokens else "—",
                f"{kind.adds:.3f}",
            )
            for at, kind in enumerate(one.classes)
        ]
    return rows


def recall_findings(results: PanelResults) -> list[str]:
    """The main results, a sentence each."""
    return [
        *(sentence for task, rows in _by_task(results.recall).items() for sentence in _recalled(task, rows)),
        *map(_repeats_text, results.contexts),
        *map(gap_text, results.gaps),
    ]


def _recalled(task: str, rows: Sequence[Recall]) -> list[str]:
    title = PLANTED[task].title
    widest = list({row.name: row for row in rows}.values())
    learned = [row for row in widest if row.learned]
    sentences = []
    if learned:
        question = PLANTED[task].question(learned[0].points[-1])
        ordered = sorted(learned, key=lambda row: -(row.points[-1].accuracy.mean or 0.0))
        shares = [f"{row.name} ({100 * (row.points[-1].accuracy.mean or 0.0):.0f} %)" for row in ordered]
        sentences.append(
            f"{title}: {question}, models of width {learned[0].d_model} recall after {learned[0].steps} steps: "
            f"{names_of(shares)}."
        )
        limited = [row for row in learned if row.points[-1].ceiling < 0.995]
        for row in limited:
            point = row.points[-1]
            sentences.append(
                f"{visible(row.name)} can see {100 * point.ceiling:.0f} % of these answers at most, and gives "
                f"{100 * (point.accuracy.mean or 0.0):.0f} %."
            )
    missed = [row.name for row in widest if not row.learned]
    if missed:
        sentences.append(
            f"{title}: not learned in {widest[0].steps} steps, so that the numbers do not show what the state could "
            f"store: {names_of(missed)}."
        )
    return sentences


def _repeats_text(one: ContextLoss) -> str:
    grams = {2: "bigrams", 3: "trigrams"}.get(one.n, f"{one.n}-grams")
    losses = {kind.kind: kind.loss.mean for kind in one.classes}
    new, rest = losses.get("new repeat"), losses.get("rest")
    if new is None or rest is None:
        return f"{visible(one.name)}: no {grams} of the text repeat in a context of {one.context} positions."
    return (
        f"{visible(one.name)}: loss {new:.2f} {one.loss_unit} on {grams} that repeat an earlier one of the context and "
        f"are not in the training text, {rest:.2f} on tokens without a repeat."
    )


def gap_text(one: ContextGap) -> str:
    """The gap between two models, and the share of repeats in it."""
    start = f"{visible(one.better)} has a lower loss than {visible(one.worse)} by {_interval(one.gap, 3)}"
    share = one.shares.get("new repeat")
    if share is None:
        return f"{start}; this does not differ from 0."
    return f"{start}; repeats that are not in the training text have {_percent(share)} % of this gap."


def _percent(estimate: Estimate) -> str:
    return _interval(Estimate(*(x and 100 * x for x in (estimate.mean, estimate.low, estimate.high))), 1)


def _interval(estimate: Estimate, digits: int) -> str:
    """The mean with its interval: "2.01 [1.98, 2.04]"."""
    return "—" if estimate.mean is None else with_ends(estimate, lambda value: f"{value:.{digits}f}")
