"""Memory of the past in a bottleneck panel: its figures, tables and sentences. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from sightline.core.digits import significant
from sightline.core.sourced import Place, sourced
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

    def question(self, point: RecallPoint, place: Place) -> str:
        """The question: "of 16 values"; place: of the point in the results."""
        size = sourced(str(self.of(point)), (*place, self.size))
        return f"of {size} values" if self.size == "items" else f"of one value in {size} positions"


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
    """A line of the table of losses on text; `place` is its place in the results, `added` that of its addition to the
    loss.
    """

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
        drawing = lines(f"recall-accuracy{ending}", title, labels, accuracy, order, log_y=False)
        width: Place = ("recall", results.recall.index(widest[0]), "d_model")
        figures.append(replace(drawing, title_places=[width]))
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
        *(sentence for task in _by_task(results.recall) for sentence in _recalled(task, results.recall)),
        *(_repeats_text(one, at) for at, one in enumerate(results.contexts)),
        *(gap_text(one, at) for at, one in enumerate(results.gaps)),
    ]


def _recalled(task: str, recall: Sequence[Recall]) -> list[str]:
    title = PLANTED[task].title
    widest = list({row.name: (at, row) for at, row in enumerate(recall) if row.task == task}.values())
    learned = [(at, row) for at, row in widest if row.learned]
    sentences = []
    if learned:
        at, first = learned[0]
        question = PLANTED[task].question(first.points[-1], ("recall", at, "points", -1))
        width = sourced(str(first.d_model), ("recall", at, "d_model"))
        ordered = sorted(learned, key=lambda placed: -(placed[1].points[-1].accuracy.mean or 0.0))
        shares = [f"{row.name} ({_answered(at, row)} %)" for at, row in ordered]
        sentences.append(
            f"{title}: {question}, models of width {width} recall after {_steps(at, first)} steps: {names_of(shares)}."
        )
        for at, row in learned:
            ceiling = row.points[-1].ceiling
            if ceiling < 0.995:
                seen = sourced(f"{100 * ceiling:.0f}", ("recall", at, "points", -1, "ceiling"))
                sentences.append(
                    f"{visible(row.name)} can see {seen} % of these answers at most, and gives {_answered(at, row)} %."
                )
    missed = [row.name for _, row in widest if not row.learned]
    if missed:
        sentences.append(
            f"{title}: not learned in {_steps(*widest[0])} steps, so that the numbers do not show what the state could "
            f"store: {names_of(missed)}."
        )
    return sentences


def _answered(at: int, row: Recall) -> str:
    """The percentage of right answers at the largest size."""
    share = row.points[-1].accuracy.mean or 0.0
    return sourced(f"{100 * share:.0f}", ("recall", at, "points", -1, "accuracy", "mean"))


def _steps(at: int, row: Recall) -> str:
    return sourced(str(row.steps), ("recall", at, "steps"))


def _repeats_text(one: ContextLoss, at: int) -> str:
    grams = {2: "bigrams", 3: "trigrams"}.get(one.n) or f"{sourced(str(one.n), ('contexts', at, 'n'))}-grams"
    losses = {
        kind.kind: sourced(f"{kind.loss.mean:.2f}", ("contexts", at, "classes", place, "loss", "mean"))
        for place, kind in enumerate(one.classes)
        if kind.loss.mean is not None
    }
    new, rest = losses.get("new repeat"), losses.get("rest")
    if new is None or rest is None:
        context = sourced(str(one.context), ("contexts", at, "context"))
        return f"{visible(one.name)}: no {grams} of the text repeat in a context of {context} positions."
    return (
        f"{visible(one.name)}: loss {new} {one.loss_unit} on {grams} that repeat an earlier one of the context and "
        f"are not in the training text, {rest} on tokens without a repeat."
    )


def gap_text(one: ContextGap, at: int) -> str:
    """The gap between two models, the one at that place of the results, and the share of repeats in it."""
    gap = _interval(one.gap, 3, ("gaps", at, "gap"))
    start = f"{visible(one.better)} has a lower loss than {visible(one.worse)} by {gap}"
    share = one.shares.get("new repeat")
    if share is None:
        return f"{start}; this does not differ from 0."
    part = _percent(share, ("gaps", at, "shares", "new repeat"))
    return f"{start}; repeats that are not in the training text have {part} % of this gap."


def _percent(estimate: Estimate, place: Place = ()) -> str:
    return _interval(Estimate(*(x and 100 * x for x in (estimate.mean, estimate.low, estimate.high))), 1, place)


def _interval(estimate: Estimate, digits: int, place: Place = ()) -> str:
    """The mean with its interval: "2.01 [1.98, 2.04]"; place: of the estimate in the results."""
    return "—" if estimate.mean is None else with_ends(estimate, lambda value: f"{value:.{digits}f}", place)
