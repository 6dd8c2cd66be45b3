"""C6: what a state of fixed size recalls of more and more facts, beside a state that grows with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from sightline.core.digits import significant
from sightline.core.sourced import sourced
from sightline.lab.capacity import RecallTraining, recall_curve
from sightline.lab.claims.claim import Effort
from sightline.lab.claims.numbers import curve_through, estimated, of_conditions, of_number, placed
from sightline.lab.claims.results import ClaimChart, ClaimCurve, ClaimNumber, ClaimOutcome, ClaimResult
from sightline.lab.panel_results import Recall
from sightline.lab.results import Estimate

KEPT = 0.9  # of all answers; guessing gives 1/256
NUMBER_BYTES = 4  # of a number in float32


class StateSizes(NamedTuple):
    """Numbers of facts, steps of training, and seeds."""

    facts: tuple[int, ...]
    steps: int
    seeds: int


FULL, QUICK = StateSizes((2, 4, 8, 16, 32, 64), 1600, 3), StateSizes((2, 4, 8, 16, 32), 800, 1)
# By mechanism the width at which its state has 256 to 512 numbers; that of attention grows at any width.
WIDTHS = {"softmax": 32, "linear": 16, "gated_delta": 16, "gru": 256, "lstm": 256}


def fixed_state(effort: Effort) -> ClaimResult:
    """C6: multi-query associative recall (Arora et al. 2023) by the number of facts, with states of 256 to 512 numbers.

    A fact is a key with one of 256 values, 8 bits. Models are one layer of a mechanism behind a short convolution,
    trained on all numbers of facts together and tested on new rows of each. The bytes of a state are measured before
    the first question; a state is fixed if they are the same at every number of facts. A mechanism counts if it learned
    the task, which is to say recalls the smallest number of facts.

    Rule: a mechanism keeps the facts if the lower end of its 95 % interval at the largest number of facts is at least
    0.9 of all answers, and loses facts if the upper end is below 0.9. The claim holds if a state that grows keeps the
    facts and every fixed one that counts loses some. It does not hold if every fixed one that counts keeps them.
    Otherwise it depends: on the mechanism, or not decided, where no fixed one or no growing one learned the task.
    """
    facts, steps, seeds = effort.choose(FULL, QUICK)
    training = replace(RecallTraining(), steps=steps)
    rows = []
    for name, width in WIDTHS.items():
        effort.say(f"C6: {name}")
        rows += recall_curve(name, sizes=facts, widths=(width,), seeds=effort.some_seeds(seeds), training=training)
    return ClaimResult(
        *placed(judge, rows),
        numbers=[number for row in rows for number in _numbers(row)],
        charts=_charts(rows),
        conditions=f"one layer, {steps} steps of {training.tokens} positions, AdamW at {training.rates[0]:g}, "
        f"{training.tested} rows of each of {', '.join(map(str, facts))} facts; {effort.conditions()}",
        limits="Stored bits are a lower bound: a model that is trained for longer, or at another rate, may store more. "
        "Facts here are drawn evenly, and do not repeat or follow from each other as those of a document do.",
    )


def is_fixed(row: Recall) -> bool:
    """Whether the state has the same bytes at every number of facts."""
    return len({point.state_bytes for point in row.points}) == 1


def judge(rows: Sequence[Recall]) -> tuple[ClaimOutcome, str]:
    """The outcome by the rule of `fixed_state`, and what was measured in words."""
    learned = [row for row in rows if row.learned]
    fixed, growing = [r for r in learned if is_fixed(r)], [r for r in learned if not is_fixed(r)]
    facts = of_number(_answers_name(rows[0]), str(rows[0].points[-1].items), "name")
    missed = [row.name for row in rows if not row.learned]
    text = f"Of {facts} facts: {'; '.join(_described(row) for row in [*growing, *fixed])}." if learned else ""
    if missed:
        steps = of_conditions(str(rows[0].steps))
        text += f" Not learned in {steps} steps, so that it does not count: {', '.join(missed)}."
    kept = [row.name for row in fixed if _low(row.points[-1].accuracy) >= KEPT]
    lost = [row.name for row in fixed if _high(row.points[-1].accuracy) < KEPT]
    if not fixed or not any(_low(row.points[-1].accuracy) >= KEPT for row in growing):
        return "depends", f"Not decided. {text}".strip()
    if len(lost) == len(fixed):
        return "holds", text
    if len(kept) == len(fixed):
        return "does not hold", text
    return "depends", f"It depends on the mechanism: facts are lost by {', '.join(lost) or 'none for certain'}. {text}"


def _described(row: Recall) -> str:
    last, most = row.points[-1], row.fullest
    numbers = sourced(f"{last.state_bytes // NUMBER_BYTES:,}", ("numbers", _state_name(row), "value"), how="derived")
    size = f"{numbers} numbers{'' if is_fixed(row) else ' that grow with the facts'}"
    bits = of_number(_bits_name(row), significant(most.bits.mean or 0.0, 3))
    facts = of_conditions(str(most.items))
    return f"{row.name} ({size}) recalls {_percent(row)}, at least {bits} bits at {facts} facts"


def _percent(row: Recall) -> str:
    estimate, name = row.points[-1].accuracy, _answers_name(row)
    mean = f"{of_number(name, f'{100 * (estimate.mean or 0.0):.0f}')} %"
    if estimate.low is None or estimate.high is None:
        return mean
    low, high = (
        of_number(name, f"{100 * end:.0f}", field) for field, end in (("low", estimate.low), ("high", estimate.high))
    )
    return f"{mean} ({low} to {high})"


def _answers_name(row: Recall) -> str:
    return f"{row.name}: right answers of {row.points[-1].items} facts"


def _bits_name(row: Recall) -> str:
    return f"{row.name}: stored, at least"


def _state_name(row: Recall) -> str:
    return f"{row.name}: state at {row.points[-1].items} facts"


def _low(estimate: Estimate) -> float:
    return -1.0 if estimate.low is None else estimate.low


def _high(estimate: Estimate) -> float:
    return 2.0 if estimate.high is None else estimate.high


def _numbers(row: Recall) -> list[ClaimNumber]:
    last, most = row.points[-1], row.fullest
    count = len(row.seeds)
    return [
        estimated(_answers_name(row), last.accuracy, n=count),
        estimated(_bits_name(row), most.bits, "bits", count),
        ClaimNumber(_state_name(row), float(last.state_bytes), unit="bytes"),
        ClaimNumber(f"{row.name}: stored per byte of state, at least", most.bits_per_byte, unit="bits"),
    ]


def _charts(rows: Sequence[Recall]) -> list[ClaimChart]:
    return [
        ClaimChart(
            "Right answers by number of facts",
            "facts",
            "share of right answers",
            [_curve(row, [point.accuracy for point in row.points]) for row in rows],
            log_x=True,
        ),
        ClaimChart(
            "Stored bits by number of facts",
            "facts",
            "bits, at least",
            [_curve(row, [point.bits for point in row.points]) for row in rows]
            + [
                ClaimCurve(
                    "all facts",
                    [float(point.items) for point in rows[0].points],
                    [point.entropy_bits for point in rows[0].points],
                )
            ],
            log_x=True,
        ),
    ]


def _curve(row: Recall, estimates: Sequence[Estimate]) -> ClaimCurve:
    name = row.name if row.learned else f"{row.name} (not learned)"
    return curve_through(name, [estimated("", one) for one in estimates], [point.items for point in row.points])
