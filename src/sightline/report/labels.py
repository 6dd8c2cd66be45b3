"""The figures of predicted labels: which are taken for which, and how far their probabilities can be trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from sightline.report.figures import Drawing, Theme
from sightline.report.text import visible

MOST_CLASSES = 30  # that a confusion matrix shows
MOST_COUNTS = 12  # classes up to which a cell has room for its number
DARKEST = 0.6  # of a cell, so that its number can be read in either theme
LONGEST_NAME = 18


def label_drawings(details: Mapping[str, Any], part: str = "test items") -> list[Drawing]:
    """The figures for `Measured.details` of a classification: `confusion` and `reliability`, where they are there."""
    made = []
    if "confusion" in details:
        made.append(confusion_drawing(details["confusion"], part))
    if details.get("reliability"):
        made.append(reliability_drawing(details["reliability"], part))
    return made


def confusion_drawing(confusion: Mapping[str, Any], part: str = "test items") -> Drawing:
    """Rows are true labels and columns predicted ones; a cell is the darker the larger its share of the row is."""
    counts: list[list[int]] = confusion["counts"]
    shown = _most_confused(counts)
    names = [_short(confusion["labels"][i]) for i in shown]
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
    title = f"Confusion matrix: {right:,} of {total:,} right, {part}"
    if len(shown) < len(counts):
        title += f"; the {len(shown)} of {len(counts)} classes with most errors"
    said = "; ".join(_mistakes(confusion["labels"], counts)) or "no mistake"
    return Drawing("confusion", title, visible(f"{title}. Most frequent mistakes: {said}"), draw, height=_height(names))


def reliability_drawing(bins: list[Mapping[str, float]], part: str = "test items") -> Drawing:
    """Share of right predictions over their confidence, by bins of confidence: on the diagonal they can be trusted."""
    total = sum(one["count"] for one in bins)
    ece = sum(one["count"] * abs(one["accuracy"] - one["confidence"]) for one in bins) / max(total, 1)
    largest = max(one["count"] for one in bins)

    def draw(axes: Axes, theme: Theme, narrow: bool) -> None:
        axes.plot([0, 1], [0, 1], color=theme.muted, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
        for one in bins:
            height = one["accuracy"]
            place = (one["low"], 0.0)
            width = one["high"] - one["low"]
            axes.add_patch(Rectangle(place, width, height, facecolor=theme.series[0], alpha=0.25, linewidth=0))
            sure = one["confidence"]
            axes.vlines(sure, min(height, sure), max(height, sure), theme.series[1], linewidth=2.2)
        axes.scatter(
            [one["confidence"] for one in bins], [one["accuracy"] for one in bins],
            s=[12 + 90 * one["count"] / largest for one in bins], color=theme.series[0], edgecolor=theme.paper,
            zorder=3,
        )  # fmt: skip
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        axes.set_aspect("equal", anchor="N")
        axes.set_xlabel(
            "confidence" if narrow else "confidence: probability of the prediction (larger dots: more predictions)"
        )
        axes.set_ylabel("share of right predictions")
        axes.grid(color=theme.grid, linewidth=0.6)
        axes.annotate(
            f"calibration error {100 * ece:.1f} %", (0.03, 0.99), va="top", color=theme.ink, fontsize=9,
            bbox={"facecolor": theme.paper, "edgecolor": "none", "pad": 1.5},
        )  # fmt: skip

    title = f"Reliability of {total:,} predictions, {part}"
    worst = max(bins, key=lambda one: abs(one["accuracy"] - one["confidence"]) * one["count"])
    said = (
        f"expected calibration error {100 * ece:.1f} %; furthest off by number: {100 * worst['accuracy']:.0f} % right "
        f"at a confidence of {100 * worst['confidence']:.0f} %"
    )
    return Drawing("reliability", title, visible(f"{title}: {said}"), draw, height=4.2)


def _most_confused(counts: list[list[int]]) -> list[int]:
    """The classes to show, in order: all, or those with most errors."""
    errors = [sum(row) - row[i] + sum(other[i] for other in counts) - row[i] for i, row in enumerate(counts)]
    ranked = sorted(range(len(counts)), key=lambda i: (-errors[i], i))
    return sorted(ranked[:MOST_CLASSES])


def _mistakes(labels: list[str], counts: list[list[int]], most: int = 3) -> list[str]:
    found = [
        (count, labels[row], labels[column])
        for row, of_row in enumerate(counts)
        for column, count in enumerate(of_row)
        if count and row != column
    ]
    found.sort(key=lambda one: (-one[0], one[1:]))
    return [f"{true!r} taken for {said!r} {count:,} times" for count, true, said in found[:most]]


def _short(name: str) -> str:
    text = visible(name)
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "…"


def _height(names: list[str]) -> float:
    return min(max(2.6, 1.2 + 0.32 * len(names)), 6.4)
