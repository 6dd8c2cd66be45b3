"""One self-contained HTML page from the results of a swap. Runs no model, imports no torch."""

from __future__ import annotations

from pathlib import Path

from sightline.lab.swap.results import PAGE, RESULTS, SwapResults
from sightline.report import swap_text
from sightline.report.frame import environment_rows, render_page, write_page
from sightline.report.swap_figures import swap_drawings

CLASSES = {"kept": "good", "lost": "bad", "not decided": "open"}


def write_swap(results: SwapResults, directory: Path) -> Path:
    """Write `swap.html`, and the figures as PNG and SVG, to `directory`; return the path of the page."""
    return write_page(directory, PAGE, render_swap(results, linked=True), swap_drawings(results))


def render_swap(results: SwapResults, *, linked: bool = False) -> str:
    """The page as HTML; linked: whether swap.json is beside the page, for a link to it."""
    figures = swap_drawings(results)
    return render_page(
        "swap.html.j2",
        RESULTS,
        results,
        figures,
        linked=linked,
        metric=results.metric,
        figures=figures,
        text=swap_text,
        classes=CLASSES,
        environment=environment_rows(results.environment),
    )
