"""One self-contained HTML page from the results of a ladder of sizes. Runs no model, imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from sightline.core.digits import amount
from sightline.core.sourced import as_stored, with_sources
from sightline.lab.directory import RESULTS, SCALE, SCALE_PAGE, SIZES, size_directory
from sightline.lab.results import Estimate, Results
from sightline.lab.scaling_results import ArchitectureLaw, ExponentPair, HeldOut, ScaleResults, SizePoint
from sightline.lab.scaling_verdict import interval, pair_sentence, scaling_verdict
from sightline.report.frame import environment_rows, render_page, write_page
from sightline.report.html import write_report
from sightline.report.scaling_figures import scaling_drawings


class LawRow(NamedTuple):
    """One law in the table: texts with intervals in brackets, empty if there is none.

    irreducible_of: the form that has the irreducible loss
    """

    arch: str
    along: str
    exponent: str
    other: str
    irreducible: str
    bend: str
    worst: str
    note: str
    irreducible_of: Literal["law", "other"] = "law"


class HeldOutRow(NamedTuple):
    """One check in the table."""

    arch: str
    parameters: int
    predicted: str
    measured: str
    error: str
    holds: bool | None


class SizeRow(NamedTuple):
    """One size of one architecture in the table."""

    point: SizePoint
    loss: str
    page: str


def write_scaling_pages(results: ScaleResults, directory: Path) -> Path:
    """`write_scaling`, and the report of every size's comparison in `directory`."""
    for target in dict.fromkeys(point.target for point in results.points):
        place = size_directory(directory, target)
        write_report(Results.load(place / RESULTS), place)
    return write_scaling(results, directory)


def write_scaling(results: ScaleResults, directory: Path) -> Path:
    """Write `scale.html`, and the figures as PNG and SVG, to `directory`; return the path of the page."""
    return write_page(directory, SCALE_PAGE, render_scaling(results, linked=True), scaling_drawings(results))


def render_scaling(results: ScaleResults, *, linked: bool = False) -> str:
    """The page as HTML; linked: whether scale.json is beside the page, for a link to it."""
    info, figures = results.info, scaling_drawings(results)
    with with_sources():
        verdict = as_stored(scaling_verdict(results), results.verdict)
        pairs = [(pair_sentence(results, at), bend_sentence(pair, at)) for at, pair in enumerate(results.pairs)]
    return render_page(
        "scale.html.j2",
        SCALE,
        results,
        figures,
        linked=linked,
        info=info,
        series=colours(results),
        verdict=verdict,
        rest=_rest(verdict, [pair for pair, _ in pairs]),
        figures=figures,
        searched=results.settings.get("comparison", {}).get("search", 1.0) > 0,
        fixed=amount(results.fixed),
        laws=law_rows(results),
        held_out=held_out_rows(results),
        pairs=pairs,
        sizes=[
            SizeRow(p, text_of(p.loss, info.digits, info.factor), f"{SIZES}/params-{p.target}/report.html")
            for p in results.points
        ],
        environment=environment_rows(results.environment),
    )


def _rest(verdict: str, pairs: Sequence[str]) -> list[str]:
    """The parts of the verdict beside its sentences on pairs, which the page shows above it."""
    parts = re.split("|".join(map(re.escape, pairs)), verdict) if pairs else [verdict]
    return [part.strip() for part in parts if part.strip()]


def colours(results: ScaleResults) -> Mapping[str, int]:
    """The number of each architecture's colour."""
    return {arch: place % 8 for place, arch in enumerate(results.archs)}


def text_of(estimate: Estimate | None, digits: int = 3, factor: float = 1.0) -> str:
    """A number with its interval in brackets; empty if there is none."""
    if estimate is None or estimate.mean is None:
        return ""
    return interval(estimate, digits, factor=factor)


def law_rows(results: ScaleResults) -> list[LawRow]:
    """The laws along parameters, then those along FLOPs."""
    return [_law_row(law, results) for law in results.laws]


def _law_row(law: ArchitectureLaw, results: ScaleResults) -> LawRow:
    along = "FLOPs" if law.along == "flops" else law.along
    bend = text_of(law.bend)
    if law.law is None:
        return LawRow(law.arch, along, "", "", "", bend, "", law.note)
    info = results.info
    floors = [text_of(of.irreducible, info.digits, info.factor) for of in (law.law, law.other) if of is not None]
    irreducible = next(filter(None, floors), "")
    return LawRow(
        law.arch,
        along,
        text_of(law.law.exponent),
        text_of(law.other.exponent) if law.other else "",
        irreducible if law.law.irreducible is not None else f"({irreducible})" if irreducible else "",
        bend,
        f"{100 * law.law.worst:.1f} %",
        law.note,
        "other" if law.law.irreducible is None else "law",
    )


def held_out_rows(results: ScaleResults) -> list[HeldOutRow]:
    """The predictions beside what was measured."""
    return [_held_out(check, results) for check in results.held_out]


def _held_out(check: HeldOut, results: ScaleResults) -> HeldOutRow:
    info = results.info
    return HeldOutRow(
        check.arch,
        check.parameters,
        text_of(check.predicted, info.digits, info.factor),
        text_of(check.measured, info.digits, info.factor),
        f"{text_of(check.error, 1, 100.0)} %",
        check.holds,
    )


def bend_sentence(pair: ExponentPair, at: int) -> str:
    """Which of the two flattens more, where that is known, for the pair at that place of the results."""
    bend = pair.bend
    if bend is None or bend.mean is None or bend.low is None or bend.high is None:
        return ""
    text = f"difference of bends {interval(bend, place=('pairs', at, 'bend'))}"
    if bend.low > 0:
        return f"{pair.second} flattens more than {pair.first} ({text})."
    if bend.high < 0:
        return f"{pair.first} flattens more than {pair.second} ({text})."
    return f"Which of {pair.first} and {pair.second} flattens more is not decided ({text})."
