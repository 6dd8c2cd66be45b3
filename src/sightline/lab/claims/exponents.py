"""C4 and C5: how time and memory grow with the length, and from which length on less than quadratic pays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sightline.core.digits import and_joined
from sightline.core.sourced import sourced
from sightline.lab.claims.claim import Effort
from sightline.lab.claims.numbers import in_words, placed
from sightline.lab.claims.results import ClaimChart, ClaimNumber, ClaimOutcome, ClaimResult
from sightline.lab.claims.times import (
    crossover_numbers,
    crossover_words,
    exponent,
    memory_curve,
    on,
    time_curve,
    without_gpu,
)
from sightline.lab.crossover import check_crossover, measured_ratio, predict
from sightline.lab.growth import Timing, measure_costs
from sightline.lab.mechanism import find_mechanisms
from sightline.lab.panel_results import Growth, Phase, PhaseCost

WIDTH = 64
FORMED, FUSED = "softmax+weights", "softmax"
RECURRENT = ("rnn", "lstm", "gru")
LIGHT = ("window", "block_sparse", "linear", "retention", "gated_linear", "gated_delta")
GPU_LONGER = 8  # times the lengths of the processor, so that fixed costs do not hide the growth
HALF = 0.5


def quadratic_cost(effort: Effort) -> ClaimResult:
    """C4: the exponents of time and of peak memory of a training step.

    Rule: growth is quadratic if the whole interval of its exponent is above 1.5, which is nearer to 2 than to 1 (caches
    that overflow make it steeper), linear between 0.5 and 1.5, and open across these. The claim holds if on every
    device time and memory of softmax attention grow quadratically, fused and with its weights formed, and those of rnn,
    lstm and gru linearly. It does not hold if the time of neither form of attention grows quadratically, or no
    recurrence grows linearly in both. Otherwise it depends, above all on whether the weights of attention are formed in
    memory.
    """
    lengths = effort.choose((512, 1024, 2048, 4096, 8192), (512, 1024, 2048, 4096))
    costs = _costs(effort, "C4", (FORMED, FUSED, *RECURRENT), lengths, ("training",))
    return ClaimResult(
        *placed(judge_quadratic, costs),
        numbers=_exponents(costs),
        charts=_charts(costs, ("training",)),
        conditions=_conditions(effort, lengths),
        limits=without_gpu(
            effort,
            "Exponents of the measured lengths: the part of the time that is linear in n flattens those of "
            "attention at short lengths. Memory is that of live tensors, without scratch space inside kernels.",
        ),
    )


def light_attention(effort: Effort) -> ClaimResult:
    """C5: the exponents of sparse and linear attention, and from which length on they cost less time than dense.

    Rule: the claim holds if on every device each of window, block_sparse, linear, retention, gated_linear and
    gated_delta has exponents of time and memory of a training step below 1.5 (the upper end of the interval), takes
    less time than fused dense attention for a training step at the longest length at which both were measured, and less
    time for a step of decoding there. It does not hold if none of them has exponents below 1.5. Otherwise it depends:
    the limit is lifted in the exponent, but what is gained depends on the length, the mechanism or the phase.
    """
    lengths = effort.choose((256, 512, 1024, 2048, 4096, 8192), (256, 512, 1024, 2048, 4096))
    costs = _costs(effort, "C5", (FUSED, *LIGHT), lengths, ("training", "decode"))
    crossings = []
    for device, each in costs.items():
        timing = _timing(effort, device)
        mechanisms = {mechanism.name: mechanism for mechanism in find_mechanisms((FUSED, *LIGHT), WIDTH)}
        predictions = [one for one in predict(each) if one.other == FUSED]
        for prediction in predictions[: effort.choose(8, 3)]:
            effort.say(f"C5: check of {prediction.cheaper} at {prediction.length:.0f} ({prediction.phase})")
            crossings.append((device, check_crossover(prediction, mechanisms, measured_ratio(timing))))
    outcome, text = placed(judge_light, costs)
    if crossings:
        text += " Crossovers, measured at held-out lengths: "
        text += "; ".join(placed(crossover_words, one, device) + on(device) for device, one in crossings) + "."
    return ClaimResult(
        outcome,
        text,
        numbers=[*_exponents(costs), *(one for d, c in crossings for one in crossover_numbers(c, d))],
        charts=_charts(costs, ("training", "decode")),
        conditions=_conditions(effort, lengths),
        limits=without_gpu(
            effort,
            "Mechanisms with their default options, such as a window of 64 positions, which are not equally good "
            "models: C6 measures what they can recall.",
        ),
    )


def whole(growth: Growth | None) -> int | None:
    """2 for an exponent whose whole interval is above 1.5, 1 above 0.5 and 0 below; None across one of these."""
    if growth is None:
        return None
    low, high = (int(end > HALF) + int(end > 1.0 + HALF) for end in (growth.low, growth.high))
    return low if low == high else None


def judge_quadratic(costs: Mapping[str, Sequence[PhaseCost]]) -> tuple[ClaimOutcome, str]:
    """The outcome, and what was measured in words."""
    sentences, statements = [], []
    for device, each in costs.items():
        rows = {cost.name: cost for cost in each}
        (formed, formed_memory), (fused, fused_memory) = (map(in_words, _of(rows[n], device)) for n in (FORMED, FUSED))
        recurrent = [_of(rows[name], device) for name in RECURRENT]
        times, sizes = ([pair[place] for pair in recurrent] for place in (0, 1))
        sentences.append(
            f"Exponents of a training step{on(device)}: attention with its weights formed, time {formed} and memory "
            f"{formed_memory}; fused, {fused} and {fused_memory}; {and_joined(RECURRENT)}, {_range(times)} and "
            f"{_range(sizes)}."
        )
        statements.append(
            _Quadratic(
                [whole(rows[name].time) for name in (FORMED, FUSED)],
                [whole(rows[name].memory) for name in (FORMED, FUSED)],
                [(whole(rows[name].time), whole(rows[name].memory)) for name in RECURRENT],
            )
        )
    text = " ".join(sentences)
    if all(one.holds for one in statements):
        return "holds", text
    if all(one.fails for one in statements):
        return "does not hold", text
    only_formed = all(one.memory == [2, 1] and set(one.recurrent) == {(1, 1)} for one in statements)
    why = "memory is quadratic only where the weights are formed" if only_formed else "see the exponents that differ"
    return "depends", f"{text} It depends: {why}."


class _Quadratic(NamedTuple):
    """The whole exponents of one device: time and memory of attention (formed, fused), and of each recurrence."""

    time: list[int | None]
    memory: list[int | None]
    recurrent: list[tuple[int | None, int | None]]

    @property
    def holds(self) -> bool:
        return {*self.time, *self.memory} == {2} and set(self.recurrent) == {(1, 1)}

    @property
    def fails(self) -> bool:
        return 2 not in self.time or (1, 1) not in self.recurrent


def judge_light(costs: Mapping[str, Sequence[PhaseCost]]) -> tuple[ClaimOutcome, str]:
    """The outcome, and what was measured in words."""
    lifted, faster, decodes, total, sentences = [], [], [], 0, []
    drawn = [(device, cost.name) for device, each in costs.items() for cost in each if cost.phase == "training"]
    for device, each in costs.items():
        rows = {(cost.name, cost.phase): cost for cost in each}
        total += len(LIGHT)
        own = [name for name in LIGHT if _below(rows[name, "training"])]
        lifted += own
        phases: tuple[Phase, ...] = ("training", "decode")
        better = {
            phase: [name for name in LIGHT if (ratio := _ratio(rows, name, phase)) is not None and ratio < 1]
            for phase in phases
        }
        faster, decodes = faster + better["training"], decodes + better["decode"]
        times = [_of(rows[name, "training"], device)[0] for name in LIGHT]
        dense = rows[FUSED, "training"]
        longest = sourced(f"{dense.lengths[-1]:,}", ("charts", 0, "curves", drawn.index((device, FUSED)), "x", -1))
        sentences.append(
            f"The time of a training step{on(device)} has the exponent {in_words(_of(dense, device)[0])} with dense "
            f"attention and {_range(times)} with the others; {and_joined(own) or 'none'} grow less than n^1.5 in time "
            f"and memory. At {longest} positions {and_joined(better['training']) or 'none'} take less time than dense "
            f"attention for a training step, {and_joined(better['decode']) or 'none'} for a step of decoding."
        )
    text = " ".join(sentences)
    if len(lifted) == len(faster) == len(decodes) == total:
        return "holds", text
    return ("depends" if lifted else "does not hold"), text


def _below(cost: PhaseCost) -> bool:
    grows = (cost.time, cost.memory)
    return all(one is not None and one.high < 1.0 + HALF for one in grows)


def _ratio(rows: Mapping[tuple[str, Phase], PhaseCost], name: str, phase: Phase) -> float | None:
    """Time over that of dense attention at the longest length that both have; medians."""
    own, dense = rows.get((name, phase)), rows.get((FUSED, phase))
    shared = sorted({*own.lengths} & {*dense.lengths}) if own and dense else []
    if own is None or dense is None or not shared:
        return None
    first, second = (sorted(cost.seconds[cost.lengths.index(shared[-1])]) for cost in (own, dense))
    return first[len(first) // 2] / second[len(second) // 2]


def _costs(
    effort: Effort, claim: str, names: Sequence[str], lengths: Sequence[int], phases: Sequence[Phase]
) -> dict[str, list[PhaseCost]]:
    """The costs on every device."""
    costs = {}
    for device in effort.devices:
        own = [n * GPU_LONGER for n in lengths] if device == "cuda" else lengths
        mechanisms = find_mechanisms(names, WIDTH)
        costs[device] = measure_costs(
            mechanisms, own, _timing(effort, device), phases, lambda row: effort.say(f"{claim}: {row}")
        )
    return costs


def _timing(effort: Effort, device: str) -> Timing:
    return Timing(effort.choose(11, 7), longest_s=effort.choose(3.0, 0.5), device=device)


def _conditions(effort: Effort, lengths: Sequence[int]) -> str:
    longer = f", {GPU_LONGER} times as many on the GPU" if "cuda" in effort.devices else ""
    return (
        f"one layer of width {WIDTH}, one row of {lengths[0]} to {lengths[-1]:,} positions{longer}, float32, rounds in "
        f"turns; {effort.conditions()}"
    )


def _range(numbers: Sequence[ClaimNumber]) -> str:
    """The least and the largest: "0.61 to 0.98"."""
    values = {one.name: one.value for one in numbers if one.value is not None}
    places = [("numbers", name, "value") for name in values]
    ends = (("least", min), ("most", max))
    return (
        " to ".join(sourced(f"{end(values.values()):.2f}", *places, how=how) for how, end in ends)
        if values
        else "undefined"
    )


def _of(cost: PhaseCost, device: str) -> tuple[ClaimNumber, ClaimNumber]:
    """The exponents of time and of memory, or of the state."""
    name = f"{cost.name}, {cost.phase}{on(device)}"
    size = "the state" if cost.phase == "decode" else "memory"
    return exponent(f"{name}: exponent of time", cost.time), exponent(f"{name}: exponent of {size}", cost.memory)


def _exponents(costs: Mapping[str, Sequence[PhaseCost]]) -> list[ClaimNumber]:
    return [number for device, each in costs.items() for cost in each for number in _of(cost, device)]


def _charts(costs: Mapping[str, Sequence[PhaseCost]], phases: Sequence[Phase]) -> list[ClaimChart]:
    charts = []
    for phase in phases:
        rows = [(f"{c.name}{on(device)}", c) for device, each in costs.items() for c in each if c.phase == phase]
        what = "a training step" if phase == "training" else "a step of decoding after n positions"
        memory = "Peak memory of a training step" if phase == "training" else "State after n positions"
        times = [time_curve(label, cost) for label, cost in rows]
        peaks = [memory_curve(label, cost) for label, cost in rows]
        charts.append(ClaimChart(f"Time of {what}", "positions n", "milliseconds", times, log_x=True, log_y=True))
        charts.append(ClaimChart(memory, "positions n", "megabytes", peaks, log_x=True, log_y=True))
    return charts
