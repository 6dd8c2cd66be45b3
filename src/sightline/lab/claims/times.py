"""Times and shares as numbers, curves and words, for every claim that measures them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from sightline.lab.bands import median_band, quartile_band
from sightline.lab.bench.timing import call_seconds
from sightline.lab.claims.claim import Effort
from sightline.lab.claims.numbers import of_number
from sightline.lab.claims.results import NO_GPU, ClaimCurve, ClaimNumber
from sightline.lab.growth import Timing, prepare, time_in_turns
from sightline.lab.mechanism import Mechanism
from sightline.lab.panel_results import Crossover, Growth, Phase, PhaseCost

DEVICES = {"cpu": "the processor", "cuda": "the GPU"}


class TimedCall(NamedTuple):
    """A call whose time is measured."""

    mechanism: Mechanism
    phase: Phase
    length: int


def paired_ratio(name: str, over: TimedCall, under: TimedCall, timing: Timing) -> ClaimNumber:
    """The median over rounds of the time of `over` divided by that of `under`, measured in turns, with its interval.

    Raises:
        ValueError: "decode of bidirectional: an encoder has no state to continue from".
    """
    device = torch.device(timing.device)
    runs = []
    for mechanism, phase, length in (over, under):
        call = prepare(mechanism, phase, length, timing.batch, device)
        if call is None:
            raise ValueError(f"{phase} of {mechanism.name}: an encoder has no state to continue from")
        runs.append(call.run)
    warm = [min(call_seconds(run, device) for _ in range(2)) for run in runs]
    first, second = time_in_turns(runs, timing, warm)
    band = median_band([0], (np.array(first) / np.array(second))[:, None])
    return ClaimNumber(name, band.centre[0], band.low[0], band.high[0], "times", timing.rounds)


def lower_end(measured: ClaimNumber) -> float:
    """The lower end of the interval, the value if there is none, NaN without a value."""
    end = measured.value if measured.low is None else measured.low
    return float("nan") if end is None else end


def upper_end(measured: ClaimNumber) -> float:
    """The upper end of the interval, the value if there is none, NaN without a value."""
    end = measured.value if measured.high is None else measured.high
    return float("nan") if end is None else end


def time_curve(label: str, cost: PhaseCost) -> ClaimCurve:
    """Medians and quartiles in milliseconds by length."""
    band = quartile_band(cost.lengths, [1e3 * np.array(rounds) for rounds in cost.seconds])
    return ClaimCurve(label, band.at, band.centre, band.low, band.high)


def memory_curve(label: str, cost: PhaseCost) -> ClaimCurve:
    """Peak memory in megabytes by length."""
    return ClaimCurve(label, [*map(float, cost.lengths)], [size / 1e6 for size in cost.peak_bytes])


def exponent(name: str, growth: Growth | None) -> ClaimNumber:
    """A fitted exponent as a number."""
    if growth is None:
        return ClaimNumber(name, None)
    return ClaimNumber(name, growth.exponent, min(growth.low, growth.exponent), max(growth.high, growth.exponent))


def on(device: str) -> str:
    """The ending of a label for a device; none for the processor, which is always there."""
    return "" if device == "cpu" else ", GPU"


def without_gpu(effort: Effort, text: str) -> str:
    """The text, and a sentence that says so where no GPU was measured."""
    return text if "cuda" in effort.devices else f"{text} {NO_GPU}"


def crossover_numbers(one: Crossover, device: str) -> list[ClaimNumber]:
    """A predicted crossover and the one that was measured at lengths that no fit had seen."""
    pair = _pair(one, device)
    ends = (("first", one.checked[0]), ("last", one.checked[-1])) if one.measured is None else ()
    return [
        ClaimNumber(f"{pair}: predicted from", one.predicted, unit="positions"),
        ClaimNumber(f"{pair}: measured from", one.measured, unit="positions"),
        ClaimNumber(f"{pair}: error of the prediction", one.error),
        *(ClaimNumber(f"{pair}: {end} length of the check", length, unit="positions") for end, length in ends),
    ]


def crossover_words(one: Crossover, device: str) -> str:
    """A clause such as "linear under softmax (training) from 812 positions, predicted 790"."""
    pair, name = f"{one.cheaper} under {one.other} ({one.phase})", _pair(one, device)
    predicted = of_number(f"{name}: predicted from", f"{one.predicted:,.0f}")
    if one.measured is None:
        first, last = (
            of_number(f"{name}: {end} length of the check", f"{one.checked[at]:,}")
            for end, at in (("first", 0), ("last", -1))
        )
        return f"{pair} predicted from {predicted} positions, not found from {first} to {last}"
    measured = of_number(f"{name}: measured from", f"{one.measured:,.0f}")
    return f"{pair} from {measured} positions, predicted {predicted}"


def _pair(one: Crossover, device: str) -> str:
    return f"{one.cheaper} under {one.other}, {one.phase}{on(device)}"
