"""The calibration of a test: its scores of maps that are known to point at what an answer depends on, and of others.

Models of the run's architecture are trained on planted problems (`tasks.planted`). A problem is used where its model
has learned it and is seen to use the planted positions: the effect of replacing finds them. Of every held-out item the
maps are then known to be right or wrong:

- right: a made map of the planted positions with a little noise; the model's own maps where the planted positions are
  the most important ones
- wrong: the made map with its values shuffled, and that of another item; the model's own maps where none of the planted
  positions is among as many most important ones. Maps that are neither are left out

Half of the items choose each test's threshold, the other half gives its hit rate and its false-alarm rate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch

from sightline.core.modes import evaluating
from sightline.core.seeds import derive
from sightline.inspect.explained import ExplainedItem, ShownMap, ranks_causal
from sightline.inspect.faithfulness_results import CallRate, PlantedResult
from sightline.inspect.faithfulness_tests import FaithfulnessTest
from sightline.inspect.planted_training import LEARNED, ROUNDS, accuracy_of, train_planted
from sightline.inspect.rates import best_threshold, calls_faithful, rate_of
from sightline.tasks.planted import Planted

NOISE = 0.1  # of the made maps
UNOWNED = "made"  # the method of a map that no layer has

MapKind = Literal["made map", "own map that points there", "shuffled map", "map of another item", "own map elsewhere"]
RIGHT: tuple[MapKind, ...] = ("made map", "own map that points there")
WRONG: tuple[MapKind, ...] = ("shuffled map", "map of another item", "own map elsewhere")


class KnownMap(NamedTuple):
    """A map that is known to be right or wrong, with its scores by test.

    item: its number over all problems; rates: whether it is of the half that gives rates
    """

    item: int
    kind: MapKind
    rates: bool
    scores: dict[str, float]


class CallWorth(NamedTuple):
    """A test's threshold, and its rates on the half of the items that did not choose it."""

    threshold: float | None
    hit: CallRate
    false_alarm: CallRate
    kinds: list[CallRate]


@torch.no_grad()
def known_maps(
    planted: Planted,
    tests: Sequence[FaithfulnessTest],
    seed: int,
    *,
    first: int = 0,
    rounds: int = ROUNDS,
    replacements: int = 8,
) -> tuple[list[KnownMap], PlantedResult]:
    """Train a model on one problem, and score maps of its held-out items; no maps where the problem cannot be used.

    A problem with a fault is not trained on.

    first: the number of the first item
    """
    held = planted.measured
    model = planted.task.model
    with evaluating(model):
        fault = planted.fault
    if fault:
        return [], _unused(planted, fault, accuracy_of(planted, held))
    with torch.enable_grad():
        training = train_planted(planted, seed, rounds)
    with evaluating(model):
        looked = []
        for number, item in enumerate(held):
            opened = planted.open(item.input)
            causal = planted.causal(item, opened).cpu().numpy()
            own = derive(seed, planted.name, number)
            one = ExplainedItem(model, opened, planted.row, replacements=replacements, seed=own, causal=causal)
            looked.append(one)
        facts = _seen(planted, looked, training.steps, accuracy_of(planted, held))
        known = _scored(looked, tests, first) if facts.used else []
    return known, facts


def _seen(planted: Planted, looked: Sequence[ExplainedItem], steps: int, accuracy: float) -> PlantedResult:
    """Whether a trained model uses the planted positions."""
    effect = _hits(looked, lambda item: item.reference("effect"))
    removal = _hits(looked, lambda item: item.reference("leave_one_out"))
    own: dict[str, list[float]] = defaultdict(list)
    for item in looked:
        for shown in item.maps:
            own[shown.name].append(ranks_causal(shown.values, _causal(item)))
    reason = ""
    if accuracy < LEARNED:
        reason = f"not learned: accuracy {accuracy:.2f}, below {LEARNED}"
    elif effect is None or effect < LEARNED:
        reason = f"not used: the effect finds {effect or 0.0:.2f} of the planted positions, below {LEARNED}"
    return PlantedResult(
        planted.name, planted.meaning, planted.own, not reason, reason, accuracy, effect, removal,
        {name: float(np.mean(hits)) for name, hits in own.items()}, steps, planted.task.parameters, len(looked),
    )  # fmt: skip


def _unused(planted: Planted, reason: str, accuracy: float) -> PlantedResult:
    """The result of a problem whose model was not trained."""
    about = planted.name, planted.meaning, planted.own, False, reason
    return PlantedResult(*about, accuracy, None, None, {}, 0, planted.task.parameters, 0)


def _causal(item: ExplainedItem) -> np.ndarray:
    assert item.causal is not None
    return item.causal


def _hits(looked: Iterable[ExplainedItem], of: Callable[[ExplainedItem], np.ndarray | None]) -> float | None:
    hits = [ranks_causal(values, _causal(item)) for item in looked if (values := of(item)) is not None]
    return float(np.mean(hits)) if hits else None


def _scored(looked: Sequence[ExplainedItem], tests: Sequence[FaithfulnessTest], first: int) -> list[KnownMap]:
    planted_maps = [_planted_map(item) for item in looked]
    known = []
    for number, item in enumerate(looked):
        random = np.random.default_rng(derive(item.seed, "shuffled"))
        beside = planted_maps[(number + 1) % len(planted_maps)]
        other = np.resize(beside, item.positions)
        candidates: list[tuple[MapKind, MapKind, ShownMap]] = [
            ("made map", "shuffled map", _unowned(planted_maps[number])),
            ("made map", "shuffled map", _unowned(random.permutation(planted_maps[number]))),
            ("made map", "map of another item", _unowned(other)),
            *(("own map that points there", "own map elsewhere", shown) for shown in item.maps),
        ]
        for right, wrong, shown in candidates:
            hit = ranks_causal(shown.values, _causal(item))
            if hit not in (0.0, 1.0):
                continue
            kind = right if hit else wrong
            if kind == "made map" and shown is not candidates[0][2]:
                continue  # a shuffle that changed nothing
            scores = {test.name: test.score(item, shown) for test in tests}
            known.append(KnownMap(first + number, kind, number % 2 == 1, scores))
    return known


def _planted_map(item: ExplainedItem) -> np.ndarray:
    """The planted positions, each about 1, and noise, as a map that sums to 1."""
    random = np.random.default_rng(derive(item.seed, "made"))
    values = NOISE * random.random(item.positions) + _causal(item)
    return values / values.sum()


def _unowned(values: np.ndarray) -> ShownMap:
    return ShownMap(UNOWNED, "", -1, values)


def worth_of(test: FaithfulnessTest, known: Sequence[KnownMap]) -> CallWorth:
    """The threshold of a test, and how often its word is right."""
    chosen = [one for one in known if not one.rates and np.isfinite(one.scores[test.name])]
    threshold = best_threshold(
        [one.scores[test.name] for one in chosen if one.kind in RIGHT],
        [one.scores[test.name] for one in chosen if one.kind in WRONG],
        test.faithful,
    )
    if threshold is None:
        return CallWorth(None, CallRate("hit"), CallRate("false alarm"), [])
    rated = [one for one in known if one.rates and (test.group != "weights" or np.isfinite(one.scores[test.name]))]

    def rate(name: str, kinds: Sequence[MapKind]) -> CallRate:
        by_item: dict[int, list[bool]] = defaultdict(list)
        for one in rated:
            if one.kind in kinds:
                by_item[one.item].append(calls_faithful(one.scores[test.name], threshold, test.faithful))
        return rate_of(name, [float(np.mean(calls)) for calls in by_item.values()])

    kinds = [rate(kind, (kind,)) for kind in (*RIGHT, *WRONG)]
    return CallWorth(threshold, rate("hit", RIGHT), rate("false alarm", WRONG), kinds)
