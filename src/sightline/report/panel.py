"""One self-contained HTML page from the results of a bottleneck panel. Runs no model, imports no torch."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from sightline.core.sourced import with_sources
from sightline.lab.panel_results import PanelResults
from sightline.report.frame import environment_rows, render_page, write_page
from sightline.report.panel_figures import panel_drawings
from sightline.report.panel_sections import HEADINGS, panel_sections
from sightline.report.panel_text import (
    TITLES,
    chain_words,
    cost_rows,
    crossover_text,
    exponent,
    findings,
    unmeasured_lines,
)
from sightline.report.past_panel import state_rows
from sightline.report.reach_words import state_name
from sightline.report.recall_panel import recall_rows, token_rows
from sightline.report.text import names_of

PAGE = "panel.html"
SIDES_OF_REACH = "Of an encoder-decoder both reaches are of the source, from its end."


def write_panel(results: PanelResults, directory: Path) -> Path:
    """Write `panel.html`, and the figures as PNG and SVG, to `directory`; return the path of the page."""
    drawings = [drawing for part in panel_drawings(results).values() for drawing in part]
    return write_page(directory, PAGE, render_panel(results, linked=True), drawings)


def render_panel(results: PanelResults, *, linked: bool = False) -> str:
    """The page as HTML; linked: whether panel.json is beside the page, for a link to it."""
    drawings = panel_drawings(results)
    with with_sources():
        sentences = findings(results)
        crossed = [(one, crossover_text(one, at)) for at, one in enumerate(results.crossovers)]
        missing = {key: unmeasured_lines(results, key) for key in HEADINGS}
    took = ", ".join(f"{part} {seconds:g} s" for part, seconds in results.seconds.items())
    return render_page(
        "panel.html.j2",
        "panel.json",
        results,
        [drawing for part in drawings.values() for drawing in part],
        linked=linked,
        names=names_of(results.names),
        findings=sentences,
        sections=[part for part in panel_sections(results) if part.key in drawings or missing[part.key]],
        figures=drawings,
        missing=missing,
        decodes=any(cost.phase == "decode" for cost in results.growth),
        sides=SIDES_OF_REACH if any(reach.over == "source" for reach in results.reach) else "",
        rows=cost_rows(results),
        growth_at={(cost.name, cost.phase): at for at, cost in enumerate(results.growth)},
        serial_at={
            chain.name: at
            for at, chain in enumerate(results.serial)
            if (chain.phase, chain.along) == ("forward", "all")
        },
        reach_at={reach.name: at for at, reach in enumerate(results.reach) if reach.over != "target"},
        state_name=state_name,
        states=state_rows(results),
        chain_words=chain_words,
        recalled=recall_rows(results),
        tokens=token_rows(results),
        phases=TITLES,
        crossovers=[text for one, text in crossed if one.checked],
        predicted=[text for one, text in crossed if not one.checked],
        exponent=exponent,
        median=median,
        environment=[*environment_rows(results.environment), ("time of each part", took)],
    )
