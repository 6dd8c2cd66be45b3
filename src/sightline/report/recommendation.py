"""A recommendation and Pareto fronts in words."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sightline.core.digits import and_joined, number_of, significant
from sightline.core.metrics import kept_order, kept_words
from sightline.core.sourced import sourced
from sightline.lab.pareto import COSTS, Cost, Front, fronts, shown_better
from sightline.lab.recommend import Recommendation, recommend
from sightline.lab.results import Architecture, Prefer, Results, Run, best_validation
from sightline.lab.verdict import score
from sightline.report.text import quantity, size


def recommendation_line(results: Results, prefer: Prefer | None = None) -> str:
    """The recommendation for the priority, with the reason, in a line: "Recommended for speed: gru. …"."""
    choice = recommend(results, prefer)
    if choice.arch is None:
        return f"Recommended for {choice.prefer}: no architecture. {_obstacle(results, choice)}"
    return f"Recommended for {choice.prefer}: {choice.arch}. {reason(results, choice)}"


def reason(results: Results, choice: Recommendation) -> str:
    """Why an architecture is recommended, in plain words; why none is."""
    if choice.arch is None or choice.best is None:
        return _obstacle(results, choice)
    info, rows = results.metric, {a.arch: a for a in results.architectures}
    means = {arch: score(info, arch, a.metrics[info.name].mean) for arch, a in rows.items() if info.name in a.metrics}
    others = [arch for arch in choice.among if arch != choice.best]
    if not others:
        worse = all(shown_better(results, choice.best, arch) for arch in means if arch != choice.best)
        rest = "every other architecture is worse" if worse else "no other one is shown to be practically the same"
        return f"It has the best {info.label} ({means[choice.best]}), and {rest}."
    if choice.prefer == "quality" or (choice.cost is None and choice.multiple is None):
        same = "is" if len(others) == 1 else "are"
        return f"It has the best {info.label} ({means[choice.best]}); {and_joined(others)} {same} practically the same."
    among = [("architectures", arch) for arch in choice.among]
    count = sourced(number_of(len(among), "architecture"), *among, how="count")
    group = f"the {count} that are best or practically the same"
    if choice.multiple is not None:
        costs = [place for cost in COSTS for arch in choice.among for place in cost.places(results, rows[arch])]
        multiple = sourced(significant(choice.multiple, 3), *costs, how="derived")
        why = f"Of {group}, it costs the least over all costs: on average {multiple} times the "
        why += "smallest of each"
    else:
        assert choice.cost is not None
        why = f"Of {group}, it has {_least(results, choice.cost, rows, choice)}"
    if choice.arch == choice.best:
        return f"{why}, and the best {info.label} ({means[choice.best]})."
    return f"{why}. Its {info.label} is {means[choice.arch]}, that of {choice.best}, the best, {means[choice.best]}."


def _least(results: Results, cost: Cost, rows: dict[str, Architecture], choice: Recommendation) -> str:
    """Its cost beside that of the best, or of the next candidate where it is the best itself."""
    assert choice.arch is not None
    own = cost.of(results, rows[choice.arch]) or 0.0
    other = choice.best if choice.best != choice.arch else next(arch for arch in choice.among if arch != choice.arch)
    beside = cost.of(results, rows[other or choice.arch]) or 0.0
    least = min(cost.of(results, rows[arch]) or 0.0 for arch in choice.among)
    tie = "the least" if own <= least else "about the least"
    named = f"{tie} {cost_label(results, cost)}, {_cost(results, cost, rows[choice.arch], own)}"
    return f"{named}; {other} has {_cost(results, cost, rows[other or choice.arch], beside)}"


def _cost(results: Results, cost: Cost, architecture: Architecture, value: int | float) -> str:
    places = cost.places(results, architecture)
    return sourced(written(cost, value), *places, how=cost.over_runs * (len(places) > 1))


def _obstacle(results: Results, choice: Recommendation) -> str:
    if choice.obstacle == "one seed":
        return "With one seed the spread between trainings is unknown; two seeds or more are needed."
    if choice.obstacle == "baseline" and choice.baseline is not None:
        name = results.primary_metric
        place = ("baselines", choice.baseline.name, "metrics", name)
        value = sourced(results.metric.text(choice.baseline.metrics[name]), place)
        return f"The baseline “{choice.baseline.name}” is at least as good ({value}) and needs no training."
    return "No run finished."


def using_recommended(results: Results, directory: Path) -> str:
    """The command line that uses the recommended architecture, where that is not the one with the best mean; else "".

    Of its runs the one whose kept model has the best validation, as of the winner.
    """
    choice = recommend(results)
    runs = [run for run in results.runs if run.arch == choice.arch and run.status == "done"]
    if choice.arch == choice.best or not runs:
        return ""
    run = min(runs, key=_order)
    return predicting(results, directory / "runs" / f"{run.arch}-seed{run.seed}")


def predicting(results: Results, place: Path) -> str:
    """The command line that predicts with the run or the winner at `place`, with the plugins that it needs."""
    texts = [example.source for example in results.examples] if results.data.reads_texts else []
    example = next(filter(_is_argument, texts), "INPUT")
    plugins = "".join(f"--plugin {shlex.quote(one)} " for one in results.environment.get("plugins", {}))
    return f"sightline predict {plugins}{shlex.quote(str(place))} {shlex.quote(example)}"


def chosen_by(results: Results) -> str:
    """By what the winner's run is chosen among its seeds: "the lowest validation loss"."""
    runs = (run for run in results.runs if run.status == "done" and run.arch == results.ranked[0].arch)
    return next((kept_words(run.kept_by) for run in runs), "")


def _is_argument(text: str) -> bool:
    """Whether `sightline predict` takes it for a text, not for a flag or a file, and a page shows it as it is."""
    like_file = text.startswith("builtin:") or re.fullmatch(r"\S+\.[A-Za-z]\w*", text)
    return bool(text.strip()) and text.isprintable() and not text.startswith("-") and not like_file


def _order(run: Run) -> tuple[float, float]:
    """The place of a run among others of its architecture, by the model that each kept."""
    place = best_validation(run.history)
    return kept_order({} if place is None else run.history[place], run.kept_by)


def fronts_line(results: Results) -> str:
    """Which architectures are on a Pareto front, in a line; "" if there is none."""
    all_fronts = fronts(results)
    if not all_fronts:
        return ""
    order = [a.arch for a in results.ranked]
    on = {arch: [front for front in all_fronts if arch in front.kept] for arch in order}
    parts = [f"{arch} ({_costs(results, its, all_fronts)})" for arch, its in on.items() if its]
    left = [arch for arch, its in on.items() if not its and any(arch == p.arch for f in all_fronts for p in f.points)]
    line = f"Pareto fronts of {results.metric.label} against each cost: {', '.join(parts)}"
    return line + (f"; {and_joined(left)} on none." if left else ".")


def _costs(results: Results, its: Sequence[Front], all_fronts: Sequence[Front]) -> str:
    if len(its) == len(all_fronts):
        return "all"
    return ", ".join(cost_label(results, front.cost) for front in its)


def cost_label(results: Results, cost: Cost) -> str:
    """The name of a cost, such as "time per token"."""
    if cost.name != "ms":
        return cost.label
    return f"time per {next((a.ms_per for a in results.architectures if a.ms is not None), 'item')}"


def written(cost: Cost, value: int | float) -> str:
    """A value of a cost with its unit."""
    if cost.unit == "bytes":
        return size(value)
    return f"{significant(value, 3)} {cost.unit}" if cost.unit else quantity(value)


def choice_record(results: Results) -> dict[str, Any]:
    """The recommendation and the fronts in plain JSON types."""
    choice = recommend(results)
    return {
        "recommendation": {"prefer": choice.prefer, "arch": choice.arch, "reason": reason(results, choice)},
        "fronts": [
            {"cost": front.cost.name, "kept": front.kept, "points": [asdict(point) for point in front.points]}
            for front in fronts(results)
        ],
    }
