"""Tests of whether a map says what a model's answer depends on: one entry for each in `TESTS`.

A test gives an item and a map a score; NaN where it does not apply. What a score means is known from calibration alone
(`inspect.calibration`): from the scores of maps that are known to point at what the answer depends on, and of others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

from sightline.core.seeds import derive
from sightline.inspect.erasing import top_sets
from sightline.inspect.explained import REFERENCES, ExplainedItem, ShownMap
from sightline.inspect.other_weights import adversarial_divergence, permuted_change, uniform_change

FaithfulnessGroup = Literal["agreement", "erasure", "swap", "weights"]
TOP = 0.1  # share of the positions whose overlap is counted, at least one
WORTH = 0.01  # what the order of effects must win over a random one for a share of it to mean something
SUBSETS = 30  # of positions, for the correlation over subsets

MapScore = Callable[[ExplainedItem, ShownMap], float]


class FaithfulnessTest(NamedTuple):
    """One test.

    group: "agreement" with another importance, "erasure" of what a map names, "swap" of the token that it names first,
        or other "weights" in the layer that it shows. Tests of weights do not apply to maps that no layer has
    definition: a sentence; applies: to what
    faithful: whether a high or a low score speaks for the map
    against: the importance that the map is compared with
    """

    name: str
    group: FaithfulnessGroup
    definition: str
    applies: str
    score: MapScore
    faithful: Literal["high", "low"] = "high"
    against: str = ""


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Kendall's τ_b between two importances (S,); NaN where one is constant."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(stats.kendalltau(first, second).statistic)


def top_overlap(first: np.ndarray, second: np.ndarray, share: float = TOP) -> float:
    """The share of the k most important positions that two importances (S,) have in common, k = `share` of S."""
    one, other = top_sets(first, [share])[0], top_sets(second, [share])[0]
    return float((one & other).sum() / one.sum())


def _compared(name: str, measure: Callable[[np.ndarray, np.ndarray], float]) -> MapScore:
    def score(item: ExplainedItem, shown: ShownMap) -> float:
        reference = item.reference(name)
        return float("nan") if reference is None else measure(shown.values, reference)

    return score


def _gained(which: Literal["comprehensiveness", "sufficiency"], way: str) -> MapScore:
    """The share of the way from random orders to the order of effects, from -1 to 1, of the area of a curve."""
    sign = 1.0 if which == "comprehensiveness" else -1.0

    def score(item: ExplainedItem, shown: ShownMap) -> float:
        if way not in item.eraser.ways:
            return float("nan")
        random, oracle = (sign * float(getattr(curves, which).mean()) for curves in item.baselines[way])
        own = sign * float(getattr(item.curves(shown.values, way), which).mean())
        if oracle - random < WORTH:
            return float("nan")
        return float(np.clip((own - random) / (oracle - random), -1.0, 1.0))

    return score


def swap_most(item: ExplainedItem, shown: ShownMap) -> float:
    """The largest change by a swap of the most important position, as a share of the largest by a swap of any."""
    largest = item.changes.max(1)
    return float(largest[int(shown.values.argmax())] / largest.max()) if largest.max() > 0 else float("nan")


def swap_least(item: ExplainedItem, shown: ShownMap) -> float:
    """The smallest change by a swap of the most important position, as a share of the largest of these."""
    smallest = item.changes.min(1)
    return float(smallest[int(shown.values.argmax())] / smallest.max()) if smallest.max() > 0 else float("nan")


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's correlation; NaN where one is constant."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def drop_correlation(item: ExplainedItem, shown: ShownMap) -> float:
    """Pearson's correlation of importance with what the answer loses when that position alone is replaced."""
    return correlation(shown.values, item.eraser.drops(np.eye(item.positions, dtype=bool), "replacement"))


def subset_correlation(item: ExplainedItem, shown: ShownMap) -> float:
    """Pearson's correlation of the sum of importance with what the answer loses, over random subsets of a fifth."""
    sets = random_subsets(item.positions, item.seed)
    return correlation(sets @ shown.values, item.eraser.drops(sets, "replacement"))


def random_subsets(positions: int, seed: int) -> np.ndarray:
    """`SUBSETS` random fifths (SUBSETS, S) of the positions, True = in it."""
    random = np.random.default_rng(derive(seed, "subsets"))
    size = max(1, round(positions / 5))
    sets = np.zeros((SUBSETS, positions), bool)
    for row in sets:
        row[random.choice(positions, size, replace=False)] = True
    return sets


ANY, CLASSES, MASKS, LAYERS = (
    "any model",
    "softmax attention in models whose answers are classes or tokens",
    "models that mask tokens: classification of texts, translation, language modelling",
    "softmax attention",
)
NAMED = {
    "gradient": ("the size of the gradient times input, attention held constant (Jain & Wallace 2019)", ANY),
    "integrated_gradients": ("integrated gradients (Sundararajan et al. 2017)", "models with vectors of positions"),
    "relevance": ("relevance by AttnLRP (Achtibat et al. 2024)", "Transformers of softmax attention"),
    "leave_one_out": ("the change of the answer without a position (Jain & Wallace 2019)", MASKS),
    "effect": ("the mean change of the answer when a position is replaced", ANY),
}
assert NAMED.keys() == REFERENCES.keys()

TESTS: tuple[FaithfulnessTest, ...] = (
    *(
        FaithfulnessTest(
            f"tau_{name}", "agreement", f"Kendall's τ of the map and {words}.", applies,
            _compared(name, rank_correlation), against=name,
        )
        for name, (words, applies) in NAMED.items()
    ),
    *(
        FaithfulnessTest(
            f"top_{name}", "agreement", f"Overlap of the top tenth of the map and of {words}.", applies,
            _compared(name, top_overlap), against=name,
        )
        for name, (words, applies) in NAMED.items()
    ),
    *(
        FaithfulnessTest(
            f"{which}_{way}", "erasure",
            f"Area under the curve of {which} (DeYoung et al. 2020), by {way}: 0 = as random orders, 1 = as the order "
            "of effects.",
            MASKS if way == "removal" else ANY, _gained(which, way),
        )
        for way in ("removal", "replacement")
        for which in ("comprehensiveness", "sufficiency")
    ),
    FaithfulnessTest(
        "drop_correlation", "erasure",
        "Pearson's correlation of the map with what the answer loses when one position is replaced (Alvarez-Melis & "
        "Jaakkola 2018).",
        ANY, drop_correlation,
    ),
    FaithfulnessTest(
        "subset_correlation", "erasure",
        "Pearson's correlation of the sum of the map over random fifths of the positions with what the answer loses "
        "when they are replaced (Bhatt et al. 2020).",
        ANY, subset_correlation,
    ),
    FaithfulnessTest(
        "swap_most", "swap",
        "The swap of the most important position that changes the answer most, as a share of the largest change by a "
        "swap of any position.",
        ANY, swap_most,
    ),
    FaithfulnessTest(
        "swap_least", "swap",
        "The swap of the most important position that changes the answer least, as a share of the largest such change "
        "of any position.",
        ANY, swap_least,
    ),
    FaithfulnessTest(
        "permuted_weights", "weights",
        "Median change of the answer over random permutations of the layer's weights (Jain & Wallace 2019).",
        LAYERS, permuted_change,
    ),
    FaithfulnessTest(
        "uniform_weights", "weights",
        "Change of the answer with even weights in the layer, not trained with them (cf. Wiegreffe & Pinter 2019).",
        LAYERS, uniform_change,
    ),
    FaithfulnessTest(
        "adversarial_weights", "weights",
        "Largest divergence, of ln 2, of a shown map of other weights with which the answer changes by a total "
        "variation of at most 0.01 (Jain & Wallace 2019).",
        CLASSES, adversarial_divergence, faithful="low",
    ),
)  # fmt: skip
