"""How often is the verdict of a comparison wrong, and how many seeds does it take? Simulated comparisons.

    python benchmarks/verify_verdict.py --repetitions 2000
    python benchmarks/verify_verdict.py --only recorded --go-on    # continues where it was stopped
    python benchmarks/verify_verdict.py --record    # trains the recorded networks again

Each repetition draws the item scores of `LAST` trainings of each architecture, and judges them three times with
`sightline.lab.stats.compare_items`: with `FIRST` seeds, with `LAST` seeds, and with seeds that are added one at a time
until the best architecture is decided against each other one (`--until-decided`). The scores come from

recorded: 24 trainings of one network (scikit-learn's, on its handwritten digits) that differ in their seed alone, dealt
    out to two architectures that are then identical, on resampled test items
others: models of easier and harder items, and of trainings that are alike, unlike, or sometimes learn late

Where the architectures are identical, a verdict that one is better is wrong; where they differ by the margin, a verdict
that they are practically the same is. Exit status 5 if either is said too often: 5 % is below the 95 % interval of its
rate.
"""

from __future__ import annotations

import argparse
import base64
import json
import math
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from record import Record, measured, record_options, write
from sightline.core.metrics import Metric
from sightline.lab.sequential import Look
from sightline.lab.stats import Comparison, compare_items
from sightline.lab.verdict import all_decided

RESULTS = Path(__file__).parent / "results"
OUT, RECORDED = RESULTS / "verdict.json", RESULTS / "verdict-scores.json"
FIRST, LAST, ITEMS, RESAMPLES = 3, 10, 300, 500  # resamples for each pair
RECORDINGS = 24
MARGIN = 0.05  # with 300 items 1 point could never be distinguished from none
SHARE = Metric("accuracy", "accuracy", "%", limits=(0.0, 1.0))
LEVEL = 0.05
BLOCK = 100  # repetitions between two writings of the results
WAYS, OUTCOMES = (f"{FIRST} seeds", f"{LAST} seeds", "until decided"), ("better", "practically the same")

Scores = dict[str, np.ndarray]  # (seeds, items) of each architecture


@dataclass(frozen=True)
class Scenario:
    """Architectures of which trainings are drawn; `wrong` is the outcome that no pair may get."""

    name: str
    description: str
    draw: Callable[[np.random.Generator], Scores]
    wrong: str = "better"


def answers(generator: np.random.Generator, ability: np.ndarray) -> np.ndarray:
    """Right or wrong (archs, seeds, items) of trainings with an ability (archs, seeds) in log-odds.

    Items differ in difficulty, the same for all.
    """
    odds = ability[..., None] + generator.normal(0, 1.5, ITEMS)
    return (generator.random(odds.shape) < 1 / (1 + np.exp(-odds))).astype(float)


def of_normal(spreads: Sequence[float], lead: float = 0.0) -> Callable[[np.random.Generator], Scores]:
    """Trainings whose log-odds vary normally, by these standard deviations; the first is better by `lead`."""

    def draw(generator: np.random.Generator) -> Scores:
        ability = 1.5 + generator.normal(0, 1, (len(spreads), LAST)) * np.array(spreads)[:, None]
        ability[0] += lead
        return {f"arch{i}": right for i, right in enumerate(answers(generator, ability))}

    return draw


def of_late_learners(generator: np.random.Generator) -> Scores:
    """Three of ten trainings learn late and are far behind."""
    ability = np.where(generator.random((2, LAST)) < 0.3, 0.0, 2.5)
    return {f"arch{i}": right for i, right in enumerate(answers(generator, ability))}


def of_margin(generator: np.random.Generator) -> Scores:
    """Two whose expected scores differ by exactly the margin."""
    expected = np.clip(np.array([0.85, 0.85 - MARGIN])[:, None] + generator.normal(0, 0.01, (2, LAST)), 0, 1)
    easy = generator.random(ITEMS)  # an item is right where it is easier than the training's expected score demands
    moved = (easy + generator.uniform(0, 0.02, (2, LAST, ITEMS))) % 1.0
    return {f"arch{i}": right.astype(float) for i, right in enumerate(moved < expected[..., None])}


def of_recorded(generator: np.random.Generator) -> Scores:
    """Recorded trainings of one architecture, dealt out to two, on resampled items."""
    scores = recorded()
    dealt = generator.permutation(len(scores))[: 2 * LAST].reshape(2, LAST)
    items = generator.integers(scores.shape[1], size=ITEMS)
    return {f"arch{i}": scores[seeds][:, items] for i, seeds in enumerate(dealt)}


SCENARIOS = [
    Scenario("recorded", "two deals of the recorded trainings", of_recorded),
    Scenario("alike", "two, trainings vary by 0.2 in log-odds", of_normal([0.2, 0.2])),
    Scenario("late", "two, 3 of 10 trainings learn late", of_late_learners),
    Scenario("unlike", "four, trainings vary by 0.02, 0.1, 0.3 and 0.8", of_normal([0.02, 0.1, 0.3, 0.8])),
    Scenario("at-margin", f"two that differ by the margin, {100 * MARGIN:g} points", of_margin, "practically the same"),
]
POWER = [
    Scenario(f"lead-{lead}", f"two, one better by {lead} in log-odds", of_normal([0.2, 0.2], lead), "")
    for lead in (0.2, 0.4, 0.6, 1.0)
]


def judged(scores: Scores, seeds: int, *, until: bool = False) -> Comparison:
    """The comparison of the first `seeds` trainings of each."""
    look = Look(seeds, FIRST, LAST) if until else None
    seen = {name: right[:seeds] for name, right in scores.items()}
    return compare_items(seen, SHARE, margin=MARGIN, look=look, resamples=RESAMPLES * math.comb(len(seen), 2))


def until_decided(scores: Scores) -> tuple[Comparison, int]:
    """The comparison at its last look, and the number of its seeds."""
    for seeds in range(FIRST, LAST + 1):
        comparison = judged(scores, seeds, until=True)
        if all_decided(comparison.pairs):
            break
    return comparison, seeds


def simulate(scenario: Scenario, block: int, seed: int) -> dict[str, Any]:
    """How often each way of choosing the number of seeds gives each outcome to some pair, in one block."""
    counts = {way: dict.fromkeys(OUTCOMES, 0) for way in WAYS}
    used = 0
    for repetition in range(block * BLOCK, (block + 1) * BLOCK):
        scores = scenario.draw(np.random.default_rng([seed, repetition]))
        last, seeds = until_decided(scores)
        used += seeds
        for way, comparison in zip(WAYS, (judged(scores, FIRST), judged(scores, LAST), last), strict=True):
            outcomes = {pair.outcome for pair in comparison.pairs}
            for outcome in OUTCOMES:
                counts[way][outcome] += outcome in outcomes
    return {"name": scenario.name, "block": block, "repetitions": BLOCK, "seeds": used, **counts}


def total(blocks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The sums over blocks."""
    counts = {way: {kind: sum(block[way][kind] for block in blocks) for kind in OUTCOMES} for way in WAYS}
    return {key: sum(block[key] for block in blocks) for key in ("repetitions", "seeds")} | counts


def recorded() -> np.ndarray:
    """The recorded scores (trainings, items), 1 where right."""
    stored = json.loads(RECORDED.read_text(encoding="utf-8"))
    bits = np.unpackbits(np.frombuffer(base64.b64decode(stored["bits"]), np.uint8))
    trainings, items = stored["shape"]
    return bits[: trainings * items].reshape(trainings, items).astype(float)


def record() -> None:
    """Train the same small network with each of `RECORDINGS` seeds, and store which test items each gets right."""
    from sklearn.datasets import load_digits
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore", ConvergenceWarning)  # few epochs, so that trainings differ
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    train, test = order[:900], order[900:]
    scores = []
    for seed in range(RECORDINGS):
        network = MLPClassifier((16,), max_iter=15, random_state=seed).fit(x[train] / 16, y[train])
        scores.append(network.predict(x[test] / 16) == y[test])
    bits = base64.b64encode(np.packbits(scores).tobytes()).decode()
    write(RECORDED, {"shape": [len(scores), len(test)], "bits": bits, "environment": measured()})
    print(f"{len(scores)} trainings, {len(test)} items: {np.mean(scores, 1).round(3).tolist()}")


def printed(scenario: Scenario, result: dict[str, Any]) -> str:
    """A line for each way of choosing the number of seeds."""
    lines = [f"{scenario.name}: {scenario.description}, {result['repetitions']} comparisons"]
    for way in WAYS:
        rates = []
        for kind, count in result[way].items():
            interval = binomtest(count, result["repetitions"]).proportion_ci()
            share = count / result["repetitions"]
            rates.append(f"{kind} {share:.1%} [{interval.low:.1%}, {interval.high:.1%}]")
        lines.append(f"  {way}: {', '.join(rates)}")
    return "\n".join([*lines, f"  seeds until decided, mean: {result['seeds'] / result['repetitions']:.1f}"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--power-repetitions", type=int, default=300, help="of those that find a lead")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", choices=[one.name for one in (*SCENARIOS, *POWER)])
    parser.add_argument("--record", action="store_true")
    record_options(parser, OUT)
    options = parser.parse_args()
    if options.record:
        record()
        return 0
    settings = {"seed": options.seed, "first": FIRST, "last": LAST, "items": ITEMS, "margin": MARGIN}
    results = Record(options.out, settings, go_on=options.go_on)
    too_often = []
    for scenario in (*SCENARIOS, *POWER):
        if options.only and scenario.name not in options.only:
            continue
        repetitions = options.repetitions if scenario.wrong else options.power_repetitions
        for block in range(-(-repetitions // BLOCK)):
            if not results.matching(name=scenario.name, block=block):
                results.add(simulate(scenario, block, options.seed))
        result = total(results.matching(name=scenario.name))
        print(printed(scenario, result), flush=True)
        if scenario.wrong:
            wrong = {way: binomtest(result[way][scenario.wrong], result["repetitions"], LEVEL) for way in WAYS}
            too_often += [f"{scenario.name}, {way}" for way in WAYS if wrong[way].proportion_ci().low > LEVEL]
    if too_often:
        print(f"wrong in more than {LEVEL:.0%} of comparisons: {'; '.join(too_often)}", file=sys.stderr)
    return 5 if too_often else 0


if __name__ == "__main__":
    sys.exit(main())
