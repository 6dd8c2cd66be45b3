"""The interface of all decoders: a step function, a state, and hypotheses.

A decoder knows a model only as `step(tokens (B,), state) -> (logits (B, V), state)`, or for several tokens at a time as
`extend(tokens (B, T), state) -> (logits (B, T, V), state)`, and the state only through `core.state`, so that it can
search any model that satisfies the contract.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from sightline.core.state import leaves, select

Step: TypeAlias = Callable[[Tensor, Any], tuple[Tensor, Any]]
Extend: TypeAlias = Callable[[Tensor, Any], tuple[Tensor, Any]]
NOT_FINITE = "the model's logits are NaN or infinite: its weights or its input are not finite"
NONE_POSSIBLE = "every token that is not banned has the logit -infinity: nothing can follow"


class Hypothesis(NamedTuple):
    """One output of a decoder."""

    tokens: tuple[int, ...]  # without the start and end tokens
    score: float  # sum of the model's log-probabilities in nats, including the end token's if finished
    finished: bool  # False: truncated at max_length


def row_limits(max_length: int | Sequence[int], batch: int) -> list[int]:
    """Maximum number of tokens, including the end token, for each of `batch` rows."""
    limits = [max_length] * batch if isinstance(max_length, int) else [int(limit) for limit in max_length]
    if len(limits) != batch:
        raise ValueError(f"expected one max_length or {batch}, one per row, got {len(limits)}")
    if any(limit < 0 for limit in limits):
        raise ValueError(f"max_length must not be negative, got {min(limits)}")
    return limits


def state_device(state: Any) -> torch.device:
    """The device of the state; the CPU for a state without tensors."""
    return next((leaf.device for leaf in leaves(state)), torch.device("cpu"))


def reorder(state: Any, index: Tensor, rows: int) -> Any:
    """`select(state, index)`, without a copy if `index` selects all `rows` rows in order."""
    unchanged = index.numel() == rows and torch.equal(index, torch.arange(rows, device=index.device))
    return state if unchanged else select(state, index)


def permit(logits: Tensor, banned: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Logits (B, V), at least float32, with -inf for banned tokens, and log-probabilities (B, V) of all tokens.

    These are the model's own: banning does not renormalise. Choices are made among logits, which are spaced finer.

    Raises:
        ValueError: a logit is NaN or infinity, all are -infinity, or every token is banned.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    chances = logits.log_softmax(1)
    if math.isnan(chances.select(1, 0).sum().item()):  # then all chances of a row are, and none is +infinity
        raise ValueError(NOT_FINITE)
    return _without(logits, banned), chances


def permitted(logits: Tensor, banned: Sequence[int]) -> Tensor:
    """The logits (B, V) of `permit`, where nobody needs the log-probabilities."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if not logits.amax(1).isfinite().all():
        raise ValueError(NOT_FINITE)
    return _without(logits, banned)


def _without(logits: Tensor, banned: Sequence[int]) -> Tensor:
    if not banned:
        return logits
    if len(set(banned)) >= logits.shape[1] or not all(0 <= token < logits.shape[1] for token in banned):
        raise ValueError(f"banned tokens {sorted(set(banned))} do not leave a choice among {logits.shape[1]} tokens")
    return logits.index_fill(1, torch.tensor(banned, device=logits.device), -torch.inf)
