"""C17: the residual stream, normalisation and feed-forward layers matter too."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from torch import nn

from sightline.core.digits import and_joined
from sightline.inspect.faithfulness import kendall, top_hits
from sightline.lab.claims.assembled import LAYERS, WIDTH, language_model
from sightline.lab.claims.claim import Effort
from sightline.lab.claims.classifiers import TASKS, importance_maps, trained, transformer
from sightline.lab.claims.contests import Contest, contest, likelihood_task, paired, standing, unit_of
from sightline.lab.claims.fitting import NextToken, Recipe
from sightline.lab.claims.numbers import (
    CORRELATION,
    SHARE,
    in_words,
    mean_of,
    mean_share,
    mean_within,
    placed,
    points_of,
)
from sightline.lab.claims.planted import date_text
from sightline.lab.claims.results import ClaimChart, ClaimNumber, ClaimOutcome, ClaimResult

WHOLE = "whole"


class PartSizes(NamedTuple):
    """Of the models without a part, and of the classifiers."""

    steps: int
    seeds: int
    classifier_steps: int
    classifier_seeds: int
    tested: int


FULL, QUICK = PartSizes(500, 3, 600, 4, 300), PartSizes(150, 2, 250, 1, 80)
PARTS = {"residual": "no residual stream", "norm": "no normalisation", "feed_forward": "no feed-forward layers"}
ATTENTION = "no attention"
WINDOW = 0.95  # share of causal words among as many most attended ones, from which it is a window into the answer
MAPS = ("attention", "rollout", "value-weighted")


class WindowQuality(NamedTuple):
    """Of one task: hits and agreement with the causal effect of each map, a number for each seed."""

    task: str
    accuracy: list[float]
    hits: dict[str, list[float]]
    agreement: dict[str, list[float]]

    @property
    def learned(self) -> bool:
        """Whether every training learned the task."""
        return min(self.accuracy) >= WINDOW


def components(effort: Effort) -> ClaimResult:
    """A causal Transformer trained without one of its parts, and maps of attention beside the causal effect.

    Text: the next character of dates as people write them (`builtin:dates`). Each part is left out of a model of its
    own from the beginning. The second half looks into a two-layer Transformer classifier on the planted tasks of C16:
    raw attention of the last layer, rollout (Abnar & Zuidema 2020) and value-weighted norms (Kobayashi et al. 2020), by
    their hits of the planted words and by Kendall's τ with the effect of replacing each word.

    Rule: a part matters if the model without it is worse than the whole one in paired differences over seeds and test
    examples, at 5 % after Holm's correction. Raw attention is a window if on every planted task that was learned
    (accuracy 0.95) a share of 0.95 of the most attended words, as many as are causal, is causal. The claim holds if the
    residual stream, normalisation and feed-forward layers all matter and raw attention is not a window. It does not
    hold if none of the three matters and raw attention is a window. Otherwise it depends: on the part, or on the task.
    """
    steps, seeds = effort.choose(FULL, QUICK)[:2]
    seeds = effort.some_seeds(seeds)
    text, characters = date_text()
    entrants = {WHOLE: partial(_build, characters)}
    entrants |= {label: partial(_build, characters, **{part: False}) for part, label in PARTS.items()}
    entrants[ATTENTION] = partial(_build, characters, attention=False)
    recipe = Recipe(steps, 32)
    removed = contest(likelihood_task("next character of dates", text), entrants, recipe, seeds, effort.say)
    looked = [_window(effort, place) for place in range(len(TASKS))]
    numbers = [
        mean_of(f"loss, {name}", of_seeds, unit_of(removed.metric)) for name, of_seeds in removed.means().items()
    ]
    numbers += removed.differences(WHOLE)
    for one in looked:
        numbers += [_hits(one, name) for name in one.hits]
        numbers += [
            mean_within(f"{one.task}: τ of {name} and effect", values, CORRELATION)
            for name, values in one.agreement.items()
        ]
    return ClaimResult(
        *placed(judge, removed, looked),
        numbers=numbers,
        charts=_charts(removed, looked),
        conditions=(
            f"{LAYERS} layers of width {WIDTH}; {steps} steps of {recipe.batch}; {len(seeds)} seeds; "
            f"{effort.conditions()}"
        ),
        limits="Two layers: what depth needs of residuals and norms shows only in deeper models.",
    )


def _build(characters: int, **parts: bool) -> nn.Module:
    return NextToken(language_model(characters, **parts))


def _window(effort: Effort, place: int) -> WindowQuality:
    task = TASKS[place]
    _, _, steps, seeds, tested = effort.choose(FULL, QUICK)
    accuracy: list[float] = []
    hits: dict[str, list[float]] = {name: [] for name in MAPS}
    agreement: dict[str, list[float]] = {name: [] for name in MAPS}
    for seed in effort.some_seeds(seeds):
        effort.say(f"C17: {task.name}, seed {seed}")
        one = trained(task, transformer, Recipe(steps), seed, tested)
        maps = importance_maps(one)
        accuracy.append(one.accuracy)
        for name in MAPS:
            hits[name].append(float(top_hits(maps[name], one.causal, one.mask).double().mean()))
            agreement[name].append(float(np.nanmean(kendall(maps[name], maps["replacement"], one.mask))))
    return WindowQuality(task.name, accuracy, hits, agreement)


def judge(removed: Contest, looked: Sequence[WindowQuality]) -> tuple[ClaimOutcome, str]:
    """The outcome by the rule of `components`, and what was measured in words."""
    pairs = removed.pairs(WHOLE)
    changes = ", ".join(f"{name} {in_words(paired(removed, pair, name), 3)}" for name, pair in pairs.items())
    summary = [f"the loss rose by ({unit_of(removed.metric)}): {changes}"]
    counted = [one for one in looked if one.learned]
    for one in counted:
        each = ", ".join(f"{name} {in_words(_hits(one, name))}" for name in one.hits)
        summary.append(f"{one.task}, causal words named first: {each}")
    text = "; ".join(summary) + "."
    text = text[0].upper() + text[1:]
    if not removed.learned or not counted:
        return "depends", f"Not decided, as a task was not learned: {text}"
    matter = [label for label in PARTS.values() if standing(pairs[label], label) == "worse"]
    window = all(float(np.mean(one.hits["attention"])) >= WINDOW for one in counted)
    if len(matter) == len(PARTS) and not window:
        return "holds", text
    if not matter and window:
        return "does not hold", text
    reasons = []
    if len(matter) < len(PARTS):
        reasons.append(f"worse with {and_joined(matter) or 'none of the three left out'}, not shown for the others")
    if window:
        reasons.append("raw attention named the causal words wherever it was tried")
    return "depends", f"It depends: {'; '.join(reasons)}. {text}"


def _hits(one: WindowQuality, name: str) -> ClaimNumber:
    return mean_share(f"{one.task}: hits of {name}", one.hits[name])


def _charts(removed: Contest, looked: Sequence[WindowQuality]) -> list[ClaimChart]:
    means = removed.means()
    hits = [points_of(name, [one.hits[name] for one in looked], limits=SHARE) for name in MAPS]
    loss = f"loss ({unit_of(removed.metric)})"
    return [
        ClaimChart("Loss without a part", "", loss, [points_of("loss", list(means.values()))], categories=list(means)),
        ClaimChart("Causal words that are named first", "", "hits", hits, categories=[one.task for one in looked]),
    ]
