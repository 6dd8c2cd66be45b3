"""Parts of all figures: colours, marks, labels, and the drawing itself, for a page and as files.

In a page, colours are CSS variables, so that figures follow the light or dark theme, and text stays text; each figure
has a wide and a narrow version. The PNG and SVG files next to the page use the light colours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, final
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from sightline.core.metrics import Metric
from sightline.core.sourced import Place
from sightline.lab.results import Estimate
from sightline.report.charts import InteractiveChart
from sightline.report.text import visible

SVG = "http://www.w3.org/2000/svg"
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.5)), (0, (6, 1.5, 1.5, 1.5)), "-", "-", "-", "-")


@final
@dataclass(frozen=True)
class Theme:
    """Colours of a figure; `series` are distinguishable with colour blindness and also differ in marker and dash."""

    ink: str
    muted: str
    grid: str
    paper: str
    series: tuple[str, ...]


LIGHT = Theme(
    ink="#1b1f24",
    muted="#5d6570",
    grid="#dfe3e8",
    paper="#ffffff",
    series=("#0072b2", "#d55e00", "#007a5a", "#a4378f", "#8f6a00", "#2f86b5", "#4a4f57", "#b3123a"),
)
# Placeholders that become CSS variables in the SVG of the page.
PAGE = Theme(
    ink="#010101", muted="#010102", grid="#010103", paper="#010104", series=tuple(f"#0102{i:02x}" for i in range(8))
)
VARIABLES = {
    PAGE.ink: "var(--ink)",
    PAGE.muted: "var(--muted)",
    PAGE.grid: "var(--grid)",
    PAGE.paper: "var(--paper)",
    **{colour: f"var(--s{i})" for i, colour in enumerate(PAGE.series)},
}

STYLE = {
    "font.size": 9.0,
    "font.family": ["DejaVu Sans"],
    "svg.fonttype": "none",  # text stays text
    "text.parse_math": False,  # a $ in a name is a $
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
}


@final
@dataclass(frozen=True)
class Drawing:
    """One figure: the name of its files, a title, a description in words, and a drawing function.

    height: in inches, of each part
    chart: the interactive chart that a page shows in its place
    parts: functions that draw further parts beside the first, for lines that are too many for one
    title_places: the places in the results of the numbers that the title has
    """

    name: str
    title: str
    description: str
    draw: Callable[[Axes, Theme, bool], None]
    height: float = 3.4
    chart: InteractiveChart | None = None
    parts: Sequence[Callable[[Axes, Theme, bool], None]] = ()
    title_places: Sequence[Place] = ()

    def page_svg(self) -> tuple[str, str]:
        """The SVG elements for wide and narrow pages."""
        return self._inline(7.6, narrow=False), self.narrow_svg()

    def narrow_svg(self) -> str:
        """The SVG element for narrow pages, or for two figures side by side."""
        return self._inline(3.7, narrow=True)

    def save(self, directory: Path, kinds: Sequence[str] = ("png", "svg")) -> list[Path]:
        """Write `<name>.png` and `<name>.svg`, or one of them."""
        with self._figure(7.6, LIGHT, narrow=False, title=True) as figure:
            paths = [directory / f"{self.name}.{kind}" for kind in kinds]
            for path in paths:
                save(figure, path)
            return paths

    def _inline(self, width: float, *, narrow: bool) -> str:
        buffer = BytesIO()
        with self._figure(width, PAGE, narrow=narrow, title=False) as figure:
            figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
        return page_svg(buffer.getvalue(), self.description)

    @contextmanager
    def _figure(self, width: float, theme: Theme, *, narrow: bool, title: bool) -> Iterator[Figure]:
        salt = f"{self.name}-{width}"  # ids differ between the figures of a page but not between runs
        with mpl.rc_context({**STYLE, "svg.hashsalt": salt}):
            draws = [self.draw, *self.parts]
            columns = 1 if narrow or len(draws) == 1 else 2
            rows = -(-len(draws) // columns)
            figure = Figure(figsize=(width, self.height * rows), layout="constrained")
            for place, draw in enumerate(draws, 1):
                axes = figure.add_subplot(rows, columns, place)
                dress(axes, theme)
                draw(axes, theme, narrow or columns > 1)
            if title:
                figure.axes[0].set_title(self.title, loc="left", fontsize=10, color=theme.ink)
            lay_out(figure)
            figure.set_layout_engine(None)  # saving would compute it again, and draw everything twice for it
            yield figure


def lay_out(figure: Figure) -> None:
    """Compute the places of all axes; nothing is drawn."""
    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG or SVG, by the suffix of `path`; the bytes depend on no clock and no version."""
    metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
    figure.savefig(path, dpi=200, facecolor=LIGHT.paper, metadata=metadata)


def save_both(figure: Figure, stem: Path) -> list[Path]:
    """Write a figure as PNG and SVG; return the paths."""
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "svg")]
    for path in paths:
        save(figure, path)
    return paths


def page_svg(svg: bytes, description: str) -> str:
    """Convert an SVG of matplotlib to an element of the page: page colours, and no style attributes, which the content
    security policy forbids. The page determines its size and font.
    """
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = ElementTree.fromstring(svg)
    for child in list(root):
        if child.tag == f"{{{SVG}}}metadata":
            root.remove(child)
    used = set(re.findall(r"[\"(]#([\w-]+)", svg.decode()))
    for element in root.iter():
        for definition in [c for c in element if c.tag == f"{{{SVG}}}style"]:
            element.remove(definition)
        if element.get("id") not in used:
            element.attrib.pop("id", None)
        _unstyle(element)
        _shorten(element)
    _flatten(root)
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.set("role", "img")
    root.set("aria-label", description)
    root.set("stroke-linejoin", "round")
    text = ElementTree.tostring(root, encoding="unicode")
    return re.sub("#0[0-9a-f]{5}", lambda m: VARIABLES.get(m[0], m[0]), text)


def _shorten(element: ElementTree.Element) -> None:
    """Round coordinates to hundredths of a point, and leave out what draws nothing."""
    if (element.get("transform") or "").startswith("rotate(-0 "):
        del element.attrib["transform"]
    for name in ("d", "x", "y", "transform"):
        if (value := element.get(name)) is not None:
            value = re.sub(r"-?\d+\.\d+", lambda match: f"{round(float(match[0]), 2) + 0.0:g}", value)
            element.set(name, " ".join(value.split()))
    if element.tag != f"{{{SVG}}}text" and not (element.text or "").strip():
        element.text = None
    if not (element.tail or "").strip():
        element.tail = None


def _flatten(parent: ElementTree.Element) -> None:
    """Replace groups without attributes by their content, and remove empty ones."""
    children = list(parent)
    for child in children:
        _flatten(child)
    flat = [
        part
        for child in children
        for part in (list(child) if child.tag == f"{{{SVG}}}g" and not child.attrib else [child])
    ]
    parent[:] = [part for part in flat if len(part) or part.tag not in (f"{{{SVG}}}g", f"{{{SVG}}}defs")]


def _unstyle(element: ElementTree.Element) -> None:
    """Replace the style attribute by presentation attributes, which the policy allows."""
    for declaration in element.attrib.pop("style", "").split(";"):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        if name == "font":
            size = re.search(r"([\d.]+)px", value)
            if size:
                element.set("font-size", size[1])
            if "bold" in value or re.search(r"\b[67]00\b", value):
                element.set("font-weight", "600")
        elif name == "font-size":
            element.set(name, value.removesuffix("px"))
        elif name and name != "font-family":
            element.set(name, value)


def dress(axes: Axes, theme: Theme) -> None:
    """Apply the colours of the theme to lines, ticks and labels."""
    for spine in axes.spines.values():
        spine.set_color(theme.muted)
    axes.tick_params(colors=theme.muted, labelcolor=theme.ink, labelsize=8.5)
    axes.xaxis.label.set_color(theme.ink)
    axes.yaxis.label.set_color(theme.ink)
    axes.set_axisbelow(True)


def axis_label(info: Metric, prefix: str = "") -> str:
    """The name of a metric with its unit."""
    return f"{prefix}{info.label}{f' ({info.unit})' if info.unit else ''}"


def widen(get: Callable[[], tuple[float, float]], put: Callable[..., Any], info: Metric) -> None:
    """Let the axis of a bounded metric start near 0 and span at least a hundredth of its range."""
    span = (info.limits[1] - info.limits[0]) * info.factor
    if span < float("inf"):
        low, high = get()
        high = max(high, span / 100)
        put(min(low, -0.03 * high), high)


def draw_line(
    axes: Axes, theme: Theme, points: Sequence[tuple[float, float]], index: int, marker: str, **options: Any
) -> None:
    """Draw the line of the architecture `index`; `options` are those of `Axes.plot`."""
    looks: dict[str, Any] = {
        "linestyle": DASHES[index],
        "linewidth": 1.5,
        "markersize": 5,
        "markeredgecolor": theme.paper,
        **options,
    }
    axes.plot(*zip(*points, strict=True), color=theme.series[index], marker=marker, **looks)


def name_rows(
    axes: Axes, theme: Theme, names: Sequence[str], *, grid: Literal["x", "both"] = "x", top: float = -0.6
) -> None:
    """A row for each name, the first at the top, between the lines of a grid."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, top)
    axes.grid(axis=grid, color=theme.grid, linewidth=0.6)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def draw_estimate(
    axes: Axes, theme: Theme, estimate: Estimate, metric: Metric, y: int, colour: str, marker: str
) -> None:
    """A mean with its interval along the x axis."""
    assert estimate.mean is not None
    if estimate.low is not None and estimate.high is not None:
        axes.hlines(y, estimate.low * metric.factor, estimate.high * metric.factor, colour, linewidth=2.2)
    axes.plot(
        estimate.mean * metric.factor, y, marker, color=colour, markersize=7, markeredgecolor=theme.paper
    )  # fmt: skip


def label_lines(
    axes: Axes,
    theme: Theme,
    info: Metric,
    ends: dict[str, tuple[float, float]],
    order: Mapping[str, int],
    x_label: str,
    y_prefix: str = "",
) -> None:
    """Write the names of lines at their ends, and those of the axes; the y axis shows the metric `info`."""
    widen(axes.get_ylim, axes.set_ylim, info)
    if ends:
        end_labels(axes, theme, ends, order)
    axes.set_xlabel(x_label)
    axes.set_ylabel(axis_label(info, y_prefix))
    axes.grid(axis="y", color=theme.grid, linewidth=0.6)


def end_labels(axes: Axes, theme: Theme, ends: dict[str, tuple[float, float]], order: Mapping[str, int]) -> None:
    """Write names to the right of the line ends, moved apart to avoid overlaps."""
    figure = axes.figure
    names = sorted(ends, key=lambda name: ends[name][1])
    lay_out(figure)  # type: ignore[arg-type]  # so that pixel positions are valid
    to_pixels, to_data = axes.transData, axes.transData.inverted()
    gap = 12.5 * figure.dpi / 72
    height = [float(to_pixels.transform(ends[name])[1]) for name in names]
    placed = spread_apart(height, gap)
    right = max(x for x, _ in ends.values())
    at_right = axes.transData + ScaledTranslation(14 / 72, 0, axes.figure.dpi_scale_trans)
    for name, y_pixels in zip(names, placed, strict=True):
        y = float(to_data.transform((0.0, y_pixels))[1])
        colour = theme.series[order.get(name, 0) % 8]
        axes.annotate(
            visible(name), ends[name], (right, y), textcoords=at_right, va="center", color=colour,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 3},
            annotation_clip=False,
        )  # fmt: skip


def spread_apart(places: Sequence[float], gap: float) -> list[float]:
    """Ascending positions moved as little as possible (least squares) so that neighbours are at least `gap` apart."""
    groups: list[list[float]] = []  # each [sum of targets, size]: pool adjacent violators
    for index, place in enumerate(places):
        groups.append([place - index * gap, 1.0])
        while len(groups) > 1 and groups[-2][0] / groups[-2][1] > groups[-1][0] / groups[-1][1]:
            wish, members = groups.pop()
            groups[-1][0] += wish
            groups[-1][1] += members
    starts = [wish / members for wish, members in groups for _ in range(int(members))]
    return [start + index * gap for index, start in enumerate(starts)]
