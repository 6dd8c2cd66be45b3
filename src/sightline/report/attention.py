"""Attention maps as PNG and SVG files; the page shows them as HTML tables instead.

An architecture that has not learnt an example has no map in the files, and a folded one on the page.
"""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from rapidfuzz import fuzz

from sightline.lab.map_results import ArchitectureMaps, AttentionExample, AttentionMap
from sightline.lab.results import Results
from sightline.report.drawing import LIGHT, save_both
from sightline.report.picture_fonts import every_script
from sightline.report.text import piece, shortened, visible

CELL = 0.17  # inches
CHARACTER = 0.08  # inches per character of a label at 8 points
LONGEST = 24  # characters of a label; longer labels would leave no room for the map
MOST_ROWS = 48  # of a map; an output that does not end has hundreds
LEARNT = 50.0  # similarity, of 100, of an output to its reference from which its maps are shown


def learnt(maps: ArchitectureMaps, reference: str) -> bool:
    """Whether the output resembles the reference, so that its maps can mean something."""
    return fuzz.ratio(maps.prediction, reference) >= LEARNT


def save_attention(results: Results, directory: Path) -> list[Path]:
    """Write `attention-<n>.png` and `.svg` for each example, with every architecture's attention to the source."""
    paths = []
    for number, example in enumerate(results.attention, 1):
        if panels := _panels(example):
            with every_script(f"attention-{number}"):
                paths += save_both(_draw(example, panels), directory / f"attention-{number}")
    return paths


def _panels(example: AttentionExample) -> list[tuple[ArchitectureMaps, AttentionMap]]:
    """The maps over the source of the architectures that have learned the example."""
    shown = [one for one in example.architectures if learnt(one, example.reference)]
    return [(one, each) for one in shown for each in one.maps if each.over == "source"]


def _draw(example: AttentionExample, panels: list[tuple[ArchitectureMaps, AttentionMap]]) -> Figure:
    """One panel for each map, side by side."""
    rows = max(min(len(one.output), MOST_ROWS) for one, _ in panels)
    columns = len(example.pieces)
    top_margin = CHARACTER * max(len(_label(text)) for text in example.pieces)
    left_margin = CHARACTER * max(len(_label(text)) for one, _ in panels for text in one.output[:MOST_ROWS])
    size = (len(panels) * (CELL * columns + left_margin + 0.6), CELL * rows + top_margin + 0.8)
    figure = Figure(figsize=size, layout="constrained")
    for axes, (one, each) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _panel(axes, each, example.pieces, one.output[:MOST_ROWS])
        names = [one.arch] if each.name == "attention" else [one.arch, each.name]
        name = ", ".join(shortened(visible(text), LONGEST) for text in names)
        axes.set_title(name, loc="left", fontsize=9, color=LIGHT.ink)
    return figure


def _panel(axes: Axes, attention: AttentionMap, pieces: list[str], output: list[str]) -> None:
    shades = LinearSegmentedColormap.from_list("attention", [LIGHT.paper, "#0054a0"])
    axes.imshow(attention.weights[: len(output)], cmap=shades, vmin=0, vmax=1, interpolation="nearest")
    turned = any(len(text) > 2 for text in pieces)
    axes.set_xticks(range(len(pieces)), [_label(text) for text in pieces], rotation=90 if turned else 0, fontsize=8)
    axes.set_yticks(range(len(output)), [_label(text).replace("⏎", "end") for text in output], fontsize=8)
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelcolor=LIGHT.ink)
    for spine in axes.spines.values():
        spine.set(visible=True, color=LIGHT.grid)


def _label(text: str) -> str:
    return shortened(piece(text), LONGEST)
