"""C2: the time of a thousand positions over the time of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sightline.core.sourced import sourced
from sightline.lab.claims.claim import Effort
from sightline.lab.claims.numbers import curve_through, in_words, placed
from sightline.lab.claims.results import ClaimChart, ClaimNumber, ClaimOutcome, ClaimResult, ReferenceLine
from sightline.lab.claims.times import DEVICES, TimedCall, lower_end, on, paired_ratio, upper_end, without_gpu
from sightline.lab.growth import Timing
from sightline.lab.mechanism import find_mechanisms
from sightline.lab.panel_results import Phase
from sightline.models.layers import SELF_MIXERS

LONG, ONE = 1000, 1
WIDTH = 128
RECURRENT = ("rnn", "lstm", "gru")
ABOUT_AS_LONG = 2.0
PHASES: tuple[Phase, ...] = ("forward", "training")

RatioKey = tuple[str, Phase, str]  # mechanism, phase, device


def thousand_tokens(effort: Effort) -> ClaimResult:
    """C2: whether a recurrent network reads 1000 positions in about the time of one.

    Rule: the claim holds if for the rnn, lstm and gru, forward and in a training step, on every device that was
    measured, 1000 positions take at most twice as long as one (the upper end of the interval of the ratio): a doubling
    is the most that can be called overhead. It does not hold if all of them take more than twice as long (the lower
    end). Otherwise it depends, on the mechanism or on the device.
    """
    rounds = effort.choose(15, 7)
    ratios: dict[RatioKey, ClaimNumber] = {}
    for device in effort.devices:
        timing = Timing(rounds, device=device)
        for mechanism in find_mechanisms(SELF_MIXERS, WIDTH):
            effort.say(f"C2: {mechanism.name} on {DEVICES[device]}")
            for phase in PHASES:
                long, one = (TimedCall(mechanism, phase, n) for n in (LONG, ONE))
                name = f"{mechanism.name}, {'training step' if phase == 'training' else 'forward'}{on(device)}"
                ratios[mechanism.name, phase, device] = paired_ratio(name, long, one, timing)
    outcome, text = placed(judge, ratios)
    return ClaimResult(
        outcome,
        without_gpu(effort, text),
        numbers=list(ratios.values()),
        charts=[_chart(ratios, phase, effort.devices) for phase in PHASES],
        conditions=f"one layer of width {WIDTH}, one row, float32, {rounds} rounds in turns; {effort.conditions()}",
        limits="The saying is about a GPU, where one position uses less of the machine than here: without a GPU this "
        "shows the processor alone. The chain of dependent operations, which no device shortens, is in C1.",
    )


def judge(ratios: Mapping[RatioKey, ClaimNumber]) -> tuple[ClaimOutcome, str]:
    """The outcome, and what was measured in words."""
    counted = [one for (name, _, _), one in ratios.items() if name in RECURRENT]
    short = [upper_end(one) <= ABOUT_AS_LONG for one in counted]
    long = [lower_end(one) > ABOUT_AS_LONG for one in counted]
    sentences = []
    for device in dict.fromkeys(device for _, _, device in ratios):
        each = ", ".join(f"{name} {in_words(ratios[name, 'forward', device], 0)}" for name in RECURRENT)
        positions = sourced(str(LONG), ("charts", 0, "title"), how="text")
        sentences.append(
            f"On {DEVICES[device]} a forward pass over {positions} positions takes, over one position: {each}"
        )
        dense = ratios.get(("softmax", "forward", device))
        sentences[-1] += "." if dense is None else f"; softmax attention {in_words(dense, 0)}."
    text = " ".join(sentences)
    if all(short):
        return "holds", text
    if all(long):
        return "does not hold", text
    few = [one.name for one, is_short in zip(counted, short, strict=True) if is_short]
    return "depends", f"{text} At most twice as long: {', '.join(few) or 'none beyond doubt'}."


def _chart(ratios: Mapping[RatioKey, ClaimNumber], phase: Phase, devices: Sequence[str]) -> ClaimChart:
    names = list(dict.fromkeys(name for name, _, _ in ratios))
    curves = [curve_through(DEVICES[device], [ratios[name, phase, device] for name in names]) for device in devices]
    return ClaimChart(
        f"Time of {LONG} positions over the time of one: {'a training step' if phase == 'training' else 'forward'}",
        "mechanism",
        "ratio of times",
        curves,
        log_y=True,
        lines=[ReferenceLine("as long as one position", 1.0), ReferenceLine(f"{LONG} times as long", float(LONG))],
        categories=names,
    )
