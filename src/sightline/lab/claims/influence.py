"""C19: how much each position counts for each other, for networks that read one way and both ways."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sightline.core.seeds import derive
from sightline.core.sourced import sourced
from sightline.inspect.jacobian import jacobian_norms
from sightline.lab.claims.claim import Effort
from sightline.lab.claims.numbers import of_conditions, placed
from sightline.lab.claims.results import ClaimChart, ClaimCurve, ClaimMap, ClaimNumber, ClaimOutcome, ClaimResult
from sightline.lab.mechanism import Inputs, Mechanism, outputs
from sightline.mixers.bidirectional import BidirectionalConfig
from sightline.mixers.rnn import RNNConfig
from sightline.mixers.softmax import SoftmaxConfig

POSITIONS, WIDTH = 24, 16
CLEAR = 0.01  # of the largest influence on a position
LEFT_TO_RIGHT = {"rnn": RNNConfig(), "causal attention": SoftmaxConfig()}
BOTH_WAYS = {"bidirectional lstm": BidirectionalConfig("lstm"), "full attention": SoftmaxConfig(causal=False)}
FULL, BILSTM = "full attention", "bidirectional lstm"


def influence_maps(effort: Effort) -> ClaimResult:
    """C19: the norm of ∂y(i)/∂x(j) of every position j on every other i, as a share of the largest on i.

    Rule: the claim holds if the influence of every later position is exactly zero for the rnn and for causal attention,
    and for full attention every position has at least 1 % of the largest influence on every other, and some for the
    bidirectional LSTM. It does not hold if a later position counts for a left-to-right network, or if one counts
    nothing for full attention. Otherwise it depends: on the distance.
    """
    shares = {}
    for name, config in {**LEFT_TO_RIGHT, **BOTH_WAYS}.items():
        effort.say(f"C19: {name}")
        shares[name] = influence(Mechanism(name, config, WIDTH), effort.choose(16, 4), effort.seed)
    return ClaimResult(
        *placed(judge, shares),
        numbers=[
            number
            for name, share in shares.items()
            for number in (
                ClaimNumber(f"{name}: largest share of a later position", float(_later(share).max())),
                ClaimNumber(_smallest(name, "a later"), float(_later(share).min())),
                ClaimNumber(_smallest(name, "an earlier"), float(_later(share.T).min())),
            )
        ],
        charts=[
            ClaimChart(
                "Influence by distance, later positions to the right",
                "position j - i",
                "share of the largest influence on i",
                [_by_distance(name, share) for name, share in shares.items()],
                log_y=True,
            )
        ],
        maps=[
            ClaimMap(f"Influence in {name}", "position j that is read", "position i", share.tolist())
            for name, share in shares.items()
        ],
        conditions=f"one untrained layer of width {WIDTH}, {POSITIONS} positions, float64, mean over "
        f"{effort.choose(16, 4)} sequences of standard normal inputs; {effort.conditions()}",
        limits="Untrained layers: what can be read, not what a trained network reads (C12).",
    )


def influence(mechanism: Mechanism, sequences: int, seed: int) -> Tensor:
    """(T, T): the mean norm of ∂y(i)/∂x(j) in row i and column j, divided by the largest of the row."""
    module = mechanism.build(seed, torch.float64)
    inputs = mechanism.inputs(module, sequences, POSITIONS, derive(seed, "influence"), torch.float64)
    total = torch.zeros(POSITIONS, POSITIONS, dtype=torch.float64)
    for row in inputs.x:
        total += jacobian_norms(lambda x: outputs(module, Inputs(x, None))[0], row.unsqueeze(0))
    return total / total.amax(1, keepdim=True)


def judge(shares: Mapping[str, Tensor]) -> tuple[ClaimOutcome, str]:
    """The outcome, and what was measured in words."""
    blind = all(float(_later(shares[name]).max()) == 0.0 for name in LEFT_TO_RIGHT)
    full, both = (float(share[~torch.eye(len(share)).bool()].min()) for share in (shares[FULL], shares[BILSTM]))
    text = (
        f"A later position counts {'nothing' if blind else 'something'} for the RNN and causal attention. The smallest "
        f"influence of one position on another, as a share of the largest on it, is {_least(FULL, full)} in full "
        f"attention and {_least(BILSTM, both)} in the bidirectional LSTM, over "
        f"{of_conditions(str(len(shares[FULL])))} positions."
    )
    if blind and full >= CLEAR and both > 0:
        return "holds", text
    if not blind or full == 0:
        return "does not hold", text
    return "depends", f"{text} It depends on the distance."


def _smallest(name: str, side: str) -> str:
    return f"{name}: smallest share of {side} position"


def _least(name: str, value: float) -> str:
    places = [("numbers", _smallest(name, side), "value") for side in ("a later", "an earlier")]
    return sourced(f"{value:.2g}", *places, how="least")


def _later(share: Tensor) -> Tensor:
    """The shares of positions j > i."""
    return share[torch.ones_like(share, dtype=torch.bool).triu(1)]


def _by_distance(name: str, share: Tensor) -> ClaimCurve:
    steps = range(1 - len(share), len(share))
    return ClaimCurve(name, [float(s) for s in steps], [float(share.diagonal(s).mean()) for s in steps])
