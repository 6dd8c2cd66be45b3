"""C16: attention weights can be read as a map of what mattered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sightline.core.seeds import derive
from sightline.core.sourced import sourced
from sightline.inspect.alternatives import adversarial_attention, answers_with, permuted_attention, uniform_weights
from sightline.inspect.faithfulness import erasure_curves, kendall, top_hits
from sightline.inspect.heads import heads_of
from sightline.lab.claims.claim import Effort
from sightline.lab.claims.classifiers import MODELS, TASKS, InspectedClassifier, PlantedTask, importance_maps, trained
from sightline.lab.claims.fitting import Recipe
from sightline.lab.claims.numbers import (
    CORRELATION,
    POSITIVE,
    SHARE,
    in_words,
    mean_of,
    mean_share,
    mean_within,
    of_number,
    placed,
    points_of,
)
from sightline.lab.claims.results import ClaimChart, ClaimNumber, ClaimOutcome, ClaimResult

FINDS = 0.95  # share of causal words among as many most attended ones
MATTERS = 0.25  # median change of the answer when the weights are permuted
LEARNED = 0.95  # accuracy
SHARES = (0.1, 0.2, 0.5)
PERMUTED, ADVERSARIAL = "permuted attention", "adversarial attention"


class MapSizes(NamedTuple):
    """How much is trained and tested."""

    steps: int
    seeds: int
    tested: int
    permutations: int
    starts: int
    search: int


FULL, QUICK = MapSizes(600, 4, 300, 100, 5, 100), MapSizes(300, 1, 100, 25, 3, 50)


class MapQuality(NamedTuple):
    """The quality of the maps of one kind of model on one task; lists have a number for each seed.

    hits: of each map the share of causal words among as many most important ones; agreement: Kendall's τ of attention
    with gradients and with leaving out; permuted: the median change of the answer, None without one pooled
    attention; adversarial: the mean divergence of the most different weights with the same answer, in nats
    """

    task: str
    model: str
    accuracy: list[float]
    hits: dict[str, list[float]]
    agreement: dict[str, list[float]]
    erasure: dict[str, list[float]]
    uniform: dict[str, list[float]]
    permuted: list[float] | None = None
    adversarial: list[float] | None = None

    @property
    def learned(self) -> bool:
        """Whether every training learned the task."""
        return min(self.accuracy) >= LEARNED

    @property
    def faithful(self) -> bool:
        """Whether attention may be read as a map here, by the rule of `attention_maps`."""
        finds = float(np.mean(self.hits["attention"])) >= FINDS
        return finds and (self.permuted is None or float(np.mean(self.permuted)) >= MATTERS)


def attention_maps(effort: Effort) -> ClaimResult:
    """Attention beside what is known to matter, on tasks whose causal words are planted, for three kinds of models.

    Tasks: one trigger word decides the label; the first of two triggers decides; the value of the key that the last
    word asks for, to which all three words are causal. Models: additive attention over word vectors, over a
    bidirectional LSTM, and a two-layer Transformer with a class token, whose map is the mean of its last layer's heads.
    Each test of the map is calibrated by the planted words: its hits, for attention, gradients, leaving a word out and
    replacing it. For the pooled models also the tests of Jain & Wallace 2019 (permuted and adversarial attention, the
    latter with a change of the answer of at most 0.01), even weights, frozen and trained (Wiegreffe & Pinter 2019), and
    the erasure curves of DeYoung et al. 2020.

    Rule: attention is a map of what mattered for a model on a task if of the most attended words, as many as are causal
    in a sentence, a share of 0.95 is causal and, where one pooled attention exists, permuting its weights changes the
    answer by a total variation of 0.25 in the median. A model counts on a task that it learned (accuracy 0.95 in every
    training). The claim holds if attention is such a map wherever a model counts. It does not hold if it is nowhere.
    Otherwise it depends: on the model and the task, which are named.
    """
    sizes = effort.choose(FULL, QUICK)
    seeds = effort.some_seeds(sizes.seeds)
    qualities = []
    for task in TASKS:
        for name in MODELS:
            rows = []
            for seed in seeds:
                rows.append(_measure(task, name, seed, sizes))
                effort.say(f"C16: {task.name}, {name}, seed {seed}: accuracy {rows[-1].accuracy[0]:.3f}")
            qualities.append(_joined(rows))
    return ClaimResult(
        *placed(judge, qualities),
        numbers=_numbers(qualities),
        charts=_charts(qualities),
        conditions=f"width 64; {sizes.steps} steps of 64; {sizes.tested} test sentences; {len(seeds)} seed(s); "
        + effort.conditions(),
        limits=(
            "Made sentences in which one word, or three, decide. On real text what matters is not known, and only the "
            "tests without planted words remain."
        ),
    )


def _measure(task: PlantedTask, name: str, seed: int, sizes: MapSizes) -> MapQuality:
    recipe = Recipe(sizes.steps)
    one = trained(task, MODELS[name], recipe, seed, sizes.tested)
    maps = importance_maps(one)
    hits = {each: [_mean(top_hits(of_map, one.causal, one.mask))] for each, of_map in maps.items()}
    agreement = {
        each: [float(np.nanmean(kendall(maps["attention"], maps[each], one.mask)))]
        for each in ("gradient", "leave one out")
    }
    quality = MapQuality(task.name, name, [one.accuracy], hits, agreement, _erasure(one, maps, seed), {})
    if heads_of(one.model) or one.accuracy < LEARNED:
        return quality
    generator = torch.Generator().manual_seed(derive(seed, "weights"))
    some = slice(0, 100)
    tokens, mask = one.tokens[some], one.mask[some]
    permuted = permuted_attention(one.model, tokens, mask, generator, sizes.permutations)
    search = {"starts": sizes.starts, "steps": sizes.search}
    adversarial = adversarial_attention(one.model, tokens, mask, generator, **search)
    labels = one.model(one.tokens, one.mask).argmax(1)
    frozen = answers_with(one.model, one.tokens, one.mask, uniform_weights(one.mask)).argmax(1)
    even = trained(task, lambda size: MODELS[name](size, "mean"), recipe, seed, sizes.tested)
    return quality._replace(
        permuted=[_mean(permuted)],
        adversarial=[_mean(adversarial.divergence)],
        uniform={"frozen model": [_mean(frozen == labels)], "trained with them": [even.accuracy]},
    )


def _erasure(one: InspectedClassifier, maps: dict[str, Tensor], seed: int) -> dict[str, list[float]]:
    """The mean of both curves for attention, for leaving out, and for a random order."""
    generator = torch.Generator().manual_seed(derive(seed, "order"))
    orders = {name: maps[name] for name in ("attention", "leave one out")}
    orders["random order"] = torch.rand(one.tokens.shape, generator=generator)
    means = {}
    for name, of_map in orders.items():
        curves = erasure_curves(one.model, one.tokens, one.mask, of_map, SHARES)
        means[f"comprehensiveness, {name}"] = [_mean(curves.comprehensiveness)]
        means[f"sufficiency, {name}"] = [_mean(curves.sufficiency)]
    return means


def _mean(values: Tensor) -> float:
    return float(values.double().mean())


def _joined(rows: Sequence[MapQuality]) -> MapQuality:
    """The numbers of several seeds; a test that was left out for one of them is left out."""

    def lists(name: str) -> list[float] | None:
        parts = [getattr(row, name) for row in rows]
        return None if None in parts else [value for part in parts for value in part]

    def tables(name: str) -> dict[str, list[float]]:
        parts = [getattr(row, name) for row in rows]
        keys = [key for key in parts[0] if all(key in part for part in parts)]
        return {key: [value for part in parts for value in part[key]] for key in keys}

    values: dict[str, Any] = {name: lists(name) for name in ("accuracy", "permuted", "adversarial")}
    values |= {name: tables(name) for name in ("hits", "agreement", "uniform", "erasure")}
    return rows[0]._replace(**values)


def judge(qualities: Sequence[MapQuality]) -> tuple[ClaimOutcome, str]:
    """The outcome by the rule of `attention_maps`, and what was measured in words."""
    counted = [one for one in qualities if one.learned]
    if not counted:
        return "depends", "Not decided: no model learned a task."
    good, bad = [one for one in counted if one.faithful], [one for one in counted if not one.faithful]
    summary = "; ".join(
        f"{label}: {', '.join(f'{one.model} on {one.task} {_hits(one)}' for one in models)}"
        for label, models in (
            ("the most attended words were the causal ones and mattered", good),
            ("they were not, or did not", bad),
        )
        if models
    )
    far = {_name(one, ADVERSARIAL): float(np.mean(one.adversarial)) for one in counted if one.adversarial}
    if far:
        away = sourced(f"{np.mean(list(far.values())):.2f}", *(("numbers", name, "value") for name in far), how="mean")
        summary += f"; the same answers were possible with weights {away} of {np.log(2):.2f} nats away"
    text = summary[0].upper() + summary[1:] + "."
    if not bad:
        return "holds", text
    if not good:
        return "does not hold", text
    return "depends", f"It depends on the model and the task. {text}"


def _hits(one: MapQuality) -> str:
    hits = in_words(mean_share(_name(one, "hits of attention"), one.hits["attention"]))
    if one.permuted is None:
        return f"({hits})"
    return f"({hits}; permuted {of_number(_name(one, PERMUTED), f'{np.mean(one.permuted):.2f}')})"


def _name(one: MapQuality, what: str) -> str:
    return f"{one.task}, {one.model}: {what}"


def _numbers(qualities: Sequence[MapQuality]) -> list[ClaimNumber]:
    numbers = []
    for one in qualities:
        numbers.append(mean_share(_name(one, "accuracy"), one.accuracy))
        numbers += [mean_share(_name(one, f"hits of {each}"), values) for each, values in one.hits.items()]
        numbers += [
            mean_within(_name(one, f"τ of attention and {each}"), values, CORRELATION)
            for each, values in one.agreement.items()
        ]
        for label, values, unit in (
            (PERMUTED, one.permuted, ""),
            (ADVERSARIAL, one.adversarial, "nats"),
        ):
            numbers += [] if values is None else [mean_within(_name(one, label), values, POSITIVE, unit)]
        numbers += [mean_of(_name(one, f"even weights, {each}"), values) for each, values in one.uniform.items()]
        numbers += [mean_of(_name(one, each), values) for each, values in one.erasure.items()]
    return numbers


def _charts(qualities: Sequence[MapQuality]) -> list[ClaimChart]:
    names = [f"{one.model}, {one.task}" for one in qualities]
    maps = ("attention", "gradient", "leave one out", "replacement")
    curves = [points_of(each, [one.hits[each] for one in qualities], limits=SHARE) for each in maps]
    return [ClaimChart("Causal words among as many most important ones", "", "hits", curves, categories=names)]
