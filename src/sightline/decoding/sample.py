"""Sampling: temperature, top-k, top-p, min-p and repetition penalty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sightline.core.seeds import derive
from sightline.decoding.greedy import Watch, unroll
from sightline.decoding.hypothesis import Hypothesis, Step, precise, row_limits, state_device


def sample(
    step: Step,
    state: Any,
    *,
    batch: int,
    bos: int,
    eos: int,
    max_length: int | Sequence[int],
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    min_p: float = 0.0,
    repetition_penalty: float = 1.0,
    seed: int = 0,
    rows: Sequence[int] | None = None,
    banned: Sequence[int] = (),
    watch: Watch | None = None,
    said: Tensor | None = None,
) -> list[Hypothesis]:
    """One sequence for each row, drawn token by token from the model's distribution as `distribution` reshapes it.

    `temperature=0` is greedy decoding. Row i draws from a random stream of its own, named by `seed` and `rows[i]`
    (by default i), so that its output does not depend on what it is batched with. A token of probability zero is
    never drawn. `score` is the model's own log-probability, before any reshaping. `said` (B, P) are tokens, such as a
    prompt's, that count as repeated when they come again. The other arguments are as in `greedy`; raises `ValueError`
    on an option out of range.
    """
    if not 0.0 <= temperature < torch.inf:
        raise ValueError(f"temperature must be finite and not negative, got {temperature}")
    check_truncation(top_k, top_p, min_p, repetition_penalty)
    names = range(batch) if rows is None else rows
    if len(names) != batch:
        raise ValueError(f"expected {batch} row names, got {len(names)}")
    longest = max(row_limits(max_length, batch), default=0)
    noise = torch.empty(batch, longest, dtype=torch.float64)  # (B, T) uniform in [0, 1)
    for i, name in enumerate(names):
        stream = torch.Generator().manual_seed(derive(seed, "sampling", name))
        noise[i] = torch.rand(longest, generator=stream, dtype=torch.float64)
    device = state_device(state)
    noise = noise.to(precise(device)).to(device)

    def draw(logits: Tensor, places: Tensor, t: int, generated: Tensor) -> Tensor:
        if repetition_penalty != 1.0:
            before = generated[places, :t] if said is None else torch.cat([said[places], generated[places, :t]], 1)
            logits = penalise(logits, before, repetition_penalty)
        if temperature == 0.0:
            return logits.argmax(1)
        chances = distribution(logits, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
        return invert(chances, noise[places, t])

    return unroll(step, state, draw, batch=batch, bos=bos, eos=eos, max_length=max_length, banned=banned, watch=watch)


def check_truncation(top_k: int | None, top_p: float, min_p: float, repetition_penalty: float) -> None:
    """Raise `ValueError` where an option of `sample` is out of range."""
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1, got {top_k}")
    if not 0.0 < top_p <= 1.0:
        raise ValueError(f"top_p must be above 0 and at most 1, got {top_p}")
    if not 0.0 <= min_p <= 1.0:
        raise ValueError(f"min_p must be between 0 and 1, got {min_p}")
    if not 0.0 < repetition_penalty < torch.inf:
        raise ValueError(f"repetition_penalty must be positive and finite, got {repetition_penalty}")


def penalise(logits: Tensor, generated: Tensor, penalty: float) -> Tensor:
    """Logits (N, V), those of the tokens `generated` (N, t) divided by `penalty` where positive, else multiplied.

    Keskar et al. 2019 (CTRL, arXiv:1909.05858, section 4.1), which divides always and so favours a repeated token
    whose logit is negative; with the sign respected, as is usual, a penalty above 1 never does.
    """
    before = logits.gather(1, generated)
    return logits.scatter(1, generated, torch.where(before > 0, before / penalty, before * penalty))


def distribution(
    logits: Tensor, *, temperature: float = 1.0, top_k: int | None = None, top_p: float = 1.0, min_p: float = 0.0
) -> Tensor:
    """Probabilities (N, V) of softmax(logits / temperature), cut off and renormalised in this order:

    - top-k keeps the k likeliest tokens (Fan et al. 2018, arXiv:1805.04833);
    - top-p keeps the smallest set of likeliest tokens whose mass reaches p (Holtzman et al. 2020, arXiv:1904.09751);
    - min-p keeps the tokens at least `min_p` times as likely as the likeliest (Nguyen et al. 2024, arXiv:2407.01082).
    """
    logits = logits.to(precise(logits.device))
    # The maximum goes first: a tiny temperature then sends the others to -inf and never makes inf - inf.
    chances = ((logits - logits.amax(1, keepdim=True)) / temperature).softmax(1)
    if top_k is not None and top_k < chances.shape[1]:
        kept, places = chances.topk(top_k, 1)
        chances = torch.zeros_like(chances).scatter(1, places, kept)
        chances = chances / chances.sum(1, keepdim=True)
    if top_p < 1.0:
        ordered, places = chances.sort(dim=1, descending=True, stable=True)
        before = ordered.cumsum(1) - ordered  # the mass of the likelier tokens; exactly 0 for the likeliest
        chances = torch.zeros_like(chances).scatter(1, places, ordered.masked_fill(before >= top_p, 0.0))
    if min_p > 0.0:
        chances = chances.masked_fill(chances < min_p * chances.amax(1, keepdim=True), 0.0)
    return chances / chances.sum(1, keepdim=True)


def invert(chances: Tensor, uniform: Tensor) -> Tensor:
    """Tokens (N,) drawn from `chances` (N, V) by inverting the cumulative distribution at `uniform` (N,) in [0, 1)."""
    cumulative = chances.cumsum(1)
    target = uniform.unsqueeze(1) * cumulative[:, -1:]
    drawn = torch.searchsorted(cumulative, target, right=True).clamp(max=chances.shape[1] - 1)
    # A parallel scan may round so that the sum rises at a token of probability zero; that token is not to be had.
    possible = chances.gather(1, drawn) > 0
    return torch.where(possible, drawn, chances.argmax(1, keepdim=True)).squeeze(1)
