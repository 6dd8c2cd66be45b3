"""C15: several heads do better than one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from torch import nn

from sightline.lab.claims.claim import Effort
from sightline.lab.claims.contests import Contest, accuracy_task, contest, likelihood_task, paired, standing, unit_of
from sightline.lab.claims.fitting import NextToken, Recipe
from sightline.lab.claims.numbers import curve_of, in_words, of_number, placed
from sightline.lab.claims.planted import FIRST, date_text, many_queries
from sightline.lab.claims.results import ClaimChart, ClaimOutcome, ClaimResult
from sightline.models.language_model import LanguageModelConfig
from sightline.models.match import count_parameters

ONE = "1 head"


class HeadCountSizes(NamedTuple):
    """How much is trained and tested."""

    counts: tuple[int, ...]
    steps: int
    seeds: int
    pairs: int


FULL, QUICK = HeadCountSizes((1, 2, 4, 8, 16), 400, 2, 6), HeadCountSizes((1, 4, 16), 150, 2, 4)


def head_counts(effort: Effort) -> ClaimResult:
    """A two-layer Transformer of one width whose heads share it: 1, 2, 4, 8 or 16, at equal parameters.

    Two tasks for a causal language model with rotary positions: the next character of dates as people write them in
    four languages (`builtin:dates`, nats per character), and multi-query recall, a list of pairs and then every key
    once more (accuracy of its value). The trainings of one seed see the same examples.

    Rule: on a task several heads do better than one if some number of heads is better than one head in paired
    differences over seeds and test examples, at 5 % after Holm's correction for the numbers compared. A task counts if
    the best model learned it (a loss below 0.7 of that of the characters' frequencies, an accuracy of 0.5). The claim
    holds if they do so on every task that counts. It does not hold if on every one each number of heads is practically
    the same as one, within the metric's margin (1 % of the loss, 1 point of accuracy), or worse. Otherwise it depends:
    on the task, or not decided by so few runs.
    """
    counts, steps, seeds, pairs = effort.choose(FULL, QUICK)
    seeds = effort.some_seeds(seeds)
    text, characters = date_text()
    vocabulary = {"text": characters, "recall": FIRST + 32 + 16}
    tasks = [
        likelihood_task("next character of dates", text),
        accuracy_task("multi-query recall", many_queries(pairs)),
    ]
    parameters = {count_parameters(_config(count), vocabulary["text"]) for count in counts}
    if len(parameters) > 1:
        raise AssertionError(f"heads change the number of parameters: {sorted(parameters)}")
    recipe = Recipe(steps, 32)
    contests = [
        contest(task, {name_of(count): partial(_build, count, size) for count in counts}, recipe, seeds, effort.say)
        for task, size in zip(tasks, vocabulary.values())
    ]
    numbers = [number for one in contests for number in one.numbers()]
    numbers += [number for one in contests for number in one.differences(ONE)]
    return ClaimResult(
        *placed(judge, contests),
        numbers=numbers,
        charts=[
            ClaimChart(
                one.task,
                "heads",
                one.metric.label,
                [curve_of(one.metric.label, counts, np.stack(list(one.means().values()), 1), one.metric.limits)],
                log_x=True,
            )
            for one in contests
        ],
        conditions=(
            f"two layers of width 64 with {parameters.pop():,} parameters on dates; {steps} steps of {recipe.batch}; "
            f"{len(seeds)} seeds; {effort.conditions()}"
        ),
        limits="Two small tasks and one width; larger models and texts may need more heads.",
    )


def name_of(count: int) -> str:
    """The number of heads in words."""
    return ONE if count == 1 else f"{count} heads"


def _config(count: int) -> LanguageModelConfig:
    return LanguageModelConfig(d_model=64, layers=2, heads=count, dropout=0.0)


def _build(count: int, vocabulary: int) -> nn.Module:
    return NextToken(_config(count).build(vocabulary))


def judge(contests: Sequence[Contest]) -> tuple[ClaimOutcome, str]:
    """The outcome by the rule of `head_counts`, and what was measured in words."""
    better, none, parts = [], [], []
    for one in contests:
        if not one.learned:
            parts.append(f"{one.task} was not learned and does not count")
            continue
        pairs = one.pairs(ONE)
        standings = {name: standing(pair, name) for name, pair in pairs.items()}
        better.append("better" in standings.values())
        none.append(all(each in ("practically the same", "worse") for each in standings.values()))
        changes = {name: paired(one, pair, name) for name, pair in pairs.items()}
        each = ", ".join(
            f"{of_number(changes[name].name, name, 'name')} {in_words(changes[name], 3)} ({stands})"
            for name, stands in standings.items()
        )
        parts.append(f"{one.task}, less one head: {each} {unit_of(one.metric)}".strip())
    summary = "; ".join(parts) + "."
    if not better:
        return "depends", f"Not decided: {summary}"
    if all(better):
        return "holds", f"Several heads did better than one: {summary}"
    if all(none):
        return "does not hold", f"Several heads did no better than one: {summary}"
    reason = "It depends on the task" if any(better) else "Not decided by so few runs"
    return "depends", f"{reason}: {summary}"
