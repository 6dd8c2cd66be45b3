"""The changes between two comparisons in words: for the terminal, the page and `--json`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sightline.lab.differences import ArchitectureChange, Change, Differences
from sightline.lab.pareto import Cost
from sightline.lab.results import Results
from sightline.report.recommendation import cost_label, written


def differences_lines(compared: Differences, results: Results) -> list[str]:
    """The differences as lines of text."""
    lines = [f"Differences to {compared.where}:", f"  {data_line(compared)}"]
    for one in compared.architectures:
        shown = [change_line(change) for change in one.metrics[:1]]
        lines.append(f"  {one.arch}: {'; '.join(shown) or 'no metric in both'}")
        costs = [f"{cost_label(results, cost)} {moved(cost, was, own)}" for cost, was, own in one.costs]
        lines += [f"    {', '.join(costs)}"] * bool(costs)
    lines += [f"  only here: {', '.join(compared.added)}"] * bool(compared.added)
    lines += [f"  only there: {', '.join(compared.removed)}"] * bool(compared.removed)
    lines += ["  settings that differ:"] * bool(compared.settings)
    return lines + [f"    {name}: {was or '(none)'} → {own or '(none)'}" for name, was, own in compared.settings]


def data_line(compared: Differences) -> str:
    """Whether both read the same data, and tested the same items."""
    if compared.same_data:
        same = f"the same data (sha256 {compared.old_sha256[:12]}…)"
        if compared.same_items is None:
            return f"{same}; whether the test items are the same is not known, as older results have no hash of them"
        return same if compared.same_items else f"{same}, other test items: scores compare only roughly"
    return f"other data (sha256 {compared.old_sha256[:12]}… there): scores of other test items compare only roughly"


def change_line(change: Change) -> str:
    """A metric then and now: "exact match 95.1 % → 96.2 %, +1.1 [0.2, 2.0]: better, the same test items"."""
    info = change.metric
    return f"{info.label} {info.text(change.old.mean)} → {info.text(change.new.mean)}, {difference(change)}"


def difference(change: Change) -> str:
    """The difference with its interval, and whether that shows a change."""
    info, estimate = change.metric, change.difference
    sign = "+" if (estimate.mean or 0.0) > 0 else ""
    mean, low, high = (info.number(value) for value in (estimate.mean, estimate.low, estimate.high))
    if estimate.low is None or estimate.high is None:
        return f"{sign}{mean} (no interval)"
    verdict = "no change shown" if not change.clear else "better" if change.better else "worse"
    how = "the same test items" if change.paired else "independent measurements"
    return f"{sign}{mean} [{low}, {high}]: {verdict}, {how}"


def moved(cost: Cost, was: float, own: float) -> str:
    """A cost then and now, with its ratio."""
    if was == own:
        return written(cost, own)
    ratio = f" (×{own / was:.2f})" if was > 0 else ""
    return f"{written(cost, was)} → {written(cost, own)}{ratio}"


def differences_rows(compared: Differences, results: Results) -> list[tuple[str, list[tuple[str, str, str, str]]]]:
    """For the page: each architecture with its rows of what, then, now, difference; of costs those that differ."""
    return [(one.arch, [*_metric_rows(one), *_cost_rows(one, results)]) for one in compared.architectures]


def _metric_rows(one: ArchitectureChange) -> list[tuple[str, str, str, str]]:
    return [(c.metric.label, c.metric.text(c.old.mean), c.metric.text(c.new.mean), difference(c)) for c in one.metrics]


def _cost_rows(one: ArchitectureChange, results: Results) -> list[tuple[str, str, str, str]]:
    rows = []
    for cost, was, own in one.costs:
        if was == own:
            continue
        ratio = f"×{own / was:.2f}" if was > 0 else ""
        rows.append((cost_label(results, cost), written(cost, was), written(cost, own), ratio))
    return rows


def differences_record(compared: Differences) -> dict[str, Any]:
    """The differences in plain JSON types."""
    return {
        "against": compared.where,
        "same_data": compared.same_data,
        "same_items": compared.same_items,
        "architectures": {
            one.arch: {
                "metrics": {
                    c.metric.name: {
                        "then": asdict(c.old), "now": asdict(c.new), "difference": asdict(c.difference),
                        "paired": c.paired, "clear": c.clear,
                    }
                    for c in one.metrics
                },
                "costs": {cost.name: {"then": was, "now": own} for cost, was, own in one.costs},
            }
            for one in compared.architectures
        },
        "added": compared.added,
        "removed": compared.removed,
        "settings": {name: {"then": was, "now": own} for name, was, own in compared.settings},
    }  # fmt: skip
