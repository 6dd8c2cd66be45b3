"""One self-contained HTML page from the results of a ladder. Runs no model, imports no torch."""

from __future__ import annotations

from pathlib import Path

from sightline.core.sourced import as_stored, with_sources
from sightline.lab.ladder import described
from sightline.lab.ladder_claims import ladder_verdict
from sightline.lab.ladder_results import LADDER, PAGE, LadderResults
from sightline.report import ladder_text
from sightline.report.frame import environment_rows, render_page, write_page
from sightline.report.ladder_figures import ladder_drawings

CLASSES = {"holds": "good", "does not hold": "bad", "not decided": "open", None: "open"}


def write_ladder(results: LadderResults, directory: Path) -> Path:
    """Write `ladder.html`, and the figures as PNG and SVG, to `directory`; return the path of the page."""
    return write_page(directory, PAGE, render_ladder(results, linked=True), ladder_drawings(results))


def render_ladder(results: LadderResults, *, linked: bool = False) -> str:
    """The page as HTML; linked: whether ladder.json is beside the page, for a link to it."""
    figures = ladder_drawings(results)
    timed = next((rung for rung in results.rungs if rung.costs is not None), None)
    with with_sources():
        verdict = as_stored(ladder_verdict(results.rungs), results.verdict)
        speeds = {rung.name: ladder_text.speed_text(results, rung) for rung in results.rungs}
        margins = ladder_text.margins_text(results)
    return render_page(
        "ladder.html.j2",
        LADDER,
        results,
        figures,
        linked=linked,
        verdict=verdict,
        speeds=speeds,
        margins=margins,
        metric=results.metric,
        figures=figures,
        titles={rung.name: rung.title for rung in results.rungs},
        classes=CLASSES,
        keys=described,
        text=ladder_text,
        rounds=0 if timed is None or timed.costs is None else len(timed.costs.step_s),
        timed="" if timed is None else timed.name,
        environment=environment_rows(results.environment),
    )
