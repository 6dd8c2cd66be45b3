"""The page of benchmark results: Markdown tables from the files written by `sightline bench`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sightline.core.digits import number_of, percent
from training_page import training_section

Row = dict[str, Any]

FAMILIES = {
    "causal": "Causal softmax attention",
    "window": "Sliding windows",
    "block_sparse": "Block patterns",
    "linear": "Linear attention",
    "recurrent": "Recurrences",
    "decoding": "Decoding",
    "layers": "Whole layers",
}
RATIO = "ratio (quartiles)"
HEAD = """\
# Performance

Generated from `benchmarks/results/bench-*.json`, which `make bench` writes (`sightline bench --only NAME` for a part).

Each comparison runs in one process: first a check that the results agree, then a warm-up round, then rounds in which
ours and the peer's run in alternating order. Each round gives one ratio, the peer's time divided by ours (growth: the
time at the larger size divided by the time at the smaller size); the tables show the median and the quartiles. Times
are for forward and backward in float32 unless stated otherwise. *Memory* is the rise of the resident high-water mark
above the inputs during the first call in a separate process. *Of the limit* is the minimum time on this machine divided
by our time. The minimum is the larger of two times, both measured between the rounds: the required floating-point
operations at the rate of a 1024³ product, and the inputs and outputs at the rate of a copy of 128 MiB. Targets were set
before measuring; missed targets are listed too."""


def load_results(directory: Path) -> list[dict[str, Any]]:
    """The reports in a directory, sorted by file name."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(directory.glob("bench-*.json"))]


def rows_of(reports: Sequence[dict[str, Any]]) -> list[Row]:
    """All rows of the reports, with families in the order of the page."""
    order = [*FAMILIES, "mechanisms"]
    rows = [row for report in reports for row in report["results"]]
    return sorted(rows, key=lambda row: order.index(row["family"]))


def performance_page(
    reports: Sequence[dict[str, Any]],
    figures: Sequence[tuple[str, str]],
    trainings: Sequence[dict[str, Any]] = (),
) -> str:
    """The page in Markdown; `figures` are paths relative to the page with descriptions."""
    rows = rows_of(reports)
    lines = [HEAD, "", *_machines(reports), "", *_summary(rows), ""]
    for path, description in figures:
        lines += [f"![{description}]({path})", "", f"*{description}.*", ""]
    for family, title in FAMILIES.items():
        of_family = [row for row in rows if row["family"] == family]
        if of_family:
            lines += [f"## {title}", "", *_table(of_family), "", *_checks(of_family), ""]
    of_mechanisms = [row for row in rows if row["family"] == "mechanisms"]
    if of_mechanisms:
        lines += ["## Every mechanism", "", *_curves(of_mechanisms), ""]
    lines += [*training_section(trainings), *_unmeasured(rows)]
    return "\n".join(lines).rstrip() + "\n"


def _machines(reports: Sequence[dict[str, Any]]) -> Iterator[str]:
    """One line per combination of machine, versions and settings."""
    seen: dict[str, list[str]] = {}
    for report in reports:
        hardware, settings = report["hardware"], report["settings"]
        where = hardware["cpu"] if settings["device"] == "cpu" else ", ".join(hardware["gpus"])
        threads = number_of(settings["threads"], "thread")
        torch, commit = hardware["packages"]["torch"], (hardware["git_commit"] or "unknown")[:7]
        text = f"{where}, {number_of(hardware['cores'], 'core')}, {threads}, torch {torch}, commit {commit}"
        text += f", at least {settings['pairs']} rounds"
        seen.setdefault(text, []).append(report["results"][0]["scenario"])
    for text, names in seen.items():
        yield f"- {text}" + (f": {', '.join(f'`{name}`' for name in names)}" if len(seen) > 1 else "")


def _summary(rows: Sequence[Row]) -> list[str]:
    met = [row["aim"]["met"] for row in rows if "aim" in row]
    if not met:
        return []
    missed = [f"`{row['scenario']}` at {row['size']:,}" for row in rows if "aim" in row and row["aim"]["met"] is False]
    text = f"{sum(each is True for each in met)} of {len(met)} targets are met."
    return [text + (f" Missed: {', '.join(missed)}." if missed else "")]


def _table(rows: Sequence[Row]) -> list[str]:
    lines = [
        f"| what | peer | size | {RATIO} | target | ours, ms | memory, MiB | theirs | of the limit |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    shown = None
    for row in rows:
        first = row["scenario"] != shown
        shown = row["scenario"]
        what = f"{row['question']} (`{row['scenario']}`)" if first else ""
        peer = row["peer"] + (f" ({row['package']} {row['version']})" if row["package"] != "torch" else "")
        cells = [what, peer if first else "", f"{row['size']:,} {row['size_unit']}", *_numbers(row)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _numbers(row: Row) -> list[str]:
    if row["status"] != "measured":
        return [row["status"], *[""] * 5]
    peak, limit = row["peak_bytes"], row.get("of_limit")
    ours, theirs = (_mebibytes(peak.get(side)) for side in ("ours", "other"))
    share = f"{percent(limit['share'])}, {limit['binding']}" if limit else ""
    return [_ratio(row), _aim(row), f"{1e3 * row['ours_s']['median']:.3g}", ours, theirs, share]


def _ratio(row: Row) -> str:
    if "ratio" not in row:
        return ""
    ratio = row["ratio"]
    return f"{ratio['median']:.2f} ({ratio['lower']:.2f}–{ratio['upper']:.2f})"


def _aim(row: Row) -> str:
    aim = row.get("aim")
    if aim is None:
        return ""
    amount = f"{aim['value']:.3g}" if aim["of"] == "ratio" else f"{_mebibytes(aim['value'])} MiB"
    verdict = {True: "met", False: "missed", None: "open"}[aim["met"]]
    return f"{'≥' if aim['relation'] == 'at least' else '≤'} {amount}, {verdict}"


def _mebibytes(value: int | float | None) -> str:
    return "" if value is None else f"{value / 2**20:,.0f}"


def _checks(rows: Sequence[Row]) -> list[str]:
    """The references of the results, and the largest differences."""
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        if row["status"] == "measured":
            grouped.setdefault(row["checked"], []).append(row)
    lines = ["References of the equality checks, with the largest relative difference:", ""] if grouped else []
    for checked, of_check in grouped.items():
        names = ", ".join(dict.fromkeys(f"`{row['scenario']}`" for row in of_check))
        lines.append(f"- {checked}: {names}; {max(row['error'] for row in of_check):.0e}")
    return lines


def _curves(rows: Sequence[Row]) -> list[str]:
    """Time and memory by length, one row per mechanism."""
    sizes = sorted({row["size"] for row in rows})
    by_name: dict[str, dict[int, Row]] = {}
    for row in rows:
        by_name.setdefault(row["scenario"].removeprefix("mechanism_"), {})[row["size"]] = row
    lines = [
        "Milliseconds and MiB of memory for one row of the given number of positions: width 256, default options,",
        "forward and backward with gradients of all parameters. Mechanisms that read a memory get 64 positions.",
        f"Reference: {rows[0]['checked']}.",
        "",
        "| mechanism | " + " | ".join(f"{size:,}" for size in sizes) + " |",
        "|---|" + "--:|" * len(sizes),
    ]
    for name, by_size in by_name.items():
        cells = [_curve(by_size.get(size)) for size in sizes]
        lines.append(f"| [`{name}`](mechanisms.md#{name}) | {' | '.join(cells)} |")
    return lines


def _curve(row: Row | None) -> str:
    if row is None or row["status"] != "measured":
        return "" if row is None else row["status"]
    return f"{1e3 * row['ours_s']['median']:.3g} ms, {_mebibytes(row['peak_bytes']['ours'])} MiB"


def _unmeasured(rows: Sequence[Row]) -> list[str]:
    left = [row for row in rows if row["status"] != "measured"]
    if not left:
        return []
    lines = ["## Not measured", ""]
    lines += [f"- `{row['scenario']}` at {row['size']:,}: {row['status']}, {row['detail']}" for row in left]
    return lines
