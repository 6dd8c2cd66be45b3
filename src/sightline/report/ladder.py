"""One self-contained HTML page from the results of a ladder. Runs no model, imports no torch."""

from __future__ import annotations

from pathlib import Path

from sightline.lab.ladder import described
from sightline.lab.ladder_results import LADDER, PAGE, LadderResults
from sightline.report.frame import environment_rows, render_page, write_page
from sightline.report.ladder_figures import ladder_drawings
from sightline.report.ladder_text import (
    amount_text,
    difference_text,
    effect_text,
    evidence,
    margins_text,
    outcome_text,
    quality_text,
    recipe,
    speed_text,
)

CLASSES = {"holds": "good", "does not hold": "bad", "not decided": "open", None: "open"}


def write_ladder(results: LadderResults, directory: Path) -> Path:
    """Write `ladder.html`, and the figures as PNG and SVG, to `directory`; return the path of the page."""
    return write_page(directory, PAGE, render_ladder(results, linked=True), ladder_drawings(results))


def render_ladder(results: LadderResults, *, linked: bool = False) -> str:
    """The page as HTML; linked: whether ladder.json is beside the page, for a link to it."""
    figures = ladder_drawings(results)
    return render_page(
        "ladder.html.j2",
        LADDER,
        results,
        figures,
        linked=linked,
        metric=results.metric,
        figures=figures,
        titles={rung.name: rung.title for rung in results.rungs},
        classes=CLASSES,
        difference=difference_text,
        amount=amount_text,
        quality=quality_text,
        evidence=evidence,
        effect=effect_text,
        keys=described,
        recipe=recipe,
        outcome=outcome_text,
        speed=speed_text,
        margins=margins_text(results),
        rounds=next((len(rung.costs.step_s) for rung in results.rungs if rung.costs is not None), 0),
        environment=environment_rows(results.environment),
    )
