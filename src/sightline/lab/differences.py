"""The changes between two comparisons: scores with intervals, costs, settings. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from sightline.core.errors import InputError
from sightline.core.files import parse_json_object, read_regular
from sightline.core.metrics import Metric, defined
from sightline.core.settings import spelled
from sightline.lab.jobs import DONE
from sightline.lab.pareto import COSTS, Cost
from sightline.lab.results import Architecture, Estimate, Results
from sightline.lab.stats import compare_items

StoredItems = Mapping[str, np.ndarray]  # rows (seeds, N, K) of the metric that decides, by architecture
VOLATILE = ("environment.command",)


@final
@dataclass(frozen=True)
class Change:
    """A metric of an architecture then and now; `difference` is now minus then, with its 95 % interval.

    paired: whether the interval is of a paired bootstrap over the same test items
    """

    metric: Metric
    old: Estimate
    new: Estimate
    difference: Estimate
    paired: bool

    @property
    def clear(self) -> bool | None:
        """Whether the interval excludes zero; None if there is none. No correction for several architectures."""
        low, high = self.difference.low, self.difference.high
        return None if low is None or high is None else not low <= 0 <= high

    @property
    def better(self) -> bool:
        """Whether the metric is better now than then, by its mean."""
        return ((self.difference.mean or 0.0) > 0) == self.metric.higher_is_better


@final
@dataclass(frozen=True)
class ArchitectureChange:
    """One architecture in both comparisons: metrics, the one that decides first, and costs (cost, then, now)."""

    arch: str
    metrics: list[Change]
    costs: list[tuple[Cost, float, float]]


@final
@dataclass(frozen=True)
class Differences:
    """Everything that differs between an older comparison at `where` and a newer one.

    same_items: whether both tested the same items; None where that is not known
    settings: name, then, now; "" where one lacks it
    """

    where: str
    same_data: bool
    same_items: bool | None
    old_sha256: str
    architectures: list[ArchitectureChange]
    added: list[str]
    removed: list[str]
    settings: list[tuple[str, str, str]]


def differences(
    old: Results,
    new: Results,
    *,
    where: object,
    old_items: StoredItems | None = None,
    new_items: StoredItems | None = None,
) -> Differences:
    """The differences of `new` to `old`, which is at `where`.

    The metric that decides is compared on the same test items where both have their rows (see `same_items`);
    everything else as two independent measurements, whose intervals join by the method of variance estimates recovery
    (Zou and Donner 2008, "Construction of confidence limits about effect measures: a general approach").

    Raises:
        InputError: "OLD: is of another task (language there, translation here)"; "OLD: ranks by chrF, this comparison
            by exact match".
    """
    _check(old, new, where)
    same = same_items(old, new)
    before = {a.arch: a for a in old.architectures}
    shared = [a for a in new.ranked if a.arch in before]
    changes = []
    for now in shared:
        then = before[now.arch]
        pair = ((old_items or {}).get(now.arch), (new_items or {}).get(now.arch)) if same else (None, None)
        changes.append(
            ArchitectureChange(now.arch, _metrics(then, now, new, pair), [
                (cost, float(was), float(own)) for cost in COSTS
                if (was := cost.of(old, then)) is not None and (own := cost.of(new, now)) is not None
            ])
        )  # fmt: skip
    return Differences(
        where=str(where),
        same_data=old.data.sha256 == new.data.sha256,
        same_items=same,
        old_sha256=old.data.sha256,
        architectures=changes,
        added=[a.arch for a in new.architectures if a.arch not in before],
        removed=[arch for arch in before if all(a.arch != arch for a in new.architectures)],
        settings=_settings(old, new),
    )


def same_items(old: Results, new: Results) -> bool | None:
    """Whether row i of both is of the same test item; None where that is not known.

    Results of older versions have no hash of their items, and which settings choose them is known to their task alone:
    they are the same where data, sizes and all settings of the task agree.
    """
    if (old.data.sha256, old.data.tested) != (new.data.sha256, new.data.tested):
        return False
    if old.data.tested_sha256 and new.data.tested_sha256:
        return old.data.tested_sha256 == new.data.tested_sha256
    shared = {a.arch for a in old.architectures} & {a.arch for a in new.architectures}
    return True if old.settings and _choosing(old, shared) == _choosing(new, shared) else None


def _choosing(results: Results, archs: set[str]) -> list[Any]:
    """All that may choose the tested items of these architectures."""
    data, own = results.data, results.settings
    variants = {arch: variant for arch, variant in own.get("variants", {}).items() if arch in archs}
    settings = {name: spelled(value) for name, value in own.get("settings", {}).items()}
    return [own.get("task"), data.train, data.valid, data.test, data.facts, settings, variants]


def _check(old: Results, new: Results, where: object) -> None:
    """Raises `InputError` where the two did not measure the same thing."""
    tasks = [results.settings.get("task") for results in (old, new)]
    kinds = [(results.data.unit, results.data.loss_unit, results.data.counted) for results in (old, new)]
    if all(tasks) and tasks[0] != tasks[1]:
        raise InputError(f"is of another task ({tasks[0]} there, {tasks[1]} here)", where=where)
    if kinds[0] != kinds[1]:
        raise InputError(f"is of another task (its items are {kinds[0][0]}, here {kinds[1][0]})", where=where)
    if old.primary_metric != new.primary_metric:
        raise InputError(f"ranks by {old.metric.label}, this comparison by {new.metric.label}", where=where)


def _metrics(
    then: Architecture, now: Architecture, new: Results, items: tuple[np.ndarray | None, np.ndarray | None]
) -> list[Change]:
    """The changes of all metrics that both have, the one that decides first."""
    names = sorted((name for name in now.metrics if name in then.metrics), key=lambda name: name != new.primary_metric)
    changes = []
    for name in names:
        metric, was, own = new.metric_named(name), then.metrics[name], now.metrics[name]
        metric = metric.apart([was.mean, own.mean], [was.spread, own.spread])
        before, after = items if name == new.primary_metric else (None, None)
        paired = before is not None and after is not None and before.shape[1:] == after.shape[1:]
        if before is not None and after is not None and paired:
            change = paired_difference(before, after, metric)
        else:
            change = independent_difference(was, own)
        changes.append(Change(metric, was, own, change, paired))
    return changes


def paired_difference(before: np.ndarray, after: np.ndarray, metric: Metric) -> Estimate:
    """The difference of two groups of trainings that were tested on the same items, rows (seeds, N, K); see `stats`."""
    (pair,) = compare_items({"after": after, "before": before}, metric).pairs
    return pair.difference if pair.first == "after" else pair.difference.turned()


def independent_difference(was: Estimate, own: Estimate) -> Estimate:
    """The difference of two independent estimates; without an interval where one of them has none."""
    if not (defined(was.mean) and defined(own.mean)):
        return Estimate(None)
    change = own.mean - was.mean
    if was.low is None or was.high is None or own.low is None or own.high is None:
        return Estimate(change)
    low = change - math.hypot(own.mean - own.low, was.high - was.mean)
    return Estimate(change, low, change + math.hypot(own.high - own.mean, was.mean - was.low))


def stored_items(directory: Path, results: Results) -> dict[str, np.ndarray]:
    """The rows (seeds, N, K) of the tested items that the runs in a comparison's directory keep, by architecture.

    An architecture of which a run has none is left out.
    """
    items: dict[str, list[Any]] = {}
    lacking = set()
    for run in (run for run in results.runs if run.status == "done"):
        file = directory / "runs" / f"{run.arch}-seed{run.seed}" / DONE
        rows = parse_json_object(read_regular(file), where=file).get("items") if file.is_file() else None
        if rows:
            items.setdefault(run.arch, []).append(rows)
        else:
            lacking.add(run.arch)
    known = {arch: rows for arch, rows in items.items() if arch not in lacking}
    return {arch: np.array(rows, float) for arch, rows in known.items() if len({len(seed) for seed in rows}) == 1}


def _settings(old: Results, new: Results) -> list[tuple[str, str, str]]:
    """Settings and findings that differ: name, then, now."""
    archs = {a.arch for a in old.architectures} & {a.arch for a in new.architectures}
    then, now = (_facts(results, archs, bool(old.settings and new.settings)) for results in (old, new))
    names = [name for name in {**then, **now} if name not in VOLATILE and then.get(name) != now.get(name)]
    return [(name, _cell(then.get(name)), _cell(now.get(name))) for name in names]


def _facts(results: Results, archs: set[str], settings: bool) -> dict[str, Any]:
    plan, data = results.budget, results.data
    own = dict(results.settings) if settings else {
        "budget": plan.per_run, "seeds": len(plan.seeds), "search": plan.search_fraction, "rates": plan.search_rates,
        "match": plan.match,
    }  # fmt: skip
    own.pop("archs", None)
    own["margin"] = (
        None if results.margin is None else results.metric.amount(results.margin)
    )  # of the metric by default
    own |= {"data": data.name, "data.train": data.train, "data.valid": data.valid, "data.test": data.test}
    own |= {"tested": data.tested, "workers": plan.workers, "threads": plan.threads}
    facts = {name: value for name, value in _flat(own).items() if value is not None}
    facts |= {f"data.{name}": value for name, value in data.facts.items()}
    planned = {arch: steps for arch in sorted(archs) if (steps := results.planned(arch)) is not None}
    facts |= {f"{arch}.steps": steps.run.steps for arch, steps in planned.items()}
    rates = {a.arch: a.learning_rate for a in results.architectures if a.arch in archs}
    facts |= {f"{arch}.learning_rate": rate for arch, rate in rates.items() if rate is not None}
    return facts | _flat(results.environment, "environment.")


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        name = prefix + name.removeprefix("settings.")
        flat |= _flat(value, f"{name}.".removeprefix("settings.")) if isinstance(value, dict) else {name: value}
    return flat


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
