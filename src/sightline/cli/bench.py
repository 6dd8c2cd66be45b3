"""`sightline bench`: speed and memory of the mechanisms compared with other libraries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from sightline.cli.plugins import Plugins


def bench(
    *,
    only: str | None = None,
    threads: int | None = None,
    pairs: int | None = None,
    quick: bool = False,
    device: str = "auto",
    plugin: Plugins = None,
    out_dir: Annotated[Path | None, Parameter(name=["--out-dir", "-o"])] = None,
    json: bool = False,
) -> None:
    """Benchmark the mechanisms against other libraries, in one process and in turns, after checking that results agree.

    Shows the median ratio of times with quartiles, our time, peak memory, and the fraction of the hardware limit. Exits
    with status 5 if results differ. Reports peers that are not installed (`pip install 'sightline[peers]'`). A full run
    takes about 20 minutes; keep the machine idle otherwise.

    Args:
        only: Comma-separated names of scenarios or families. Default: the mechanisms of the plugins given by --plugin,
            otherwise all.
        threads: CPU threads. Default: all that this process may use.
        pairs: Minimum number of measurements in turns. Default: 10, or 3 with --quick.
        quick: Measure only the smallest size of each scenario.
        device: auto, cpu or cuda.
        out_dir: Write bench-NAME.json to this directory after each scenario.
        json: Print one JSON object with `schema_version` instead of a table.
    """
    import sys

    import torch

    from sightline.cli.messages import print_json
    from sightline.core.errors import CheckFailed
    from sightline.core.settings import check_in_range
    from sightline.lab.bench.measure import Settings
    from sightline.lab.bench.run import run_scenarios
    from sightline.lab.bench.table import find_scenarios, plugin_scenarios
    from sightline.lab.machine import granted_cores
    from sightline.models.plugins import load_plugins
    from sightline.training.environment import environment, resolve_device

    for flag, value in (("--threads", threads), ("--pairs", pairs)):
        check_in_range(flag, value, at_least=1)
    more = plugin_scenarios(load_plugins(plugin))
    scenarios = find_scenarios([name.strip() for name in (only or "").split(",") if name.strip()] or list(more), more)
    threads = threads or min(torch.get_num_threads(), granted_cores())
    settings = Settings(pairs or (3 if quick else 10), threads, str(resolve_device(device)))
    if out_dir is not None:
        out_dir.mkdir(parents=True, exist_ok=True)

    def report(row: dict[str, Any]) -> None:
        print(f"{row['scenario']} at {row['size']:,} {row['size_unit']}: {_outcome(row)}", file=sys.stderr, flush=True)

    hardware = {**environment(), "threads": settings.threads, "command": ["sightline", *sys.argv[1:]]}
    results = run_scenarios(scenarios, settings, hardware, quick=quick, directory=out_dir, on_row=report)
    if json:
        print_json(results)
    else:
        _print_table(results["results"])
    failed = [row for row in results["results"] if row["status"] in ("failed", "broken")]
    if failed:
        more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
        raise CheckFailed(f"{failed[0]['scenario']} at {failed[0]['size']:,}: {failed[0]['detail']}{more}")


def _outcome(row: dict[str, Any]) -> str:
    if row["status"] != "measured":
        return f"{row['status'].upper()}, {row['detail']}"
    ratio = f"{_ratio(row)}, " if "ratio" in row else ""
    return f"{ratio}{1e3 * row['ours_s']['median']:.3g} ms, {row['pairs']} rounds"


def _ratio(row: dict[str, Any]) -> str:
    ratio = row["ratio"]
    return f"{ratio['median']:.2f} ({ratio['lower']:.2f} to {ratio['upper']:.2f})"


def _print_table(rows: list[dict[str, Any]]) -> None:
    from sightline.cli.tables import console_for, table_of

    headings = (
        "scenario", "size", "theirs / ours (quartiles)", "target", "ours, ms", "MiB", "theirs", "of the limit"
    )  # fmt: skip
    cells = [(row["scenario"], f"{row['size']:,}", *_cells(row)) for row in rows]
    table = table_of(headings, cells, lined=True)
    console = console_for(table, 120)
    console.print(table)
    console.print("Growth: time at the larger size / time at the smaller size. MiB: peak memory beyond the inputs.")
    for detail in dict.fromkeys(f"{row['status']}: {row['detail']}" for row in rows if row["status"] != "measured"):
        console.print(detail, markup=False, soft_wrap=True)


def _cells(row: dict[str, Any]) -> list[str]:
    from sightline.core.digits import percent

    if row["status"] != "measured":
        return [row["status"].upper()]
    aim, peak = row.get("aim"), row["peak_bytes"]
    shown = ""
    if aim is not None:
        amount = f"{aim['value']:.3g}" if aim["of"] == "ratio" else f"{aim['value'] / 2**20:,.0f} MiB"
        shown = f"{'≥' if aim['relation'] == 'at least' else '≤'} {amount} {'✓' if aim['met'] else '✗'}"
    mebibytes = ["" if peak.get(side) is None else f"{peak[side] / 2**20:,.0f}" for side in ("ours", "other")]
    share = f"{percent(row['of_limit']['share'])} {row['of_limit']['binding']}" if "of_limit" in row else ""
    return [_ratio(row) if "ratio" in row else "", shown, f"{1e3 * row['ours_s']['median']:.3g}", *mebibytes, share]
