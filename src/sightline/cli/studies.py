"""The saved studies other than comparisons whose pages `sightline report` makes again, by the file of their results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Study(NamedTuple):
    """Reads the results of a study; writes its page and figures, or the page alone as text; prints its table."""

    load: Callable[[Path], Any]
    write: Callable[[Any, Path], Path]
    render: Callable[[Any], str]
    show: Callable[[Any], None]


def _ladder() -> Study:
    from sightline.cli.ladder import print_ladder
    from sightline.lab.ladder_results import LadderResults
    from sightline.report.ladder import render_ladder, write_ladder

    return Study(LadderResults.load, write_ladder, render_ladder, print_ladder)


def _scale() -> Study:
    from sightline.cli.scale import print_scale
    from sightline.lab.scaling_results import ScaleResults
    from sightline.report.scaling import render_scaling, write_scaling

    return Study(ScaleResults.load, write_scaling, render_scaling, print_scale)


def _panel() -> Study:
    from sightline.cli.panel import print_panel
    from sightline.lab.panel_results import PanelResults
    from sightline.report.panel import render_panel, write_panel

    return Study(PanelResults.load, write_panel, render_panel, print_panel)


def _claims() -> Study:
    from sightline.cli.claims import print_claims
    from sightline.lab.claims.results import ClaimsResults
    from sightline.report.claims import render_claims, write_claims

    return Study(ClaimsResults.load, write_claims, render_claims, print_claims)


def _swap() -> Study:
    from sightline.cli.swap import print_swap
    from sightline.lab.swap.results import SwapResults
    from sightline.report.swap import render_swap, write_swap

    return Study(SwapResults.load, write_swap, render_swap, print_swap)


STUDIES: dict[str, Callable[[], Study]] = {
    "ladder.json": _ladder,
    "scale.json": _scale,
    "panel.json": _panel,
    "claims.json": _claims,
    "swap.json": _swap,
}


def study_file(place: Path) -> Path | None:
    """The results of a study at `place`, that file or its directory; None where they are those of a comparison.

    The directory of a ladder has the results of the comparison behind it too; the ladder's come first.
    """
    if not place.is_dir():
        return place if place.name in STUDIES else None
    return next((place / name for name in STUDIES if (place / name).is_file()), None)


def report_study(file: Path, output: Path | None, *, json: bool) -> None:
    """Write the page of a study again, beside its results or to `output`; print its table, or its results as JSON."""
    from sightline.cli.tables import show_results
    from sightline.core.files import write_file

    study = STUDIES[file.name]()
    results = study.load(file)
    if output is None:
        page = study.write(results, file.parent)
    else:
        page = output
        write_file(output, study.render(results))
    show_results(results, study.show, f"page: {page}", json=json)
