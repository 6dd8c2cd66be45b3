"""The page of the study of defaults: Markdown tables from its lines of results."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import stdev
from typing import Any

import numpy as np
from scipy.stats import rankdata

from sightline.core.metrics import find_metric
from sightline.lab.longer_training import LEVEL as LEVEL_OF_LONGER
from sightline.lab.longer_training import RULE
from study_longer import chains_of, held_out_coverage
from study_results import Line, mean_score, read_lines, value

PAGE = Path(__file__).parents[1] / "docs" / "defaults.md"
DEFAULT = "default"
CHOOSING = ("choose", "confirm")  # stages
COMPLETE = 3  # seeds of the stage final
SHORTEST_S = 60
MOST_ROWS = 12
LEVEL = 0.9
SPREAD = "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"  # a cell of the table is one line
HEAD = """\
# Defaults for small data

Generated from `benchmarks/results/study`, which `make study` writes. Each training is a process with one thread; its
budget is in seconds of its own. Values are means over seeds on the test items; the baseline is the strongest one of the
task on the same items, with its own settings chosen by the validation part.

The stages `choose` and `confirm` compared options on the data sets that are not held out, by their validation metric:
the later tables. The package's defaults follow from them where the difference is larger than its standard error.
Dropout 0 for pairs, first after one and three minutes, was not taken: after ten it is behind (36.9 against 39.0 BLEU on
Multi30k)."""
DEFAULTS = """\
The default is what `sightline train` takes without any option; the other architecture is the one that came next while
defaults were chosen, trained for 600 s where it was the better one after 180 s. Values are means over three seeds and
their standard deviation, **bold** at or above the strongest baseline; ↑ marks the architecture with the better
validation metric. Cells that miss seeds are not counted below the table.

Classifiers of texts lose words in training, stop after ten passes and are kept by accuracy since later trainings, which
LOG.md has; they were chosen by the test items of `reviews` and of Stanford Sentiment, so that `mpqa` alone shows unseen
data. Models that write texts are kept by token accuracy, because `lemmas` got worse with time; these are therefore not
counted as held out any more. The trainings of `lemmas`, `multi30k`, `questions` and `spoken-words` are older: they were
kept by the loss, those up to 180 s by the least one, not by the latest one within a standard error."""
SEEN = {"lemmas"}  # held out while options were chosen, but not afterwards
LONGER = f"""\
The table of a comparison says what a training of three times the budget is expected to reach, from the best trial and
the runs (`sightline.lab.longer_training`). The rule was learned from chains of three trainings here, each about three
times as long as the one before, which differ in nothing else. On its scale (log odds of a share, logarithm of an error)
a training gains {RULE.kept:.2f} of what the pace from the first to the second would give, with a standard deviation of
{RULE.share_floor:.2f} for shares and {RULE.error_floor:.3f} for errors, joined with {RULE.spread:.2f} of that pace and,
of a share, with what its number of test items adds.

Below, each data set is left out in turn: how often does a rule from the others contain what was reached on its test
items? Least often for `ar`, where little but luck changes the error, and for `questions`, which are learnt slowly first
and then fast. Curves of one training, continued by a power law, did worse: their intervals of 90 % contained what a
training of 180 s reached after one of 60 s in 44 of 58 cases, and gave no answer in 22 others."""
CHOICE = """\
*Default* is the package's default before the study, *best* has the best validation metric of all that were trained on
that data set with that budget."""


def load_lines(folder: Path) -> list[Line]:
    """All lines of a folder of results."""
    return [line for path in sorted(folder.glob("*.jsonl")) for line in read_lines(path)]


def study_page(lines: Sequence[Line]) -> str:
    """The page in Markdown."""
    runs = [line for line in lines if line["kind"] == "run"]
    baselines = {line["data"]: line for line in lines if line["kind"] == "baselines"}
    tried = [line for line in runs if line["stage"] in CHOOSING]
    parts = [HEAD, ""]
    if shipped := [line for line in runs if line["stage"] not in CHOOSING]:
        parts += ["## The defaults against baselines", "", DEFAULTS, "", *_defaults_table(shipped, baselines), ""]
    parts += ["## The choice of defaults", "", CHOICE, "", *_choice_table(tried, baselines), ""]
    parts += ["## Options over all data sets", "", *_options_table(tried), ""]
    for group in dict.fromkeys(line["group"] for line in tried):
        parts += [f"## Ranks: {group}", "", *_ranks_table([line for line in tried if line["group"] == group]), ""]
    parts += ["## What a longer budget pays", "", *_longer(runs), ""]
    return "\n".join(parts)


def _cells(runs: Sequence[Line]) -> dict[tuple[str, int, str], list[Line]]:
    """The lines by data set, budget and configuration, which differ in their seed."""
    cells = defaultdict(list)
    for line in runs:
        cells[line["data"], line["budget_s"], line["configuration"]].append(line)
    return dict(cells)


def _defaults_table(runs: Sequence[Line], baselines: Mapping[str, Line]) -> list[str]:
    """The stages `final` and `rivals`: for each data set a row of the default, and one of its rival."""
    budgets_s = sorted({line["budget_s"] for line in runs})
    heads = ["data", "metric", "baseline", "architecture", *(f"{budget_s} s" for budget_s in budgets_s)]
    rows = [f"| {' | '.join(heads)} |", f"|---|---|--:|---|{'--:|' * len(budgets_s)}"]
    stages = {stage: _by_budget([line for line in runs if line["stage"] == stage]) for stage in ("final", "rivals")}
    for data in sorted({line["data"] for line in runs}):
        of_data = [{budget_s: cells[data, budget_s] for budget_s in budgets_s if (data, budget_s) in cells}
                   for cells in stages.values()]  # fmt: skip
        own, rival = of_data
        first = next(iter((own or rival).values()))[0]
        head = [data + " (held out)" * _is_unseen(first), find_metric(first["metric"]).label,
                _baseline(baselines.get(data))]  # fmt: skip
        for cells, other, name in ((own, rival, " (default)"), (rival, own, "")):
            if cells:
                arch = next(iter(cells.values()))[0]["config"]["arch"]
                values = [_cell(cells.get(one, []), other.get(one, []), baselines.get(data)) for one in budgets_s]
                rows.append(f"| {' | '.join([*head, arch + name, *values])} |")
                head = ["", "", ""]
    return [*rows, *_counts(stages["final"], baselines)]


def _cell(own: Sequence[Line], other: Sequence[Line], baseline: Line | None) -> str:
    """The mean over seeds and their standard deviation; bold at or above the baseline, marked if `other` is worse."""
    if not own:
        return ""
    values = [line["test"] for line in own]
    text = _mean(own)
    if len(values) > 1 and None not in values:
        text += f"{SPREAD}{find_metric(own[0]['metric']).number(stdev(values))}"
    if _is_at_or_above(own, baseline):
        text = f"**{text}**"
    if other and mean_score(own) > mean_score(other):
        text += " ↑"
    return text if len(own) >= COMPLETE else f"{text} ({len(own)} of {COMPLETE} seeds)"


def _is_at_or_above(own: Sequence[Line], baseline: Line | None) -> bool:
    return baseline is not None and mean_score(own, "test") >= value(baseline, "test")


def _is_unseen(line: Line) -> bool:
    return line["held_out"] and line["data"] not in SEEN


def _counts(cells: Mapping[tuple[str, int], Sequence[Line]], baselines: Mapping[str, Line]) -> list[str]:
    """For each budget, on how many data sets the default is at or above the strongest baseline."""
    rows = []
    for budget_s in sorted({budget_s for _, budget_s in cells}):
        complete = {data: own for (data, one), own in cells.items()
                    if one == budget_s and len(own) >= COMPLETE and data in baselines}  # fmt: skip
        outcomes = {data: _is_at_or_above(own, baselines[data]) for data, own in complete.items()}
        unseen = [outcomes[data] for data, own in complete.items() if _is_unseen(own[0])]
        of_unseen = f", on {sum(unseen)} of the {len(unseen)} that are held out" if unseen else ""
        share = f"{sum(outcomes.values())} of {len(outcomes)} data sets"
        if outcomes:
            rows += ["", f"At {budget_s} s the default is at or above the strongest baseline on {share}{of_unseen}."]
    return rows


def _by_budget(runs: Sequence[Line]) -> dict[tuple[str, int], list[Line]]:
    cells = defaultdict(list)
    for line in runs:
        cells[line["data"], line["budget_s"]].append(line)
    return dict(cells)


def _choice_table(runs: Sequence[Line], baselines: Mapping[str, Line]) -> list[str]:
    """The stages `choose` and `confirm`."""
    rows = [
        "| data | budget | metric | default | baseline | best | seeds |",
        "|---|--:|---|--:|--:|--:|--:|",
    ]
    for (data, budget_s), lines in sorted(_by_budget(runs).items()):
        of_cell = {name: own for (_, _, name), own in _cells(lines).items()}
        best = max(of_cell, key=lambda name: mean_score(of_cell[name]))
        row = [
            data, f"{budget_s} s", find_metric(lines[0]["metric"]).label, _mean(of_cell.get(DEFAULT, [])),
            _baseline(baselines.get(data)), f"{_mean(of_cell[best])} ({best})", str(len(of_cell[best])),
        ]  # fmt: skip
        rows.append(f"| {' | '.join(row)} |")
    return rows


def _mean(lines: Sequence[Line]) -> str:
    """The mean over seeds on the test items, in the metric's own direction."""
    if not lines:
        return ""
    values = [line["test"] for line in lines]
    metric = find_metric(lines[0]["metric"])
    return "failed" if None in values else metric.number(sum(values) / len(values))


def _baseline(line: Line | None) -> str:
    return "" if line is None or line["test"] is None else f"{_mean([line])} ({line['best']})"


def _options_table(runs: Sequence[Line]) -> list[str]:
    """Every option alone against the default, with the shortest budget and the same seeds, over the data sets."""
    cells = {(data, name): {line["seed"]: line for line in own}
             for (data, budget_s, name), own in _cells(runs).items() if budget_s == SHORTEST_S}  # fmt: skip
    wins: dict[str, list[float]] = defaultdict(list)
    for (data, name), own in sorted(cells.items()):
        default = cells.get((data, DEFAULT), {})
        if name != DEFAULT and " + " not in name and (shared := sorted(own.keys() & default.keys())):
            gap = mean_score([own[seed] for seed in shared]) - mean_score([default[seed] for seed in shared])
            wins[name].append(0.5 if math.isnan(gap) or gap == 0 else float(gap > 0))
    rows = [f"| option | data sets | better than the default on | [{LEVEL:.0%}] |", "|---|--:|--:|--:|"]
    for name, values in sorted(wins.items(), key=lambda item: -np.mean(item[1])):
        rows.append(f"| {name} | {len(values)} | {np.mean(values):.0%} | {_interval(values, '.0%')} |")
    return rows


def _ranks_table(runs: Sequence[Line]) -> list[str]:
    """The mean rank of the configurations that were trained on all of a group's data sets, for each budget."""
    rows = [f"| budget | configuration | mean rank | [{LEVEL:.0%}] |", "|--:|---|--:|--:|"]
    for budget_s in sorted({line["budget_s"] for line in runs}):
        for name, ranks in mean_ranks([line for line in runs if line["budget_s"] == budget_s])[:MOST_ROWS]:
            rows.append(f"| {budget_s} s | {name} | {np.mean(ranks):.1f} | {_interval(ranks, '.1f')} |")
    return rows


def _longer(runs: Sequence[Line]) -> list[str]:
    """How often the interval of the other data sets contains what trainings three times as long gained."""
    chains = chains_of(runs)
    if len({chain.data for chain in chains}) < 2:
        return ["Not measured."]
    inside = held_out_coverage(chains)
    rows = [
        LONGER,
        "",
        f"| data set left out | trainings | in the interval of {LEVEL_OF_LONGER:.0%} |",
        "|---|--:|--:|",
        *(f"| {data} | {len(outcomes)} | {np.mean(outcomes):.0%} |" for data, outcomes in inside.items()),
    ]
    overall = np.mean([np.mean(outcomes) for outcomes in inside.values()])
    return [*rows, f"| mean of the data sets | {len(chains)} | {overall:.0%} |"]


def mean_ranks(runs: Sequence[Line]) -> list[tuple[str, list[float]]]:
    """The ranks of each configuration on the data sets that are not held out, the best mean first.

    Only configurations that were trained on all of these take part, with the seeds that all of them have.
    """
    runs = [line for line in runs if not line["held_out"]]
    cells = {(data, name): own for (data, _, name), own in _cells(runs).items()}
    data_sets, names = sorted({data for data, _ in cells}), sorted({name for _, name in cells})
    everywhere = [name for name in names if all((data, name) in cells for data in data_sets)]
    if not everywhere:
        return []
    of_all = [{line["seed"] for line in cells[data, name]} for data in data_sets for name in everywhere]
    seeds = set.intersection(*of_all)
    ranks: Any = []
    for data in data_sets:
        scores = [mean_score([line for line in cells[data, name] if line["seed"] in seeds]) for name in everywhere]
        ranks.append(rankdata([-score for score in scores]))
    by_name = [(name, [float(row[i]) for row in ranks]) for i, name in enumerate(everywhere)]
    return sorted(by_name, key=lambda item: np.mean(item[1]))


def _interval(values: Sequence[float], form: str) -> str:
    """The interval of the mean over data sets; one data set says nothing of others."""
    if len(values) < 2:
        return ""
    low, high = bootstrap_interval(values)
    return f"{low:{form}} to {high:{form}}"


def bootstrap_interval(values: Sequence[float], draws: int = 2000) -> tuple[float, float]:
    """The percentile interval of the mean when the data sets are drawn again."""
    array = np.asarray(values, dtype=float)
    chosen = np.random.Generator(np.random.PCG64(0)).integers(len(array), size=(draws, len(array)))
    low, high = np.quantile(array[chosen].mean(1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
