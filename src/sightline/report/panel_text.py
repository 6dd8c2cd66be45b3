"""The findings of a bottleneck panel, as numbers for a table and as sentences. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sightline.core.digits import significant
from sightline.core.sourced import Place, sourced
from sightline.lab.bands import reaches, uses
from sightline.lab.panel_results import Band, Chain, Crossover, Growth, PanelResults, Phase, PhaseCost, Reach
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
STEEP = 1.5  # an exponent whose whole interval is above it is that of growth faster than linear


def exponent(growth: Growth, place: Place = ()) -> str:
    """The exponent with its interval: "2.01 [1.98, 2.04]"; place: of the growth in the results."""
    values = {
        "exponent": growth.exponent,
        "low": min(growth.low, growth.exponent),
        "high": max(growth.high, growth.exponent),
    }
    middle, low, high = (sourced(_two(value), (*place, end)) if place else _two(value) for end, value in values.items())
    return f"{middle} [{low}, {high}]"


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


def crossover_text(one: Crossover, at: int) -> str:
    """A prediction and its check: "Training: linear was predicted to take less time than softmax from 812 … on".

    at: its place among the crossovers of the results
    """
    predicted = sourced(f"{one.predicted:,.0f}", ("crossovers", at, "predicted"))
    phase = one.phase.capitalize()
    start = f"{phase}: {visible(one.cheaper)} was predicted to take less time than {visible(one.other)}"
    if not one.checked:
        return f"{start} from {predicted} positions on; not checked."
    if one.measured is None or one.error is None:
        first, last = (sourced(f"{one.checked[end]:,}", ("crossovers", at, "checked", end)) for end in (0, -1))
        return f"{start} from {predicted} positions on; between {first} and {last} no crossing was measured."
    measured = sourced(f"{one.measured:,.0f}", ("crossovers", at, "measured"))
    error = sourced(f"{one.error:.0%}", ("crossovers", at, "error"))
    return f"{start} from {predicted} positions on; measured at held-out lengths: {measured}, an error of {error}."


def _serial(chains: Sequence[Chain]) -> list[str]:
    forward = [c for c in chains if c.phase == "forward"]
    both = [c for c in forward if c.along == "all"]
    places = {(c.name, c.along): at for at, c in enumerate(chains) if c.phase == "forward"}
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
            steps = [f"{c.name} ({_each(c, places[c.name, c.along])})" for c in grown]
            sentences.append(
                f"With the {side} alone the chain grows in {names_of(steps)}; in brackets operations for each position "
                f"of the {side}."
            )
    return sentences


def _each(chain: Chain, at: int) -> str:
    """Operations that each further position adds."""
    added = (chain.operations[-1] - chain.operations[0]) / max(chain.lengths[-1] - chain.lengths[0], 1)
    places = [("serial", at, field, end) for field in ("operations", "lengths") for end in (-1, 0)]
    return sourced(f"{added:.3g}", *places, how="ratio of differences")


def _growth(costs: Sequence[PhaseCost]) -> list[str]:
    training = [(("growth", at), c) for at, c in enumerate(costs) if c.phase == "training"]
    sentences = []
    for what, growths in (
        ("time", [(c.name, (*place, "time"), c.time) for place, c in training]),
        ("memory", [(c.name, (*place, "memory"), c.memory) for place, c in training]),
    ):
        steep = [
            f"{name} ({exponent(growth, place)})"
            for name, place, growth in growths
            if growth is not None and growth.settled and growth.low > STEEP
        ]
        if steep:
            sentences.append(f"The {what} of a training step grows faster than n^{STEEP} in {names_of(steep)}.")
    return sentences


def _reach(rows: Sequence[Reach]) -> list[str]:
    sentences = []
    untrained = [(at, r) for at, r in enumerate(rows) if not r.trained and r.before is None]
    began = {(r.before, r.over): _reached(at, r) for at, r in enumerate(rows) if r.before is not None}
    if untrained:
        last = max(max(r.input.at) for _, r in untrained)
        short = [f"{r.name} ({_reached(at, r)})" for at, r in untrained if reaches(r.input) < last]
        if short:
            within = sourced(f"{last:g}", *(("reach", at, "input", "at", -1) for at, _ in untrained), how="most")
            sentences.append(
                f"Untrained, the gradient falls below a hundredth of that at distance 1 within {within} positions in "
                f"{names_of(short)}; in brackets the last distance above it."
            )
    for at, reach in enumerate(rows):
        if reach.used is not None and not WORDS_OF[reach.over].kept:
            before = began.get((reach.name, reach.over))
            at_first = "" if before is None else f" (at initialisation {before})"
            sentences.append(
                f"{visible(reach.name)}: gradients reach {_reached(at, reach)} positions back{at_first}; "
                f"{_used(at, reach.used)} positions of context give the loss of all ({_whole(at, reach)}), to 1 %."
            )
    return [*sentences, *(text for words in REACHED if (text := _kept(words, rows)))]


def _reached(at: int, reach: Reach) -> str:
    return sourced(f"{reaches(reach.input):g}", ("reach", at, "input"), how="derived")


def _used(at: int, used: Band) -> str:
    return sourced(f"{uses(used):g}", ("reach", at, "used"), how="derived")


def _whole(at: int, reach: Reach) -> str:
    """The loss with all that can be read, and its unit."""
    loss = 0.0 if reach.used is None else reach.used.centre[-1] or 0.0
    return f"{sourced(significant(loss), ('reach', at, 'used', 'centre', -1))} {reach.loss_unit}"


def _kept(words: ReachWords, rows: Sequence[Reach]) -> str:
    """Of all runs how many positions at the end give the loss of all, and the loss: one sentence."""
    used = [(at, r, r.used) for at, r in enumerate(rows) if r.used is not None and r.over in words.over]
    if not words.kept or not used:
        return ""
    each = [
        f"{visible(reach.name)} {_used(at, band)} of "
        f"{sourced(f'{band.at[-1]:g}', ('reach', at, 'used', 'at', -1))} ({_whole(at, reach)})"
        for at, reach, band in used
    ]
    return f"{words.kept}, to 1 %: {names_of(each)}."


def chain_words(chain: Chain) -> str:
    """The pass that is counted: "a forward pass", "a forward pass, source alone"."""
    return TITLES[chain.phase] + ("" if chain.along == "all" else f", {chain.along} alone")


def unmeasured_lines(results: PanelResults, part: str) -> list[str]:
    """The measurements that a part lacks for each run; runs with equal reasons share a line."""
    places: dict[tuple[str, str], tuple[int, list[str]]] = {}
    for place, one in enumerate(results.unmeasured):
        if one.part == part:
            places.setdefault((one.what, one.reason), (place, []))[1].append(visible(one.name))
    return [
        f"{names_of(names)}: {what} not measured: {sourced(reason, ('unmeasured', place, 'reason'), how='text')}."
        for (what, reason), (place, names) in places.items()
    ]
