"""The parts of every page: figures, with their interactive charts, and the scripts and policy that these need.

In a template, `{{ drawn(drawing) }}` is the figure of a `Drawing`: its static picture for wide and narrow pages, and
its chart where it has one. A page with charts extends `page.html.j2`, which ends with the scripts. They are inline, and
the page's policy allows them by their hashes; nothing is fetched. The largest, Vega-Lite, is packed (gzip, base64).
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from dataclasses import replace
from functools import cache
from importlib.resources import files

from markupsafe import Markup

from sightline.report.charts import InteractiveChart
from sightline.report.drawing import Drawing
from sightline.report.text import visible

SQUARE = 3.8  # inches: the height of a small figure, at most


def drawn(drawing: Drawing, *, caption: bool = False) -> Markup:
    """The figure of a page: the picture in two widths, and the chart that replaces it where the page's script runs."""
    picture = Markup('<div class="wide">{}</div><div class="narrow">{}</div>').format(
        *map(Markup, drawing.page_svg()),
    )
    return _figure(drawing, picture, caption)


def small(drawing: Drawing) -> Markup:
    """The figure as one of several side by side, at most as high as wide, with its title below it; without a chart."""
    low = replace(drawing, height=min(drawing.height, SQUARE), chart=None)
    return _figure(low, Markup(low.narrow_svg()), caption=True)


def explorer(chart: InteractiveChart, description: str) -> Markup:
    """A chart without a picture of its own, for pages whose script runs."""
    return _charted(Markup(""), chart, description)


def _figure(drawing: Drawing, picture: Markup, caption: bool) -> Markup:
    title = Markup("<figcaption>{}</figcaption>").format(visible(drawing.title)) if caption else Markup("")
    if drawing.chart is None:
        return Markup("<figure>{}{}</figure>").format(title, picture)
    static = Markup('{}<div class="static">{}</div>').format(title, picture)
    return _charted(static, drawing.chart, drawing.description)


def _charted(static: Markup, chart: InteractiveChart, description: str) -> Markup:
    rows = Markup(chart.embedded(visible(description)))
    return Markup('<figure class="chart">{}<script type="application/json" class="rows">{}</script></figure>').format(
        static, rows
    )


@cache
def chart_script() -> str:
    """The script of the charts, which unpacks Vega-Lite when the first chart comes into view."""
    return files("sightline.report").joinpath("templates/charts.js").read_text("utf-8")


@cache
def vega_script() -> str:
    """Vega-Lite, bundled (`make vega`)."""
    return files("sightline.report").joinpath("bundle/vega.js").read_text("utf-8")


@cache
def chart_scripts() -> Markup:
    """The elements that end a page with charts."""
    packed = base64.b64encode(gzip.compress(vega_script().encode(), 9, mtime=0)).decode()
    return Markup('<script type="text/plain" id="chart-tools">{}</script>\n<script>{}</script>').format(
        Markup(packed), Markup(chart_script())
    )


@cache
def script_policy() -> Markup:
    """The part of a content security policy that allows these scripts and no other."""
    return Markup("script-src ") + Markup(" ").join(
        Markup(f"'{source_hash(text)}'") for text in (chart_script(), vega_script())
    )


def source_hash(text: str) -> str:
    """The hash by which a policy allows the content of an inline element."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
