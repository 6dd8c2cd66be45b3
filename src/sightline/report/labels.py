"""Figures of predicted labels: the confusion matrix and the reliability diagram."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from sightline.core.digits import number_of, significant, significant_apart
from sightline.lab.details import Confusion, Details, ReliabilityBin
from sightline.report.drawing import Drawing, Theme
from sightline.report.text import shortened, visible

MOST_CLASSES = 30  # shown in a confusion matrix
MOST_COUNTS = 12  # with more classes the cells have no room for counts
DARKEST = 0.6  # opacity of a cell, so that its count is readable in both themes
LONGEST_NAME = 18


def label_drawings(details: Details, part: str = "test items") -> list[Drawing]:
    """The confusion matrix and the reliability diagram of a classification, if available."""
    drawings = [] if details.confusion is None else [confusion_drawing(details.confusion, part)]
    return [*drawings, reliability_drawing(details.reliability, part)] if details.reliability else drawings


def confusion_drawing(confusion: Confusion, part: str = "test items") -> Drawing:
    """Rows are true labels, columns are predicted labels; darker cells have a larger fraction of their row."""
    counts = confusion.counts
    shown = _most_confused(counts)
    names = [shortened(visible(confusion.labels[i]), LONGEST_NAME) for i in shown]
    cells = [[counts[row][column] for column in shown] for row in shown]
    totals = [max(sum(counts[row]), 1) for row in shown]

    def draw(axes: Axes, theme: Theme, narrow: bool) -> None:
        size = (8.5 if len(shown) <= MOST_COUNTS else 6.0) - 1.5 * narrow
        for y, row in enumerate(cells):
            for x, count in enumerate(row):
                if count:
                    shade = DARKEST * math.sqrt(count / totals[y])
                    colour = theme.series[0 if x == y else 1]
                    axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=colour, alpha=shade, linewidth=0))
                if count and len(shown) <= MOST_COUNTS:
                    axes.text(x, y, f"{count:,}", ha="center", va="center", color=theme.ink, fontsize=size)
        axes.set_xlim(-0.5, len(shown) - 0.5)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_aspect("equal", anchor="N")
        turned = len(shown) > 6 or max(map(len, names)) > 6
        axes.set_xticks(range(len(shown)), names, rotation=90 if turned and max(map(len, names)) > 2 else 0)
        axes.set_yticks(range(len(shown)), names)
        axes.tick_params(length=0, labelsize=size)
        axes.set_xticks([x + 0.5 for x in range(len(shown) - 1)], minor=True)
        axes.set_yticks([y + 0.5 for y in range(len(shown) - 1)], minor=True)
        axes.grid(which="minor", color=theme.grid, linewidth=0.6)
        axes.tick_params(which="minor", length=0)
        axes.set_xlabel("predicted label")
        axes.set_ylabel("true label")

    right, total = sum(counts[i][i] for i in range(len(counts))), sum(map(sum, counts))
    title = f"Confusion matrix, {part}: {right:,} of {total:,} correct"
    if len(shown) < len(counts):
        title += f"; the {len(shown)} of {len(counts)} classes with the most errors"
    mistakes = "; ".join(_mistakes(confusion.labels, counts)) or "none"
    return Drawing(
        "confusion",
        title,
        visible(f"{title}. Most frequent errors: {mistakes}"),
        draw,
        min(max(2.6, 1.2 + 0.32 * len(names)), 6.4),
    )


def reliability_drawing(bins: list[ReliabilityBin], part: str = "test items") -> Drawing:
    """Fraction of correct predictions by confidence, in bins; a calibrated model is on the diagonal."""
    total = sum(one.count for one in bins)
    ece = sum(one.count * abs(one.accuracy - one.confidence) for one in bins) / max(total, 1)
    error, largest = significant(100 * ece, 3), max(one.count for one in bins)

    def draw(axes: Axes, theme: Theme, narrow: bool) -> None:
        axes.plot([0, 1], [0, 1], color=theme.muted, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
        for one in bins:
            height = one.accuracy
            place = (one.low, 0.0)
            width = one.high - one.low
            axes.add_patch(Rectangle(place, width, height, facecolor=theme.series[0], alpha=0.25, linewidth=0))
            confidence = one.confidence
            axes.vlines(confidence, min(height, confidence), max(height, confidence), theme.series[1], linewidth=2.2)
        axes.scatter(
            [one.confidence for one in bins], [one.accuracy for one in bins],
            s=[12 + 90 * one.count / largest for one in bins], color=theme.series[0], edgecolor=theme.paper,
            zorder=3,
        )  # fmt: skip
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        axes.set_aspect("equal", anchor="N")
        axes.set_xlabel(
            "confidence" if narrow else "confidence: probability of the prediction (larger dots: more predictions)"
        )
        axes.set_ylabel("fraction of correct predictions")
        axes.grid(color=theme.grid, linewidth=0.6)
        axes.annotate(
            f"calibration error {error} %", (0.03, 0.99), va="top", color=theme.ink, fontsize=9,
            bbox={"facecolor": theme.paper, "edgecolor": "none", "pad": 1.5},
        )  # fmt: skip

    title = f"Reliability, {part}: {number_of(total, 'prediction')}"
    worst = max(bins, key=lambda one: abs(one.accuracy - one.confidence) * one.count)
    correct, confidence = significant_apart([100 * worst.accuracy, 100 * worst.confidence], 2)
    summary = (
        f"expected calibration error {error} %; largest contribution: {correct} % correct at a confidence of "
        f"{confidence} %"
    )
    return Drawing("reliability", title, visible(f"{title}: {summary}"), draw, height=4.2)


def _most_confused(counts: list[list[int]]) -> list[int]:
    """The classes to show, in order: all, or those with the most errors."""
    errors = [sum(row) - row[i] + sum(other[i] for other in counts) - row[i] for i, row in enumerate(counts)]
    ranked = sorted(range(len(counts)), key=lambda i: (-errors[i], i))
    return sorted(ranked[:MOST_CLASSES])


def _mistakes(labels: list[str], counts: list[list[int]], most: int = 3) -> list[str]:
    errors = [
        (count, labels[row], labels[column])
        for row, of_row in enumerate(counts)
        for column, count in enumerate(of_row)
        if count and row != column
    ]
    errors.sort(key=lambda one: (-one[0], one[1:]))
    return [f"{true!r} predicted as {label!r} {number_of(count, 'time')}" for count, true, label in errors[:most]]
