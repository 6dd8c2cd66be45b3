"""The page of claims, as HTML and as Markdown for the documentation. Runs no model, imports no torch."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from markupsafe import Markup

from sightline.core.digits import significant
from sightline.core.files import write_file
from sightline.lab.claims.results import ClaimNumber, ClaimsResults
from sightline.report.claims_figures import chart_drawings, claim_drawings, map_drawings
from sightline.report.drawing import Drawing
from sightline.report.html import style_sheet, templates

PAGE = "claims.html"
BUSY = 0.3  # cores that other programs keep busy, above which times are said to be wrong
OUTCOMES = {"holds": "hold", "does not hold": "do not hold", "depends": "depend", "not measured": "not measured"}


def write_claims(results: ClaimsResults, directory: Path) -> Path:
    """Write `claims.html`, and the figures as PNG and SVG, to `directory`; return the path of the page."""
    figures = directory / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for result in results.results:
        for drawing in claim_drawings(result):
            drawing.save(figures)
    page = directory / PAGE
    write_file(page, render_claims(results))
    return page


def render_claims(results: ClaimsResults) -> str:
    """The page as HTML."""
    style = style_sheet()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    sayings = {saying.name: saying for saying in results.sayings}
    return (
        templates()
        .get_template("claims.html.j2")
        .render(
            results=results,
            style=Markup(style),
            style_hash=Markup(f"sha256-{digest}"),
            heading=heading(results),
            notes=notes(results),
            rows=[
                (sayings[one.claim], one, [*map(_figure, chart_drawings(one))], [*map(_figure, map_drawings(one))])
                for one in results.results
            ],
            number=number,
            environment=environment_rows(results),
        )
    )


def heading(results: ClaimsResults) -> str:
    """How many claims have each outcome, in words."""
    counts = {outcome: sum(one.outcome == outcome for one in results.results) for outcome in OUTCOMES}
    parts = [f"{count} {outcome if count == 1 else OUTCOMES[outcome]}" for outcome, count in counts.items() if count]
    total = len(results.results)
    return f"{total} claim{'s' if total != 1 else ''}: {', '.join(parts)}" if parts else "No claim was measured."


def notes(results: ClaimsResults) -> list[str]:
    """Whole sentences about how all numbers were measured."""
    sentences = []
    if results.settings.get("quick"):
        sentences.append("Measured in the quick form: fewer seeds, shorter lengths, fewer rounds, wider intervals.")
    busy = {name: cores for name, cores in results.busy.items() if cores > BUSY}
    if busy:
        most = max(busy.values())
        sentences.append(
            f"Other programs kept up to {most:.1f} cores busy during {', '.join(busy)}: times there are less "
            "exact. Counts, gradients and accuracies do not depend on that."
        )
    if "cuda" not in results.settings.get("devices", []):
        sentences.append("No GPU was at hand: all times are of the processor, and the columns of a GPU are missing.")
    return sentences


def number(measured: ClaimNumber) -> str:
    """A number with its interval and unit."""
    if measured.value is None:
        return "—"
    text = significant(measured.value)
    if measured.low is not None and measured.high is not None:
        text += f" [{significant(measured.low)}, {significant(measured.high)}]"
    return f"{text} {measured.unit}".rstrip()


def environment_rows(results: ClaimsResults) -> list[tuple[str, str]]:
    """What the numbers were measured on."""
    facts = results.environment
    keys = ("cpu", "cores", "threads", "platform", "python", "git_commit")
    rows: list[tuple[str, str]] = [(key.replace("_", " "), str(facts[key])) for key in keys if facts.get(key)]
    packages = facts.get("packages", {})
    rows.append(("GPU", ", ".join(facts.get("gpus", [])) or "none"))
    rows.append(("packages", ", ".join(f"{name} {version}" for name, version in packages.items())))
    rows.append(("time of all claims", f"{sum(one.seconds for one in results.results):.0f} s"))
    return rows


def _figure(drawing: Drawing) -> tuple[str, Markup, Markup]:
    wide, narrow = drawing.page_svg()
    return drawing.title, Markup(wide), Markup(narrow)
