"""`sightline report`: the page of a saved study, and what changed since another comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def report(
    place: Path,
    /,
    *,
    against: Path | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    prefer: Literal["quality", "speed", "memory", "balanced"] | None = None,
    json: bool = False,
) -> None:
    """Rebuild the page of a saved study from its results; for a comparison, show what changed since another.

    Writes the page and its figures beside the results: report.html of results.json, or the page of a ladder, of sizes,
    a panel, claims or a swap. Trains nothing and loads no model.

    Args:
        place: Directory of a study, or the file of its results, such as results.json or panel.json.
        against: An older comparison (directory or results.json) to show the differences to: scores with intervals,
            costs, settings. Scores are compared item by item where both tested the same items and their directories
            have their runs.
        output: Write the page to this file, and no figures.
        prefer: Priority by which one architecture is recommended. Default: that of the comparison.
        json: Print one JSON object with `schema_version`: recommendation, Pareto fronts, differences; of other studies
            than comparisons their results.
    """
    from dataclasses import replace

    from sightline.cli.compare import print_table
    from sightline.cli.studies import report_study, study_file
    from sightline.core.files import write_file
    from sightline.lab.differences import differences, stored_items
    from sightline.lab.results import Results
    from sightline.report.differences import differences_lines
    from sightline.report.html import render, write_report
    from sightline.report.recommendation import using_recommended
    from sightline.report.text import visible

    if against is None and prefer is None and (study := study_file(place)) is not None:
        report_study(study, output, json=json)
        return
    file = results_file(place)
    results = Results.load(file)
    results = results if prefer is None else replace(results, prefer=prefer)
    changes = None
    if against is not None:
        other = results_file(against)
        old = Results.load(other)
        same = old.data.sha256 == results.data.sha256
        items = [stored_items(path.parent, its) if same else {} for path, its in ((other, old), (file, results))]
        changes = differences(old, results, where=against, old_items=items[0], new_items=items[1])
    if output is None:
        page = write_report(results, file.parent, changes)
    else:
        page = output
        write_file(output, render(results, file.parent, changes))
    if json:
        from sightline.cli.messages import print_json
        from sightline.report.differences import differences_record
        from sightline.report.recommendation import choice_record

        record = {"schema_version": 1, "report": str(page), **choice_record(results)}
        print_json(record | ({} if changes is None else {"differences": differences_record(changes)}))
        return
    print_table(results)
    if changes is not None:
        print("\n".join(visible(line) for line in differences_lines(changes, results)), end="\n\n")
    print(f"report: {page}")
    if use := using_recommended(results, file.parent):
        print(f"use the recommended: {visible(use)}")


def results_file(place: Path) -> Path:
    """The results.json at `place`, a directory or that file."""
    from sightline.lab.directory import RESULTS

    return place / RESULTS if place.is_dir() else place
