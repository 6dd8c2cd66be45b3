"""The battery of faithfulness tests of a trained run, calibrated on planted problems."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sightline.core.errors import InputError
from sightline.core.modes import evaluating
from sightline.core.seeds import derive
from sightline.inspect.calibration import UNOWNED, CallWorth, KnownMap, known_maps, worth_of
from sightline.inspect.explained import REFERENCES, ExplainedItem, ShownMap
from sightline.inspect.faithfulness import SHARES
from sightline.inspect.faithfulness_results import (
    CalibratedTest,
    CallRate,
    ErasureCurve,
    Faithfulness,
    MethodPair,
    PlantedResult,
)
from sightline.inspect.faithfulness_tests import TESTS, FaithfulnessTest, rank_correlation
from sightline.inspect.faithfulness_verdict import judged, overall, reason_against
from sightline.inspect.influence_map import InspectedModel
from sightline.inspect.planted_training import ROUNDS
from sightline.inspect.rates import calls_faithful, mean_interval, rate_of
from sightline.inspect.retraining import check_budget, retrained_tests
from sightline.tasks.load import Part, load, part_of_data, part_of_run
from sightline.tasks.planted import SIZES, PlantedSizes
from sightline.tasks.task import Task

ITEMS = 100
SHORTEST = 3  # positions
EFFECT, RANDOM = "effect", "random"

logger = logging.getLogger("sightline")


@torch.no_grad()
def faithfulness(
    of: str | Path | Task[Any, Any, Any],
    data: str | Path | None = None,
    *,
    items: int = ITEMS,
    seed: int = 0,
    replacements: int = 8,
    tests: Sequence[FaithfulnessTest] = TESTS,
    sizes: PlantedSizes = SIZES,
    rounds: int = ROUNDS,
    retrain: str | None = None,
    say: Callable[[str], object] = logger.info,
) -> Faithfulness:
    """Whether the maps of a model may be shown as explanations of its answers on some data.

    of: the directory of a run, or a task as `sightline.load` gives it
    data: a file of items, read as in training; None = the test part of the training's own data
    items: how many are looked at, evenly spaced; seed: of planted problems, of random orders and of what is drawn
    replacements: how often each position is replaced for its effect
    sizes: of each planted problem; rounds: of its training, at most
    retrain: the budget of each of two further trainings, or of five and an adversary, such as "60s"
        (`inspect.retraining`); None = without these tests
    say: told what is being done, a line at a time

    Raises:
        InputError: the model has no map that could be shown, or its task no planted problems; whatever is wrong with
            the run or the data.
    """
    name = str(of) if isinstance(of, str | Path) else ""
    task = load(of) if isinstance(of, str | Path) else of
    if retrain is not None:
        check_budget(retrain)
    part = _part(task, data)
    known, planted = _calibrated(task, part, tests, seed, sizes, rounds, replacements, say)
    looked = look_at(task, part.items, items, seed, replacements)
    say(f"tests of {len(looked)} {part.unit}")
    with evaluating(task.model):
        measured = {shown.name: _scores(looked, shown.name, tests, say) for shown in looked[0].maps}
        calibrated = [_calibrated_test(test, worth_of(test, known), looked) for test in tests]
        curves, pairs = _curves(looked), _pairs(looked)
    maps = [judged(shown, calibrated, measured[shown.name]) for shown in looked[0].maps]
    outcome, verdict = overall(maps, calibrated, planted, len(looked), part.unit)
    notes = dict.fromkeys(note for item in looked for note in item.notes)
    facts = InspectedModel(name or task.arch, task.arch, task.name, task.parameters)
    mean = float(np.mean([item.positions for item in looked]))
    return Faithfulness(
        facts, part.name, part.unit, len(looked), mean, seed, outcome, verdict, maps, calibrated, planted, curves,
        pairs, list(notes), retrained=None if retrain is None else retrained_tests(task, retrain, items, seed, say),
        answer_unit=looked[0].opened.answer_unit,
    )  # fmt: skip


def _part(task: Task[Any, Any, Any], data: str | Path | None) -> Part:
    """The items to look at.

    Raises:
        InputError: "nothing is known of the data of its training: name some with --data", and what reading raises.
    """
    if data is not None:
        return part_of_data(task, task.place, {"data": str(data)})
    if task.corpus is not None:
        return Part.of(task.corpus, "test", task.unit)
    if task.place is None:
        raise InputError("nothing is known of the data of its training: name some with --data")
    return part_of_run(task.place)


def _calibrated(
    task: Task[Any, Any, Any],
    part: Part,
    tests: Sequence[FaithfulnessTest],
    seed: int,
    sizes: PlantedSizes,
    rounds: int,
    replacements: int,
    say: Callable[[str], object],
) -> tuple[list[KnownMap], list[PlantedResult]]:
    """Scores of known maps over all planted problems."""
    known: list[KnownMap] = []
    results = []
    for planted in task.plant(part.items, seed, sizes):
        say(f"planted problem: {planted.name}")
        first = max((one.item for one in known), default=-1) + 1
        maps, result = known_maps(planted, tests, seed, first=first, rounds=rounds, replacements=replacements)
        known += maps
        results.append(result)
        say(f"{planted.name}: {result.reason or 'used'}, accuracy {result.accuracy:.2f}, {result.steps} steps")
    return known, results


def look_at(task: Task[Any, Any, Any], part: Any, items: int, seed: int, replacements: int) -> list[ExplainedItem]:
    """The items of a part that are long enough, each with one position of its answer.

    The position is drawn, but for an end of the sentence; where answers are read one after another it is the last one,
    which is read from all of the source.

    Raises:
        InputError: "no item has 3 positions and a map to show …".
    """
    looked = []
    with evaluating(task.model):
        for number, opened in enumerate(task.open_items(part, items)):
            count = len(opened.outputs)
            random = np.random.default_rng(derive(seed, "row", number))
            row = -1 if len(opened.reads) > 1 else int(random.integers(max(1, count - (opened.read is not None))))
            own = derive(seed, "item", number)
            item = ExplainedItem(task.model, opened, row, replacements=replacements, seed=own)
            if item.positions >= SHORTEST and item.maps:
                looked.append(item)
    if not looked:
        raise InputError(f"no item has {SHORTEST} positions and a map of a layer to show")
    return looked


def _scores(
    looked: Sequence[ExplainedItem], name: str, tests: Sequence[FaithfulnessTest], say: Callable[[str], object]
) -> dict[str, list[float]]:
    """The scores of one map of every item, by test."""
    say(f"map: {name}")
    scores: dict[str, list[float]] = {test.name: [] for test in tests}
    for item in looked:
        shown = next((one for one in item.maps if one.name == name), None)
        for test in tests:
            scores[test.name].append(float("nan") if shown is None else test.score(item, shown))
    return scores


def _calibrated_test(test: FaithfulnessTest, worth: CallWorth, looked: Sequence[ExplainedItem]) -> CalibratedTest:
    """The test with its rates on planted problems, and on this data of the effect and of shuffled effects."""
    control, shuffled = CallRate(EFFECT), CallRate("shuffled effect")
    threshold = worth.threshold
    if threshold is not None and test.group != "weights":
        passes: tuple[list[float], list[float]] = ([], [])
        for item in looked:
            effect = item.changes.mean(1)
            random = np.random.default_rng(derive(item.seed, "shuffled"))
            for calls, values in zip(passes, (effect, random.permutation(effect)), strict=True):
                score = test.score(item, ShownMap(UNOWNED, "", -1, values))
                calls.append(float(calls_faithful(score, threshold, test.faithful)))
        control, shuffled = rate_of(EFFECT, passes[0]), rate_of("shuffled effect", passes[1])
    about = test.name, test.group, test.definition, test.applies, test.faithful
    reason = reason_against(test, worth, control, shuffled)
    return CalibratedTest(
        *about, threshold, worth.hit, worth.false_alarm, worth.kinds, control, shuffled, not reason, reason
    )


def _curves(looked: Sequence[ExplainedItem]) -> list[ErasureCurve]:
    """The mean curves of every map, of random orders and of the order of effects."""
    averaged = []
    for way in looked[0].eraser.ways:
        orders = [shown.name for shown in looked[0].maps]
        rows: dict[str, list[Any]] = {name: [] for name in (*orders, RANDOM, EFFECT)}
        for item in looked:
            for shown in item.maps:
                if shown.name in rows:
                    rows[shown.name].append(item.curves(shown.values, way))
            for name, curves in zip((RANDOM, EFFECT), item.baselines[way], strict=True):
                rows[name].append(curves)
        for measure in ("comprehensiveness", "sufficiency"):
            for order, curves in rows.items():
                points = [mean_interval(column) for column in np.array([getattr(one, measure) for one in curves]).T]
                ends = ([getattr(point, end) for point in points] for end in ("mean", "low", "high"))
                averaged.append(ErasureCurve(way, measure, order, list(SHARES), *ends))
    return averaged


def _pairs(looked: Sequence[ExplainedItem]) -> list[MethodPair]:
    """Kendall's τ of all pairs of maps and other importances."""
    names = [*(shown.name for shown in looked[0].maps), *REFERENCES]
    taus: dict[tuple[str, str], list[float]] = {pair: [] for pair in combinations(names, 2)}
    for item in looked:
        values: dict[str, np.ndarray | None] = {shown.name: shown.values for shown in item.maps}
        values |= {name: item.reference(name) for name in REFERENCES}
        for first, second in taus:
            one, other = values.get(first), values.get(second)
            if one is not None and other is not None:
                taus[first, second].append(rank_correlation(one, other))
    return [MethodPair(first, second, *mean_interval(values)) for (first, second), values in taus.items() if values]
