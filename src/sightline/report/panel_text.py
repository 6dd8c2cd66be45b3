"""What a bottleneck panel found, in numbers for a table and in sentences. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sightline.core.digits import significant
from sightline.lab.bands import reaches, uses
from sightline.lab.panel_results import Chain, Crossover, Growth, PanelResults, Phase, PhaseCost, Reach
from sightline.report.past_panel import past_findings
from sightline.report.reach_words import REACHED, WORDS_OF, ReachWords
from sightline.report.recall_panel import bits_per_byte, recall_findings
from sightline.report.text import names_of, visible

TITLES: dict[Phase, str] = {
    "forward": "a forward pass",
    "training": "a training step",
    "prefill": "prefill",
    "decode": "one step of decoding",
}


def exponent(growth: Growth) -> str:
    """The exponent with its interval: "2.01 [1.98, 2.04]"."""
    low, high = min(growth.low, growth.exponent), max(growth.high, growth.exponent)
    return f"{_two(growth.exponent)} [{_two(low)}, {_two(high)}]"


def _two(value: float) -> str:
    """Two decimals, and no negative zero."""
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


class Row(NamedTuple):
    """One mechanism or run in the table of costs; an empty text is not measured."""

    name: str
    chain: str
    chain_growth: str
    time: dict[Phase, str]
    memory: dict[Phase, str]
    reach: str
    used: str
    bits_per_byte: str


def cost_rows(results: PanelResults) -> list[Row]:
    """The exponents, reach and stored bits of every mechanism and run."""
    chains = {c.name: c for c in results.serial if (c.phase, c.along) == ("forward", "all")}
    reached = {r.name: r for r in results.reach if r.over != "target"}  # of an encoder-decoder that of the source
    rows = []
    for name in results.names:
        costs = {c.phase: c for c in results.growth if c.name == name}
        chain, reach = chains.get(name), reached.get(name)
        rows.append(
            Row(
                name,
                "" if chain is None else f"{chain.operations[-1]:,}",
                "" if chain is None else "constant" if len(set(chain.operations)) == 1 else _marked(chain.growth),
                {phase: _marked(cost.time) for phase, cost in costs.items()},
                {phase: _marked(cost.memory) for phase, cost in costs.items()},
                "" if reach is None else f"{reaches(reach.input):g}",
                "" if reach is None or reach.used is None else f"{uses(reach.used):g}",
                bits_per_byte(results, name),
            )
        )
    return rows


def _marked(growth: Growth | None) -> str:
    """The exponent; in brackets where fixed costs may hide a larger one; empty for too few lengths."""
    if growth is None:
        return ""
    return exponent(growth) if growth.settled else f"({exponent(growth)})"


def findings(results: PanelResults) -> list[str]:
    """The main results, a sentence each."""
    return [
        *_serial(results.serial),
        *_growth(results.growth),
        *_reach(results.reach),
        *recall_findings(results),
        *past_findings(results),
    ]


def crossover_text(one: Crossover) -> str:
    """A prediction and its check: "Training: linear was predicted to take less time than softmax from 812 … on"."""
    phase = one.phase.capitalize()
    start = f"{phase}: {visible(one.cheaper)} was predicted to take less time than {visible(one.other)}"
    if not one.checked:
        return f"{start} from {one.predicted:,.0f} positions on; not checked."
    if one.measured is None or one.error is None:
        lengths = f"{one.checked[0]:,} and {one.checked[-1]:,}"
        return f"{start} from {one.predicted:,.0f} positions on; between {lengths} no crossing was measured."
    return (
        f"{start} from {one.predicted:,.0f} positions on; measured at held-out lengths: {one.measured:,.0f}, an error "
        f"of {one.error:.0%}."
    )


def _serial(chains: Sequence[Chain]) -> list[str]:
    forward = [c for c in chains if c.phase == "forward"]
    both = [c for c in forward if c.along == "all"]
    constant = [c.name for c in both if len(set(c.operations)) == 1]
    linear = [c.name for c in both if c.growth is not None and c.growth.low > 0.8]
    sentences = []
    if linear:
        sentences.append(f"The chain of dependent operations grows with the length in {names_of(linear)}.")
    if constant:
        sentences.append(f"The chain is the same at every length in {names_of(constant)}.")
    sides = {
        side: [c for c in forward if c.along == side and c.operations[-1] > c.operations[0]]
        for side in ("source", "target")
    }
    for side, grown in sides.items():
        if grown:
            steps = [f"{c.name} ({_each(c):.3g})" for c in grown]
            sentences.append(
                f"With the {side} alone the chain grows in {names_of(steps)}; in brackets operations for each position "
                f"of the {side}."
            )
    return sentences


def _each(chain: Chain) -> float:
    """Operations that each further position adds."""
    return (chain.operations[-1] - chain.operations[0]) / max(chain.lengths[-1] - chain.lengths[0], 1)


def _growth(costs: Sequence[PhaseCost]) -> list[str]:
    training = [c for c in costs if c.phase == "training"]
    sentences = []
    for what, growths in (
        ("time", [(c.name, c.time) for c in training]),
        ("memory", [(c.name, c.memory) for c in training]),
    ):
        steep = [f"{name} ({exponent(g)})" for name, g in growths if g is not None and g.settled and g.low > 1.5]
        if steep:
            sentences.append(f"The {what} of a training step grows faster than n^1.5 in {names_of(steep)}.")
    return sentences


def _reach(rows: Sequence[Reach]) -> list[str]:
    sentences = []
    untrained = [r for r in rows if not r.trained and r.before is None]
    began = {(r.before, r.over): reaches(r.input) for r in rows if r.before is not None}
    if untrained:
        last = max(max(r.input.at) for r in untrained)
        short = [f"{r.name} ({reaches(r.input):g})" for r in untrained if reaches(r.input) < last]
        if short:
            sentences.append(
                f"Untrained, the gradient falls below a hundredth of that at distance 1 within {last:g} positions in "
                f"{names_of(short)}; in brackets the last distance above it."
            )
    for reach in rows:
        if reach.used is not None and not WORDS_OF[reach.over].kept:
            loss, before = significant(reach.used.centre[-1] or 0.0), began.get((reach.name, reach.over))
            at_first = "" if before is None else f" (at initialisation {before:g})"
            sentences.append(
                f"{visible(reach.name)}: gradients reach {reaches(reach.input):g} positions back{at_first}; "
                f"{uses(reach.used):g} positions of context give the loss of all ({loss} {reach.loss_unit}), to 1 %."
            )
    return [*sentences, *(text for words in REACHED if (text := _kept(words, rows)))]


def _kept(words: ReachWords, rows: Sequence[Reach]) -> str:
    """Of all runs how many positions at the end give the loss of all, and the loss: one sentence."""
    used = [(r, r.used) for r in rows if r.used is not None and r.over in words.over]
    if not words.kept or not used:
        return ""
    each = [
        f"{visible(reach.name)} {uses(band):g} of {band.at[-1]:g} ({significant(band.centre[-1] or 0.0)} "
        f"{reach.loss_unit})"
        for reach, band in used
    ]
    return f"{words.kept}, to 1 %: {names_of(each)}."


def chain_words(chain: Chain) -> str:
    """What is counted: "a forward pass", "a forward pass, source alone"."""
    return TITLES[chain.phase] + ("" if chain.along == "all" else f", {chain.along} alone")


def unmeasured_lines(results: PanelResults, part: str) -> list[tuple[int, str]]:
    """What a part does not have of each run, with its place in the results; equal reasons of runs in one line."""
    places: dict[tuple[str, str], tuple[int, list[str]]] = {}
    for place, one in enumerate(results.unmeasured):
        if one.part == part:
            places.setdefault((one.what, one.reason), (place, []))[1].append(visible(one.name))
    return [
        (place, f"{names_of(names)}: {what} not measured: {reason}.")
        for (what, reason), (place, names) in places.items()
    ]
