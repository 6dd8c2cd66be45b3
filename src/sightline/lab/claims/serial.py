"""C1: the longest chain of dependent operations by length, of every mechanism."""

from __future__ import annotations

from collections.abc import Sequence

from sightline.core.sourced import Place, sourced
from sightline.lab.claims.claim import Effort
from sightline.lab.claims.numbers import of_number, placed
from sightline.lab.claims.results import ClaimChart, ClaimCurve, ClaimNumber, ClaimOutcome, ClaimResult
from sightline.lab.mechanism import find_mechanisms
from sightline.lab.panel_results import Chain
from sightline.lab.serial import mechanism_chains

WIDTH = 16  # the counts hardly depend on it
RECURRENT = ("rnn", "lstm", "gru")  # the recurrent networks of the saying
DENSE = ("softmax", "softmax+weights", "cross")  # the attention of the saying; additive has a recurrent decoder in it
PER_POSITION = 1.0  # operations that each further position adds to the chain of a recurrence, at least


def serial_steps(effort: Effort) -> ClaimResult:
    """C1: n serial steps for a recurrence, a constant number of operations for attention.

    Rule: holds if in a forward pass each further position adds at least one operation to the chain of the rnn, lstm and
    gru, and the chain of softmax attention (fused and with its weights formed) and of cross-attention is no longer at
    the largest length than at the shortest; depends if that is so for some of either kind; otherwise it does not hold.
    Other mechanisms are shown and do not count: additive attention is that of Bahdanau et al. 2015, whose decoder is
    recurrent.
    """
    lengths = effort.choose((32, 64, 128, 256, 512, 1024), (16, 32, 64, 128))
    chains = []
    for mechanism in find_mechanisms([*find_names(), "softmax+weights"], WIDTH):
        effort.say(f"C1: {mechanism.name}")
        chains += mechanism_chains(mechanism, lengths, ("forward", "decode"))
    forward = [chain for chain in chains if chain.phase == "forward"]
    return ClaimResult(
        *placed(judge, chains),
        numbers=[
            *(ClaimNumber(_slope_name(c), per_position(c), unit="operations") for c in forward),
            *(
                ClaimNumber(f"{c.name}, one step of decoding", c.operations[-1], unit="operations")
                for c in chains
                if c.phase == "decode"
            ),
        ],
        charts=[
            ClaimChart(
                "Longest chain of dependent operations of a forward pass",
                "positions n",
                "operations",
                [ClaimCurve(c.name, [*map(float, c.lengths)], [*map(float, c.operations)]) for c in forward],
                log_x=True,
                log_y=True,
            )
        ],
        conditions=f"one layer of width {WIDTH}, one row of {lengths[0]} to {lengths[-1]} positions, float64, counted "
        "on the executed graph: the same on every machine",
        limits="A count of operations is not a time: a fused kernel counts one, whatever loop it contains. A decoder "
        "that writes text is serial with every mechanism, since each token needs the one before.",
    )


def find_names() -> list[str]:
    """All mechanisms of the table."""
    return [mechanism.name for mechanism in find_mechanisms([], WIDTH)]


def per_position(chain: Chain) -> float:
    """Operations that each further position adds, between the shortest and the largest length."""
    return (chain.operations[-1] - chain.operations[0]) / (chain.lengths[-1] - chain.lengths[0])


def judge(chains: Sequence[Chain]) -> tuple[ClaimOutcome, str]:
    """The outcome, and what was measured in words."""
    forward = {chain.name: chain for chain in chains if chain.phase == "forward"}
    serial = [forward[name] for name in RECURRENT]
    constant = [forward[name] for name in DENSE]
    grow = [chain.name for chain in serial if per_position(chain) >= PER_POSITION]
    same = [chain.name for chain in constant if chain.operations[-1] <= chain.operations[0]]
    curves = {name: ("charts", 0, "curves", at) for at, name in enumerate(forward)}
    n = sourced(f"{serial[0].lengths[-1]:,}", (*curves[serial[0].name], "x", -1))
    recurrences = ", ".join(f"{_last(c, curves[c.name])} ({_per_position(c)} per position)" for c in serial)
    attention = ", ".join(f"{_last(c, curves[c.name])}{_between(c, curves[c.name])}" for c in constant)
    text = f"Longest chain at n = {n}: {recurrences}; {attention}. "
    if len(grow) == len(serial) and len(same) == len(constant):
        others = [name for name, c in forward.items() if name not in (*RECURRENT, *DENSE) and per_position(c) < 0.5]
        text += (
            "The chain does not grow with the length in dense attention; it grows by less than half an operation per "
        )
        return "holds", text + f"position in {', '.join(others) or 'no other mechanism'} too."
    if grow and same:
        return "depends", text + f"It grows with n in {', '.join(grow)}; it does not grow in {', '.join(same)}."
    return "does not hold", text


def _last(chain: Chain, curve: Place) -> str:
    return f"{chain.name} {sourced(f'{chain.operations[-1]:,}', (*curve, 'y', -1))}"


def _per_position(chain: Chain) -> str:
    return of_number(_slope_name(chain), f"{per_position(chain):.3g}")


def _slope_name(chain: Chain) -> str:
    return f"{chain.name}, operations per position"


def _between(chain: Chain, curve: Place) -> str:
    """A longer chain at a length between the first and the last, for which the layer may choose another kernel."""
    most = max(chain.operations)
    if most <= max(chain.operations[0], chain.operations[-1]):
        return ""
    at = chain.operations.index(most)
    operations, n = (
        sourced(f"{value:,}", (*curve, axis, at)) for axis, value in (("y", most), ("x", chain.lengths[at]))
    )
    return f" ({operations} at n = {n})"
