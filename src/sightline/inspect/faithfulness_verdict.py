"""From calibrated tests to a sentence: whether a map may be shown as an explanation. Imports no torch.

A test counts where it tells maps apart: on planted problems the lower end of its hit rate is at least `APART` above the
upper end of its false-alarm rate, and on the data itself it calls the effect faithful at least `CLEAR` more often than
the effect in a random order. Each test that counts votes on a map by the estimated share of items in which the map is
faithful: yes where its lower end is at least a half, no where its upper end is below. The map may be shown if `MOST` of
the votes, and at least two, are yes; it may not if as many are no; otherwise it cannot be told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sightline.inspect.faithfulness_results import (
    CalibratedTest,
    CallRate,
    ItemScores,
    JudgedMap,
    PlantedResult,
    ShownOutcome,
)
from sightline.inspect.rates import calls_faithful, faithful_share, mean_interval

APART, CLEAR, MOST, LEAST = 0.5, 0.3, 2 / 3, 2
FEWEST = 10  # maps of either kind

# Words for the map of each method.
WORDS = {
    "softmax": "attention weights",
    "value_weighted": "attention weights times values",
    "rollout": "attention rollout",
    "implicit": "implicit attention",
    "jacobian": "slopes",
}
ATTENTION = ("softmax", "rollout", "value_weighted", "implicit", "jacobian")  # the first that there is, is "attention"


def reason_against(test: Any, worth: Any, control: CallRate, shuffled: CallRate) -> str:
    """Why a test does not count; empty where it does."""
    hit, false_alarm = worth.hit, worth.false_alarm
    if worth.threshold is None:
        return "it has no scores on planted problems of both kinds of maps"
    if min(hit.n, false_alarm.n) < FEWEST:
        return f"only {hit.n} items with right maps and {false_alarm.n} with wrong ones"
    if (hit.low or 0.0) - (1.0 if false_alarm.high is None else false_alarm.high) < APART:
        return "it does not tell right maps from wrong ones on planted problems"
    if control.share is not None and control.share - (shuffled.share or 0.0) < CLEAR:
        return "on this data it does not tell the effect from the effect in a random order"
    return ""


def scored(test: CalibratedTest, values: Sequence[float]) -> ItemScores:
    """The scores of one map by one test."""
    mean = mean_interval(values)
    passed, share = None, None
    if test.threshold is not None and mean.n:
        counted = values if test.group != "weights" else [value for value in values if np.isfinite(value)]
        passed = float(np.mean([calls_faithful(value, test.threshold, test.faithful) for value in counted]))
        share = faithful_share(passed, len(counted), test.hit, test.false_alarm) if test.counts else None
    kept = [float(value) if np.isfinite(value) else None for value in values]
    ends = (None, None, None) if share is None else tuple(share)
    return ItemScores(test.name, *mean, passed, *ends, kept)


def judged(shown: Any, tests: Sequence[CalibratedTest], values: Mapping[str, Sequence[float]]) -> JudgedMap:
    """A map with its scores, and whether it may be shown."""
    scores = [scored(test, values[test.name]) for test in tests]
    voting = [score for score in scores if score.share_low is not None and score.share_high is not None]
    yes = sum(score.share_low >= 0.5 for score in voting if score.share_low is not None)
    no = sum(score.share_high < 0.5 for score in voting if score.share_high is not None)
    needed = max(LEAST, MOST * len(voting))
    outcome: ShownOutcome = "may" if yes >= needed else "may not" if no >= needed else "cannot be told"
    if not voting:
        sentence = "No test tells maps apart here."
    else:
        shares = [score.share for score in voting if score.share is not None]
        sentence = (
            f"Of {len(voting)} tests that tell maps apart {yes} say that it points at what most answers depend on, "
            f"{no} that it does not; the median of their estimates is {100 * np.median(shares):.0f} % of the items."
        )
    return JudgedMap(shown.name, shown.method, shown.path, shown.layer, outcome, sentence, scores)


def overall(
    maps: Sequence[JudgedMap],
    tests: Sequence[CalibratedTest],
    planted: Sequence[PlantedResult],
    items: int,
    unit: str,
) -> tuple[ShownOutcome, str]:
    """The outcome for attention, and the verdict in a sentence."""
    method = next(method for method in ATTENTION if any(one.method == method for one in maps))
    attention = [one for one in maps if one.method == method]
    what = (
        "Attention" if method == "softmax" else f"The {WORDS[method]} of a layer" if method != "rollout" else "Rollout"
    )
    counting = sum(test.counts for test in tests)
    end = "as an explanation for this model and data"
    good = [one for one in attention if one.outcome == "may"]
    if good:
        best = max(good, key=_median_share)
        layers = f" ({best.path})" if len(attention) > 1 else ""
        return "may", (
            f"{what} may be shown {end}: the {WORDS[method]}{layers} point at what the answer depends on in an "
            f"estimated {100 * _median_share(best):.0f} % of {items} {unit}{_others(maps, method)}."
        )
    if all(one.outcome == "may not" for one in attention):
        best = max(attention, key=_median_share)
        return "may not", (
            f"{what} must not be shown {end}: at best, a map points at what the answer depends on in an estimated "
            f"{100 * _median_share(best):.0f} % of {items} {unit}{_others(maps, method)}."
        )
    if not any(one.used for one in planted):
        why = "no model of this architecture was seen to learn and use a planted problem, so that no test is calibrated"
    elif not counting:
        why = "none of the tests tells a right map from a wrong one here"
    else:
        why = f"the {counting} tests that tell maps apart do not agree, or the items are too few"
    return (
        "cannot be told",
        f"Whether {what[0].lower()}{what[1:]} may be shown {end} cannot be told: {why}{_others(maps, method)}.",
    )


def _median_share(one: JudgedMap) -> float:
    shares = [score.share for score in one.scores if score.share is not None]
    return float(np.median(shares)) if shares else 0.0


def _others(maps: Sequence[JudgedMap], method: str) -> str:
    """The maps of other methods that may be shown."""
    names = dict.fromkeys(WORDS[one.method] for one in maps if one.outcome == "may" and one.method != method)
    return f"; {' and '.join(names)} may" if names else ""
