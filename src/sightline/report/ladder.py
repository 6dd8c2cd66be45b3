"""One self-contained HTML page from the results of a ladder. Runs no model, imports no torch."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from markupsafe import Markup

from sightline.core.files import write_file
from sightline.lab.ladder import described
from sightline.lab.ladder_results import PAGE, LadderResults
from sightline.report.html import environment_rows, style_sheet, templates
from sightline.report.ladder_figures import ladder_drawings
from sightline.report.ladder_text import (
    amount_text,
    difference_text,
    effect_text,
    evidence_text,
    margins_text,
    outcome_text,
    quality_text,
    recipe,
    speed_text,
)

CLASSES = {"holds": "good", "does not hold": "bad", "not decided": "open", None: "open"}


def write_ladder(results: LadderResults, directory: Path) -> Path:
    """Write `ladder.html`, and the figures as PNG and SVG, to `directory`; return the path of the page."""
    figures = directory / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for drawing in ladder_drawings(results):
        drawing.save(figures)
    page = directory / PAGE
    write_file(page, render_ladder(results))
    return page


def render_ladder(results: LadderResults) -> str:
    """The page as HTML."""
    style = style_sheet()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    figures = [(drawing.title, *map(Markup, drawing.page_svg())) for drawing in ladder_drawings(results)]
    return (
        templates()
        .get_template("ladder.html.j2")
        .render(
            results=results,
            metric=results.metric,
            style=Markup(style),
            style_hash=Markup(f"sha256-{digest}"),
            figures=figures,
            titles={rung.name: rung.title for rung in results.rungs},
            classes=CLASSES,
            difference=difference_text,
            amount=amount_text,
            quality=quality_text,
            evidence=evidence_text,
            effect=effect_text,
            keys=described,
            recipe=recipe,
            outcome=outcome_text,
            speed=speed_text,
            margins=margins_text(results),
            environment=environment_rows(results.environment),
        )
    )
