"""C11: a bidirectional LSTM beside one that reads from left to right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch

from sightline.core.sourced import sourced
from sightline.lab.claims.claim import Effort
from sightline.lab.claims.fitting import Draw, Examples, Recipe, answers, fit, held_out, initialised
from sightline.lab.claims.numbers import SHARE, in_words, mean_share, of_number, placed, points_of
from sightline.lab.claims.results import ClaimChart, ClaimNumber, ClaimOutcome, ClaimResult, ReferenceLine
from sightline.lab.claims.times import TimedCall, lower_end, on, paired_ratio, upper_end, without_gpu
from sightline.lab.growth import Timing
from sightline.lab.mechanism import Mechanism
from sightline.lab.panel_results import Phase
from sightline.mixers.bidirectional import BidirectionalConfig
from sightline.mixers.lstm import LSTMConfig
from sightline.models.encoder_model import EncoderConfig

SYMBOLS, LENGTH = 16, 24
DOUBLE = (1.5, 2.5)
KNOWN, CHANCE = 0.9, 1.0 / SYMBOLS
SIDES = {"right": 1, "left": -1}  # how many positions to the right the answer is
PHASES: tuple[Phase, ...] = ("forward", "training")
ONE_WAY, BOTH_WAYS = "left to right", "both ways"
PARAMETERS = "both ways / one way: parameters"


class SidesAccuracy(NamedTuple):
    """Accuracy (seeds,) of each network by the side of the answer."""

    one_way: dict[str, np.ndarray]
    both_ways: dict[str, np.ndarray]


def both_sides(effort: Effort) -> ClaimResult:
    """C11: time, parameters and what is seen of two LSTMs, one for each direction, beside one.

    The task: random symbols, and the label of each position is the symbol to its right (or, as a control, to its left),
    which nothing else tells.

    Rule: computation is doubled if the ratio of times is between 1.5 and 2.5 (whole intervals) for a forward pass and a
    training step on every device, and that of parameters too. Both sides are seen if, with the answer to the right, the
    mean accuracy is at least 0.9 both ways and at most 0.1 above chance from left to right, while from left to right
    the answer to the left is found (0.9). The claim holds if both are so; it does not hold if both sides are not seen;
    otherwise it depends, on the device or the phase.
    """
    width = 64
    one, two = (
        Mechanism(name, config, width)
        for name, config in (("lstm", LSTMConfig()), ("bidirectional lstm", BidirectionalConfig("lstm")))
    )
    ratios: dict[str, ClaimNumber] = {}
    for device in effort.devices:
        timing = Timing(effort.choose(21, 9), batch=8, device=device)
        for phase in PHASES:
            ours, theirs = (TimedCall(mechanism, phase, 256) for mechanism in (two, one))
            name = f"{phase}{on(device)}"
            ratios[name] = paired_ratio(f"both ways / one way: time, {name}", ours, theirs, timing)
    sizes = [sum(p.numel() for p in m.build().parameters()) for m in (two, one)]
    accuracy = measure_accuracy(effort)
    return ClaimResult(
        *placed(judge, ratios, sizes[0] / sizes[1], accuracy),
        numbers=[
            *ratios.values(),
            ClaimNumber(PARAMETERS, sizes[0] / sizes[1], unit="times"),
            *(mean_share(_answer(ONE_WAY, side), rows) for side, rows in accuracy.one_way.items()),
            *(mean_share(_answer(BOTH_WAYS, side), rows) for side, rows in accuracy.both_ways.items()),
        ],
        charts=[_chart(accuracy)],
        conditions=f"time: width {width} in each direction, 8 rows of 256 positions; task: {SYMBOLS} symbols, rows of "
        f"{LENGTH}, one layer of 32 units in each direction, {_recipe(effort).steps} steps of {_recipe(effort).batch} "
        f"rows; {effort.conditions()}",
        limits=without_gpu(
            effort,
            "A second direction cannot be used to write text from left to right, which needs the past alone.",
        ),
    )


def shifted(steps: int) -> Draw:
    """Random symbols (B, T); the label of a position is the symbol `steps` to its right, where there is one."""

    def draw(generator: torch.Generator, count: int) -> Examples:
        tokens = torch.randint(SYMBOLS, (count, LENGTH), generator=generator)
        place = torch.arange(LENGTH) + steps
        counted = ((place >= 0) & (place < LENGTH)).expand(count, LENGTH)
        return Examples((tokens,), tokens[:, place.clamp(0, LENGTH - 1)], counted)

    return draw


def measure_accuracy(effort: Effort) -> SidesAccuracy:
    """Both networks trained on both tasks."""
    accuracies: dict[bool, dict[str, np.ndarray]] = {True: {}, False: {}}
    for one_way in (True, False):
        config = EncoderConfig(
            mixers=("lstm",), d_model=32, layers=1, d_feed_forward=0, positions="none", dropout=0.0, causal=one_way
        )
        for side, steps in SIDES.items():
            right = []
            for seed in range(effort.seed, effort.seed + min(effort.seeds, effort.choose(5, 3))):
                with initialised(seed):
                    model = config.build(SYMBOLS)
                fit(model, shifted(steps), _recipe(effort), seed)
                examples = held_out(shifted(steps), 0, 300)
                right.append(float(answers(model, examples)[examples.counted].double().mean()))
            accuracies[one_way][side] = np.array(right)
            effort.say(f"C11: {ONE_WAY if one_way else BOTH_WAYS}, answer to the {side}: {np.mean(right):.3f}")
    return SidesAccuracy(accuracies[True], accuracies[False])


def _recipe(effort: Effort) -> Recipe:
    return Recipe(effort.choose(600, 250), 32, 2e-2)


def judge(ratios: Mapping[str, ClaimNumber], parameters: float, accuracy: SidesAccuracy) -> tuple[ClaimOutcome, str]:
    """The outcome, and what was measured in words."""
    low, high = DOUBLE
    double = {name: low < lower_end(one) and upper_end(one) < high for name, one in ratios.items()}
    mean = {
        (name, side): float(rows.mean())
        for name, sides in ((ONE_WAY, accuracy.one_way), (BOTH_WAYS, accuracy.both_ways))
        for side, rows in sides.items()
    }
    known = mean[BOTH_WAYS, "right"] >= KNOWN and mean[ONE_WAY, "left"] >= KNOWN
    seen = known and mean[ONE_WAY, "right"] <= CHANCE + 0.1
    times = ", ".join(f"{name} {in_words(one)}" for name, one in ratios.items())
    both, one_way = (of_number(_answer(name, "right"), f"{mean[name, 'right']:.3f}") for name in (BOTH_WAYS, ONE_WAY))
    chance = sourced(f"{CHANCE:.3f}", ("charts", 0, "lines", 0, "y"))
    text = (
        f"Both ways take {of_number(PARAMETERS, f'{parameters:.2f}')} times the parameters and, as a multiple of the "
        f"time of one way: {times}. With the answer to the right the accuracy is {both} both ways and {one_way} from "
        f"left to right (chance {chance})."
    )
    if not seen:
        return "does not hold", text
    if all(double.values()) and low < parameters < high:
        return "holds", text
    others = [f"time, {name}" for name, is_double in double.items() if not is_double]
    return "depends", f"{text} Both sides are seen; not about double: {', '.join(others) or 'parameters'}."


def _answer(way: str, side: str) -> str:
    return f"{way}: answer to the {side}"


def _chart(accuracy: SidesAccuracy) -> ClaimChart:
    sides = list(SIDES)
    curves = [
        points_of(name, [rows[side] for side in sides], limits=SHARE)
        for name, rows in ((ONE_WAY, accuracy.one_way), (BOTH_WAYS, accuracy.both_ways))
    ]
    return ClaimChart(
        "Accuracy by the side of the answer",
        "side of the answer",
        "accuracy",
        curves,
        lines=[ReferenceLine("chance", CHANCE)],
        categories=sides,
    )
