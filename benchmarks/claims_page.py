"""The page of claims in the documentation: Markdown and figures from the results of `make claims`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sightline.lab.claims.results import ClaimResult, ClaimsResults, Saying
from sightline.report.claims import environment, heading, notes, number
from sightline.report.claims_figures import claim_drawings
from sightline.report.drawing import Drawing

FIGURES = "figures/claims"
MOST_FIGURES = 2  # of a claim; claims.html has all
HEAD = """\
# Claims

What is said of recurrence and attention, measured: `sightline claims` on your machine, `make claims` for this page. The
outcome follows from the numbers by a rule, which each claim below shows; `LOG.md` says which rules were changed after a
first look at numbers. Generated from `benchmarks/results/claims.json`."""


def claims_page(results: ClaimsResults) -> str:
    """The page in Markdown."""
    sayings = {saying.name: saying for saying in results.sayings}
    lines = [HEAD, "", f"**{heading(results)}.**", ""]
    lines += [line for note in notes(results) for line in (note, "")]
    lines += ["| claim | what is said | outcome | what was measured here |", "|---|---|---|---|"]
    for one in results.results:
        link, statement = f"[{one.claim}](#{one.claim.lower()})", sayings[one.claim].statement
        alone = " (processor alone, no GPU available)" * one.processor_only
        cells = (link, statement, f"**{one.outcome}**{alone}", one.measured)
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    for one in results.results:
        lines += ["", *_section(one, sayings[one.claim])]
    lines += ["", "## Machine", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {_cell(value)} |" for name, value in environment(results)]
    return "\n".join(lines) + "\n"


def draw_claims(results: ClaimsResults, directory: Path) -> None:
    """Write the figures of the page as SVG to `directory`, and remove others from it."""
    directory.mkdir(parents=True, exist_ok=True)
    written = {path for one in results.results for drawing in _shown(one) for path in drawing.save(directory, ("svg",))}
    for path in set(directory.glob("*.svg")) - written:
        path.unlink()


def _shown(one: ClaimResult) -> list[Drawing]:
    return claim_drawings(one)[:MOST_FIGURES]


def _section(one: ClaimResult, saying: Saying) -> Iterator[str]:
    outcome = one.outcome.capitalize() + " (processor alone, no GPU available)" * one.processor_only
    yield from (f"## {one.claim}", "", f"“{saying.statement}” **{outcome}.**", "", one.measured, "")
    for drawing in _shown(one):
        yield from (f"![{drawing.description}]({FIGURES}/{drawing.name}.svg)", "", f"*{drawing.title}.*", "")
    for name, text in (("How", saying.how), ("Rule", saying.rule)):
        if text:
            yield from (f"{name}: {text[0].lower() if name == 'How' else text[0]}{text[1:]}", "")
    for name, text in (("Conditions", one.conditions), ("Limits", one.limits)):
        if text:
            yield from (f"{name}: {text.rstrip('.')}.", "")
    yield f"Command: `{one.command}` ({one.seconds:.0f} s)."
    if one.numbers:
        yield from ("", "<details><summary>All numbers</summary>", "")
        yield from ("| what | value, 95 % interval | of |", "|---|--:|--:|")
        for each in one.numbers:
            yield f"| {_cell(each.name)} | {number(each)} | {'' if each.n is None else each.n} |"
        yield from ("", "</details>")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
