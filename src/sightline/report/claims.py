"""The page of claims, as HTML and as Markdown for the documentation. Runs no model, imports no torch."""

from __future__ import annotations

from pathlib import Path

from sightline.core.digits import and_joined, number_of, significant
from sightline.core.sourced import sourced, with_sources
from sightline.lab.claims.results import ClaimNumber, ClaimsResults
from sightline.report.claims_figures import chart_drawings, claim_drawings, map_drawings
from sightline.report.frame import environment_rows, render_page, write_page

PAGE = "claims.html"
BUSY = 0.3  # cores that other programs keep busy, above which times are said to be wrong
OUTCOMES = {"holds": "hold", "does not hold": "do not hold", "depends": "depend", "not measured": "not measured"}


def write_claims(results: ClaimsResults, directory: Path) -> Path:
    """Write `claims.html`, and the figures as PNG and SVG, to `directory`; return the path of the page."""
    figures = [drawing for result in results.results for drawing in claim_drawings(result)]
    return write_page(directory, PAGE, render_claims(results, linked=True), figures)


def render_claims(results: ClaimsResults, *, linked: bool = False) -> str:
    """The page as HTML; linked: whether claims.json is beside the page, for a link to it."""
    sayings = {saying.name: saying for saying in results.sayings}
    rows = [(sayings[one.claim], one, chart_drawings(one), map_drawings(one)) for one in results.results]
    with with_sources():
        texts = [one.text_with_places(("results", at)) for at, one in enumerate(results.results)]
        head, remarks = heading(results), notes(results)
    return render_page(
        "claims.html.j2",
        "claims.json",
        results,
        [drawing for _, _, charts, _ in rows for drawing in charts],
        linked=linked,
        heading=head,
        notes=remarks,
        rows=rows,
        texts=texts,
        amount=amount,
        environment=environment(results),
    )


def heading(results: ClaimsResults) -> str:
    """How many claims have each outcome, in words."""
    parts = []
    for outcome, several in OUTCOMES.items():
        places = [("results", at, "outcome") for at, one in enumerate(results.results) if one.outcome == outcome]
        if places:
            count = sourced(str(len(places)), *places, how="count")
            parts.append(f"{count} {outcome if len(places) == 1 else several}")
    total = sourced(number_of(len(results.results), "claim"), ("results",), how="count")
    return f"{total}: {', '.join(parts)}" if parts else "No claim was measured."


def notes(results: ClaimsResults) -> list[str]:
    """Whole sentences about how all numbers were measured."""
    sentences = []
    if results.settings.get("quick"):
        sentences.append("Measured in the quick form: fewer seeds, shorter lengths, fewer rounds, wider intervals.")
    busy = {one.claim: cores for one in results.results if (cores := results.busy.get(one.claim, 0.0)) > BUSY}
    if busy:
        most = sourced(f"{max(busy.values()):.1f}", *(("busy", name) for name in busy), how="most")
        sentences.append(
            f"Other programs kept up to {most} cores busy during {', '.join(busy)}: times there are less "
            "exact. Counts, gradients and accuracies do not depend on that."
        )
    alone = [one.claim for one in results.results if one.processor_only]
    if alone:
        judged = "its outcome is that" if len(alone) == 1 else "their outcomes are those"
        sentences.append(
            f"No GPU was available, which matters to {and_joined(alone)}: {judged} of the processor alone, and the "
            "columns of a GPU are missing."
        )
    return sentences


def number(measured: ClaimNumber) -> str:
    """A number with its interval and unit."""
    return f"{amount(measured)} {measured.unit if measured.value is not None else ''}".rstrip()


def amount(measured: ClaimNumber) -> str:
    """A number with its interval, without its unit."""
    if measured.value is None:
        return "—"
    if measured.low is None or measured.high is None:
        return significant(measured.value)
    return f"{significant(measured.value)} [{significant(measured.low)}, {significant(measured.high)}]"


def environment(results: ClaimsResults) -> list[tuple[str, str]]:
    """The machine that measured the numbers, and for how long."""
    took = f"{sum(one.seconds for one in results.results):.0f} s"
    no_gpu = [] if results.environment.get("gpus") else [("GPU", "none")]
    return [*environment_rows(results.environment), *no_gpu, ("time of all claims", took)]
