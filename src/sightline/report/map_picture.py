"""Influence maps as one picture, PNG or SVG, for papers and slides: each map as a matrix, or over a picture itself.

Several heads are shown as their mean. The time of a sound or a series has its spectrogram or its curve above it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from sightline.core.errors import InputError
from sightline.inspect.influence_map import InfluenceMap, Inspection
from sightline.report.drawing import LIGHT, save
from sightline.report.inspection import label
from sightline.report.picture_fonts import every_script
from sightline.report.text import shortened, visible

KINDS = (".png", ".svg")
MOST_MAPS = 24
WIDEST = 13.0  # inches of the picture, unless one map is wider
CELL, LARGEST = 0.21, 9.0  # inches of a cell, and of a side of a matrix, in which more cells are smaller
LETTERS, STEP = 8.0, 0.14  # points of a label, and inches from one to the next
LONGEST = 24  # characters of a label
GAP, EDGE = 0.35, 0.15  # inches between panels, and around all
ABOVE = 0.9  # inches of a spectrogram or a curve over a matrix
PICTURE, MOST_PICTURES = 1.5, 12  # inches of a picture, and how many rows of a map are shown over one
BAR = (1.6, 0.08)  # inches of the key of colours
SKIPPED = "#d9d9d4"
FOR, AGAINST, SHADE = to_rgb("#0054a0"), to_rgb("#b3411e"), 0.8  # over a picture: the colours, and the most opacity
UP = LinearSegmentedColormap.from_list("up", ["#ffffff", "#bfd9ee", "#64a5d6", "#1864aa", "#03275c"])
BOTH = LinearSegmentedColormap.from_list(
    "both",
    ["#640c10", "#ba3726", "#e78a6c", "#f8d0be", "#ffffff", "#bfd9ee", "#64a5d6", "#1864aa", "#03275c"],
)
METHODS = {
    "softmax": "Attention weights",
    "value_weighted": "Value-weighted attention",
    "rollout": "Attention rollout",
    "implicit": "Implicit attention",
    "jacobian": "Jacobian norm",
    "effect": "Causal effect",
    "relevance": "Relevance",
    "integrated_gradients": "Integrated gradients",
    "gradient": "Gradient",
}
SIDES = {"output": "output", "source": "input"}


class MapPanel(NamedTuple):
    """A part of the picture: its size in inches, and what draws it with its upper left corner at a place."""

    width: float
    height: float
    draw: Callable[[Figure, float, float], None]


def save_maps(inspections: Sequence[Inspection], path: Path) -> Path:
    """Write the maps of inspections to the file `path`, as PNG or SVG by its ending; of many the first ones.

    Raises:
        InputError: "a picture's name ends in .png or .svg, found map.jpg"; "no map to draw".
    """
    check_picture(path)
    maps = [(one, each) for one in inspections for each in one.maps]
    if not maps:
        raise InputError("no map to draw")
    with every_script("maps"):
        named = len(inspections) > 1
        panels = [panel for one, each in maps[:MOST_MAPS] for panel in _panels(one, each, named=named)]
        if len(maps) > MOST_MAPS:
            panels.append(_note(f"the first {MOST_MAPS} of {len(maps)} maps; choose by methods"))
        save(_arranged(panels), path)
    return path


def check_picture(path: Path, where: str | None = None) -> None:
    """Raise `InputError` where a picture cannot have this name."""
    if path.suffix not in KINDS:
        raise InputError(f"a picture's name ends in {' or '.join(KINDS)}, found {path.name}", where=where)


def _note(text: str) -> MapPanel:
    return MapPanel(_width(text) * 1.3, 0.25, lambda figure, x, y: _write_title(figure, x, y, [text]))


def _arranged(panels: Sequence[MapPanel]) -> Figure:
    """The panels in lines, each as wide as `WIDEST`, from the left."""
    widest = max(WIDEST, *(panel.width for panel in panels))
    lines: list[list[MapPanel]] = [[]]
    for panel in panels:
        used = sum(one.width + GAP for one in lines[-1])
        if lines[-1] and used + panel.width > widest:
            lines.append([])
        lines[-1].append(panel)
    width = max(sum(one.width + GAP for one in line) - GAP for line in lines) + 2 * EDGE
    height = sum(max(one.height for one in line) + GAP for line in lines) - GAP + 2 * EDGE
    figure, y = Figure(figsize=(width, height)), EDGE
    for line in lines:
        x = EDGE
        for panel in line:
            panel.draw(figure, x, y)
            x += panel.width + GAP
        y += max(one.height for one in line) + GAP
    return figure


def _panels(of: Inspection, one: InfluenceMap, *, named: bool) -> list[MapPanel]:
    """The panels of a map: over the picture where its columns are of one, and a matrix of all other positions."""
    title = _title(of, one, named=named)
    weights = one.weights.astype(float).mean(0)
    spans = of.input.spans
    if of.input.pixels is None or one.columns != "source" or one.rows == "source":
        return [_matrix(of, one, weights, title, range(weights.shape[1]), float(np.abs(weights).max()))]
    count = of.input.grid[0] * of.input.grid[1]
    first = weights.shape[1] - count
    patches = [span[0] if span[1] > span[0] else -1 for span in spans] or [i - first for i in range(len(weights[0]))]
    beside = [column for column, patch in enumerate(patches) if patch < 0]
    over = np.zeros((len(weights), count))
    for column, patch in enumerate(patches):
        if patch >= 0:
            over[:, patch] = weights[:, column]
    largest = float(np.abs(weights).max())
    panels = [_pictures(of, over, largest, title, signed=one.signed)]
    if beside:
        panels.append(_matrix(of, one, weights[:, beside], [*title[:-1], "beside the picture"], beside, largest))
    return panels


def _title(of: Inspection, one: InfluenceMap, *, named: bool) -> list[str]:
    over = f"{SIDES[one.rows]} over " + ("itself" if one.rows == one.columns else SIDES[one.columns])
    layer = f"layer {one.layer + 1}" if one.layer >= 0 else "whole model" if one.name == "model" else "all layers"
    heads = f", mean of {len(one.weights)} heads" if len(one.weights) > 1 else ""
    name = [shortened(visible(of.model.name or of.model.architecture), 40)] if named else []
    return [*name, METHODS.get(one.method, one.method), f"{over}, {layer}{heads}"]


def _labels(of: Inspection, one: InfluenceMap) -> tuple[list[str], list[str]]:
    """Those of rows and of columns."""
    output, read = of.output.pieces, of.output.read
    rows = of.input.pieces if one.rows == "source" else output
    columns = of.input.pieces if one.columns == "source" else read if one.rows == "output" and read else output
    return [shortened(label(text), LONGEST) for text in rows], [shortened(label(text), LONGEST) for text in columns]


def _matrix(
    of: Inspection, one: InfluenceMap, weights: np.ndarray, title: Sequence[str], chosen: Sequence[int], largest: float
) -> MapPanel:
    """The weights (rows, columns) of the chosen columns, with labels, a key of colours, and the drawing above them."""
    rows, all_columns = _labels(of, one)
    columns = [all_columns[column] for column in chosen]
    timed = one.columns == "source" and (of.input.spectrogram is not None or of.input.values is not None)
    cell = [min(CELL, LARGEST / max(1, count)) for count in weights.shape]
    high, wide = cell[0] * len(rows), max(cell[1] * len(columns), 3.0 if timed else CELL)
    turned = any(len(text) > 2 for text in columns)
    left = max(map(_width, rows)) + 0.12
    top = 0.25 if timed else (max(map(_width, columns)) if turned else 0.17) + 0.1
    above = ABOVE if timed else 0.0
    head = 0.2 * len(title) + 0.05
    width = max(left + wide, max(map(_width, title)) * 1.3, BAR[0] + left)
    height = head + above + top + high + 0.55

    def draw(figure: Figure, x: float, y: float) -> None:
        _write_title(figure, x, y, title)
        if timed:
            _context(of, _axes(figure, x + left, y + head, wide, above))
        axes = _axes(figure, x + left, y + head + above + top, wide, high)
        norm, colours = _scale(largest, signed=one.signed)
        shown = np.ma.masked_array(weights, np.ma.nomask if one.skipped is None else one.skipped[:, chosen])
        ends = (0.0, float(len(columns)), float(len(rows)), 0.0)
        axes.imshow(shown, cmap=colours, norm=norm, aspect="auto", extent=ends)
        _tick(axes.set_yticks, rows, cell[0])
        if timed:
            axes.set_xticks([])
        else:
            _tick(axes.set_xticks, columns, wide / len(columns), rotation=90 if turned else 0)
        axes.xaxis.tick_top()
        axes.tick_params(length=0, labelsize=LETTERS, labelcolor=LIGHT.ink, pad=2)
        _key(figure, x + left, y + height - 0.35, norm, colours, skipped=one.skipped is not None)

    return MapPanel(width, height, draw)


def _pictures(of: Inspection, weights: np.ndarray, largest: float, title: Sequence[str], *, signed: bool) -> MapPanel:
    """The picture for each of the first rows, with its patches shaded by the weights (rows, patches)."""
    pixels = of.input.pixels
    assert pixels is not None
    rows = [shortened(label(text), LONGEST) for text in of.output.pieces[:MOST_PICTURES]]
    if len(rows) < len(weights):
        title = [*title, f"the first {len(rows)} of {len(weights)} outputs"]
    across = min(len(rows), 6)
    tall = PICTURE * min(pixels.shape[0] / pixels.shape[1], 2.0)
    step = (PICTURE + 0.15, tall + 0.35)
    head, lines = 0.2 * len(title) + 0.05, -(-len(rows) // across)
    width = max(across * step[0], max(map(_width, title)) * 1.3, BAR[0])

    def draw(figure: Figure, x: float, y: float) -> None:
        _write_title(figure, x, y, title)
        for row, text in enumerate(rows):
            place = (x + row % across * step[0], y + head + 0.22 + row // across * step[1])
            axes = _axes(figure, *place, PICTURE, tall)
            axes.imshow(pixels if pixels.shape[2] == 3 else pixels[..., 0], cmap="gray", vmin=0, vmax=255)
            shades = np.where((weights[row] < 0)[:, None], (*AGAINST, 0.0), (*FOR, 0.0))  # (patches, RGBA)
            shades[:, 3] = SHADE * np.abs(weights[row]) / (largest or 1.0)
            ends = axes.get_xlim() + axes.get_ylim()
            axes.imshow(shades.reshape(*of.input.grid, 4), extent=ends, interpolation="nearest", aspect="auto")
            axes.set(xticks=[], yticks=[])
            axes.set_title(text, fontsize=LETTERS, color=LIGHT.ink, pad=3)
        norm, _ = _scale(largest, signed=signed)
        paper = (1.0, 1.0, 1.0)
        ends = [[SHADE * part + 1.0 - SHADE for part in colour] for colour in (AGAINST, FOR)]
        colours = LinearSegmentedColormap.from_list("shade", [ends[0], paper, ends[1]] if signed else [paper, ends[1]])
        _key(figure, x, y + head + lines * step[1] + 0.2, norm, colours, skipped=False)

    return MapPanel(width, head + lines * step[1] + 0.6, draw)


def _context(of: Inspection, axes: Axes) -> None:
    """The spectrogram of a sound, or the curves of a series, over the columns of a matrix."""
    item = of.input
    spans = [span for span in item.spans if span[1] > span[0]]
    ends = (spans[0][0], spans[-1][1]) if spans else (0, len(item.pieces))
    if item.spectrogram is not None:
        axes.imshow(item.spectrogram, origin="lower", aspect="auto", cmap="gray_r")
        axes.set_yticks([])
        if item.frame_s is not None:
            axes.set_xlim(ends[0] - 0.5, ends[1] - 0.5)
            seconds = np.arange(0, ends[1] * item.frame_s, _round(ends[1] * item.frame_s / 5))
            axes.set_xticks(seconds / item.frame_s - 0.5, [f"{second:.3g} s" for second in seconds])
    elif item.values is not None:
        for channel, colour in zip(item.values.T, LIGHT.series):
            spread = np.nanmax(channel) - np.nanmin(channel)
            axes.plot(
                np.arange(len(channel)) + 0.5, (channel - np.nanmin(channel)) / (spread or 1.0), color=colour, lw=1
            )
        axes.set_xlim(*ends)
        axes.set_yticks([])
    axes.xaxis.tick_bottom()
    axes.tick_params(length=2, labelsize=LETTERS - 1, labelcolor=LIGHT.muted, color=LIGHT.muted, pad=1)


def _round(step: float) -> float:
    """1, 2 or 5 times a power of ten, from `step` on."""
    power = 10.0 ** np.floor(np.log10(max(step, 1e-9)))
    return float(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * 0.999))


def _scale(largest: float, *, signed: bool) -> tuple[Normalize, Colormap]:
    top = largest or 1.0
    return Normalize(-top if signed else 0.0, top), (BOTH if signed else UP).with_extremes(bad=SKIPPED)


def _axes(figure: Figure, x: float, y: float, width: float, height: float) -> Axes:
    """Axes at a place in inches from the upper left corner."""
    wide, high = figure.get_size_inches()
    axes = figure.add_axes((x / wide, 1 - (y + height) / high, width / wide, height / high))
    for spine in axes.spines.values():
        spine.set(visible=True, color=LIGHT.grid)
    return axes


def _write_title(figure: Figure, x: float, y: float, lines: Sequence[str]) -> None:
    wide, high = figure.get_size_inches()
    for number, line in enumerate(lines):
        last = number == len(lines) - 1
        figure.text(
            x / wide, 1 - (y + 0.2 * number) / high, line, va="top", fontsize=8.5 if last else 9.5,
            color=LIGHT.muted if last else LIGHT.ink, fontweight="normal" if last else "bold",
        )  # fmt: skip


def _tick(put: Callable[..., object], labels: Sequence[str], cell: float, **how: object) -> None:
    """Labels in the middle of cells, as many as there is room for."""
    step = max(1, int(np.ceil(STEP / cell - 0.01)))
    places = range(0, len(labels), step)
    put([place + 0.5 for place in places], [labels[place] for place in places], **how)


def _key(figure: Figure, x: float, y: float, norm: Normalize, colours: Colormap, *, skipped: bool) -> None:
    """The key of colours, with the numbers at its ends."""
    low, high = float(norm.vmin or 0.0), float(norm.vmax or 1.0)
    axes = _axes(figure, x, y, *BAR)
    axes.imshow(np.linspace(low, high, 128)[None], cmap=colours, norm=norm, aspect="auto", extent=(low, high, 0, 1))
    axes.set_yticks([])
    middle = 0.0 if low else high / 2
    axes.set_xticks([low, middle, high], [f"{value:.3g}".replace("-", "−") for value in (low, middle, high)])
    axes.tick_params(length=0, labelsize=LETTERS - 1, labelcolor=LIGHT.muted, pad=2)
    if skipped:
        swatch = _axes(figure, x + BAR[0] + 0.25, y, 0.15, BAR[1])
        swatch.set(facecolor=SKIPPED, xticks=[], yticks=[])
        swatch.text(1.3, 0.5, "skipped", transform=swatch.transAxes, va="center", fontsize=LETTERS - 1,
                    color=LIGHT.muted)  # fmt: skip


@cache
def _width(text: str) -> float:
    """Inches of a label."""
    return _renderer().get_text_width_height_descent(text or " ", FontProperties(size=LETTERS), ismath=False)[0] / 72


@cache
def _renderer() -> RendererAgg:
    return FigureCanvasAgg(Figure(dpi=72)).get_renderer()
