"""Runs scenarios one after another, reports each row, and writes a file per scenario."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sightline.core.files import write_file
from sightline.core.json_text import to_json
from sightline.lab.bench.measure import Settings, measure
from sightline.lab.bench.scenario import Scenario

SCHEMA_VERSION = 1


def run_scenarios(
    scenarios: Sequence[Scenario],
    settings: Settings,
    hardware: dict[str, Any],
    *,
    quick: bool = False,
    directory: Path | None = None,
    on_row: Callable[[dict[str, Any]], object] = lambda row: None,
) -> dict[str, Any]:
    """All rows of the scenarios, in plain JSON types; `quick` uses the smallest size of each.

    `hardware` is the result of `training.environment`, including the command. `on_row` is called with every row.
    `bench-<scenario>.json` is written to `directory` after each scenario, to a temporary file that is then renamed.
    """
    rows = []
    for scenario in scenarios:
        own = []
        for size in scenario.sizes[:1] if quick else scenario.sizes:
            own.append(measure(scenario, size, settings))
            on_row(own[-1])
        rows += own
        if directory is not None:
            text = to_json(report(own, settings, hardware), indent=1) + "\n"
            write_file(directory / f"bench-{scenario.name}.json", text)
    return report(rows, settings, hardware)


def report(rows: Sequence[dict[str, Any]], settings: Settings, hardware: dict[str, Any]) -> dict[str, Any]:
    """One object with `schema_version`."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": hardware["command"],
        "hardware": {name: value for name, value in hardware.items() if name != "command"},
        "settings": asdict(settings),
        "results": list(rows),
    }
