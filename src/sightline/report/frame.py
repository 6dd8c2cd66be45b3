"""The frame of every page: its templates, their filters, its style, and how a page is made and written.

A page is one self-contained file that fetches nothing. Its content security policy is `default-src 'none'` and allows
only the style sheet and the scripts with the given hashes. The template engine escapes all foreign text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast, runtime_checkable

import jinja2
from markupsafe import Markup

from sightline.core.digits import amount, significant
from sightline.core.files import write_file
from sightline.core.metrics import Metric, defined
from sightline.core.sourced import END
from sightline.report.drawing import Drawing
from sightline.report.page import chart_scripts, drawn, explorer, script_policy, small, source_hash
from sightline.report.sources import locators
from sightline.report.text import piece, quantity, size, visible

SHADES = 20  # shades of the attention maps


@runtime_checkable
class StoredResults(Protocol):
    """The results that a page shows."""

    def to_dict(self) -> dict[str, Any]:
        """The content of their file."""
        ...


class PageSection(NamedTuple):
    """A section of a page: its key, its heading, and what is said below that."""

    key: str
    heading: str
    note: str


def write_page(directory: Path, name: str, html: str, drawings: Iterable[Drawing]) -> Path:
    """Write a page, and its figures as PNG and SVG, to `directory`; return the path of the page."""
    figures = directory / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for drawing in drawings:
        drawing.save(figures)
    write_file(directory / name, html)
    return directory / name


def render_page(
    template: str,
    source: str,
    results: StoredResults,
    drawings: Iterable[Drawing],
    *,
    linked: bool = False,
    **content: Any,
) -> str:
    """The page of a template that extends `page.html.j2`.

    source: the file of the results, which the numbers of the page name as their place
    drawings: the figures of the page, which has the scripts of charts where one of them has a chart
    linked: whether the file is beside the page, for a link to it
    content: what else the template needs
    """
    style = style_sheet()
    return (
        templates()
        .get_template(template)
        .render(
            style=Markup(style),
            style_hash=Markup(source_hash(style)),
            charts=any(drawing.chart for drawing in drawings),
            **locators(source, results.to_dict()),
            linked=linked,
            results=results,
            **content,
        )
    )


@cache
def templates() -> jinja2.Environment:
    """The templates of pages; text is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sightline.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "visible": visible, "piece": piece, "size": size, "quantity": quantity, "fixed": fixed, "significant": shown,
        "shade": shade, "probability": probability, "long": long, "unbroken": unbroken, "asides": asides,
        "amount": amount,
    }  # fmt: skip
    cast("dict[str, Any]", environment.globals).update(
        measured=measured, drawn=drawn, small=small, explorer=explorer, chart_scripts=chart_scripts,
        script_policy=script_policy,
    )  # fmt: skip
    return environment


@cache
def style_sheet() -> str:
    """The style of every page."""
    loader = templates().loader
    assert loader is not None
    source, _, _ = loader.get_source(templates(), "report.css")
    shades = "\n".join(f".w{i}{{background:rgb(var(--heat)/{i / SHADES:g})}}" for i in range(1, SHADES + 1))
    return source + shades


def environment_rows(environment: dict[str, Any]) -> list[tuple[str, str]]:
    """The facts of a machine and its software, as a page lists them."""
    rows = []
    for key, value in environment.items():
        if key == "command":  # the page has the command of its results
            continue
        if isinstance(value, dict):
            value = ", ".join(f"{k} {v}" for k, v in value.items())
        elif isinstance(value, list):
            value = ", ".join(map(str, value))
        elif key.endswith("_bytes") and isinstance(value, int):
            key, value = key.removesuffix("_bytes"), size(value)
        if value not in (None, "") and value is not False:
            rows.append((key.replace("_", " "), str(value)))
    return rows


def fixed(value: int | float | None, digits: int = 1) -> str:
    """A number with `digits` decimals, or an em dash."""
    return "—" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def shown(value: int | float | None, digits: int = 4) -> str:
    """A number with this many significant digits, or an em dash."""
    return significant(value, digits).replace("-", "−") if defined(value) else "—"


def asides(sentence: str) -> Markup:
    """The sentence with what is in parentheses in smaller letters, and units beside their numbers."""
    parts = re.split(r"(\((?:[^()]|\([^()]*\))*\)|\[[^\[\]]*\])", unbroken(sentence))
    return Markup("").join(Markup("<small>{}</small>").format(part) if i % 2 else part for i, part in enumerate(parts))


def shade(weight: int | float) -> int:
    """The shade of an attention weight, 0 to `SHADES`."""
    return 0 if not math.isfinite(weight) else round(min(max(weight, 0.0), 1.0) * SHADES)


def long(pieces: list[str]) -> bool:
    """Whether the pieces are too long for horizontal column headings."""
    return any(len(text) > 2 for text in pieces if text != "</s>")


def unbroken(text: str) -> str:
    """The text with non-breaking spaces between numbers and units."""
    return re.sub(rf"(?<=[\d{END}]) (?=%|points\b|to\b)", "\u00a0", text)


def probability(value: float) -> str:
    """A p-value as text."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def measured(metrics: Mapping[str, float | None], metric: Metric) -> str:
    """The metric among those that were measured, as text; an em dash where it was not."""
    return metric.text(metrics[metric.name]) if metric.name in metrics else "—"
