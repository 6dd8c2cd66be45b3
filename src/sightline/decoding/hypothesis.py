"""What every decoder takes and gives: a step function, a state, and hypotheses.

Decoders know a model only as `step(tokens (B,), state) -> (logits (B, V), state)` and the state only through
`core.state`, so that anything that keeps the contract can be searched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from sightline.core.state import leaves, select

Step: TypeAlias = Callable[[Tensor, Any], tuple[Tensor, Any]]


class Hypothesis(NamedTuple):
    """One output of a decoder."""

    tokens: tuple[int, ...]  # without the token that begins and the one that ends a sequence
    score: float  # sum of the model's log-probabilities in nats, the end token's included when finished
    finished: bool  # False: cut off at max_length


def row_limits(max_length: int | Sequence[int], batch: int) -> list[int]:
    """The most tokens, end token included, that each of `batch` rows may generate."""
    limits = [max_length] * batch if isinstance(max_length, int) else [int(limit) for limit in max_length]
    if len(limits) != batch:
        raise ValueError(f"expected one max_length or {batch}, one for each row, got {len(limits)}")
    if any(limit < 0 for limit in limits):
        raise ValueError(f"max_length must not be negative, got {min(limits)}")
    return limits


def state_device(state: Any) -> torch.device:
    """Where the state lives; the processor for a state without tensors."""
    return next((leaf.device for leaf in leaves(state)), torch.device("cpu"))


def precise(device: torch.device) -> torch.dtype:
    """What scores are summed and probabilities accumulated in: float64, which Apple's GPUs do not have."""
    return torch.float32 if device.type == "mps" else torch.float64


def reorder(state: Any, index: Tensor, rows: int) -> Any:
    """`select(state, index)`, without the copy where `index` takes all `rows` rows in their order."""
    unchanged = index.numel() == rows and torch.equal(index, torch.arange(rows, device=index.device))
    return state if unchanged else select(state, index)


def permit(logits: Tensor, banned: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Logits (B, V), at least float32, with -inf for the banned tokens, and the normaliser (B,) of all of them.

    A logit less the normaliser is the model's own log-probability: banning renormalises nothing. Raises `ValueError`
    where the normaliser is not finite: any token chosen from such logits would be an accident.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    normaliser = logits.logsumexp(1)
    if not normaliser.isfinite().all():
        raise ValueError("the model's logits are NaN or infinite: its weights or its input are not finite")
    if not banned:
        return logits, normaliser
    if len(set(banned)) >= logits.shape[1] or not all(0 <= token < logits.shape[1] for token in banned):
        raise ValueError(f"banned tokens {sorted(set(banned))} do not leave a choice among {logits.shape[1]} tokens")
    return logits.index_fill(1, torch.tensor(banned, device=logits.device), -torch.inf), normaliser
