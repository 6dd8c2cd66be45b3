"""Sampling: temperature, top-k, top-p, min-p and repetition penalty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sightline.core.seeds import derive
from sightline.core.settings import check_in_range
from sightline.decoding.greedy import Watch, unroll
from sightline.decoding.hypothesis import Hypothesis, Step, precise, row_limits, state_device
from sightline.decoding.top import argmax


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
    prompts: Tensor | None = None,
) -> list[Hypothesis]:
    """Sample one sequence per row, token by token, from the model's distribution as modified by `distribution`.

    `temperature=0` is greedy decoding. Row i has its own random stream, derived from `seed` and `rows[i]` (default: i),
    so that its output does not depend on the rest of the batch. A token of probability zero is never sampled. `score`
    is the model's log-probability before any modification. `repetition_penalty` also covers the tokens `prompts`
    (B, P). The other arguments are as in `greedy`.

    Raises:
        InputError: an option out of range, e.g. "top_p: must be above 0 and at most 1, found 2.0".
    """
    check_in_range("temperature", temperature, at_least=0)
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
            before = generated[places, :t]
            before = before if prompts is None else torch.cat([prompts[places], before], 1)
            logits = penalise(logits, before, repetition_penalty)
        if temperature == 0.0:
            return argmax(logits)
        chances = distribution(logits, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
        return invert(chances, noise[places, t])

    return unroll(step, state, draw, batch=batch, bos=bos, eos=eos, max_length=max_length, banned=banned, watch=watch)


def check_truncation(top_k: int | None, top_p: float, min_p: float, repetition_penalty: float) -> None:
    """Raise `InputError`, which names the option, if an option of `sample` is out of range."""
    check_in_range("top_k", top_k, at_least=1)
    check_in_range("top_p", top_p, above=0, at_most=1)
    check_in_range("min_p", min_p, at_least=0, at_most=1)
    check_in_range("repetition_penalty", repetition_penalty, above=0)


def penalise(logits: Tensor, generated: Tensor, penalty: float) -> Tensor:
    """Logits (N, V), those of the tokens `generated` (N, t) divided by `penalty` if positive, else multiplied by it.

    Keskar et al. 2019 (CTRL, arXiv:1909.05858, section 4.1) always divide, which favours repeated tokens with negative
    logits. Like most implementations, this one respects the sign: a penalty above 1 never favours repetition.
    """
    before = logits.gather(1, generated)
    return logits.scatter(1, generated, torch.where(before > 0, before / penalty, before * penalty))


def distribution(
    logits: Tensor, *, temperature: float = 1.0, top_k: int | None = None, top_p: float = 1.0, min_p: float = 0.0
) -> Tensor:
    """Probabilities (N, V) of softmax(logits / temperature), truncated and renormalised in this order:

    - top-k keeps the k most likely tokens (Fan et al. 2018, arXiv:1805.04833);
    - top-p keeps the smallest set of most likely tokens whose mass reaches p (Holtzman et al. 2020, arXiv:1904.09751);
    - min-p keeps tokens at least `min_p` times as likely as the most likely one (Nguyen et al. 2024, arXiv:2407.01082).
    """
    logits = logits.to(precise(logits.device))
    # Subtract the maximum first: a tiny temperature then sends the others to -inf and never gives inf - inf.
    chances = ((logits - logits.amax(1, keepdim=True)) / temperature).softmax(1)
    if top_k is not None and top_k < chances.shape[1]:
        kept, places = chances.topk(top_k, 1)
        chances = torch.zeros_like(chances).scatter(1, places, kept)
        chances = chances / chances.sum(1, keepdim=True)
    if top_p < 1.0:
        ordered, places = chances.sort(dim=1, descending=True, stable=True)
        before = ordered.cumsum(1) - ordered  # mass of the more likely tokens; exactly 0 for the most likely
        chances = torch.zeros_like(chances).scatter(1, places, ordered.masked_fill(before >= top_p, 0.0))
    if min_p > 0.0:
        chances = chances.masked_fill(chances < min_p * chances.amax(1, keepdim=True), 0.0)
    return chances / chances.sum(1, keepdim=True)


def invert(chances: Tensor, uniform: Tensor) -> Tensor:
    """Sample tokens (N,) from `chances` (N, V) by inverting the cumulative distribution at `uniform` (N,) in [0, 1)."""
    cumulative = chances.cumsum(1)
    target = uniform.unsqueeze(1) * cumulative[:, -1:]
    drawn = torch.searchsorted(cumulative, target, right=True).clamp(max=chances.shape[1] - 1)
    # Rounding in a parallel scan may raise the sum at a token of probability zero, which must not be sampled.
    possible = chances.gather(1, drawn) > 0
    return torch.where(possible, drawn, chances.argmax(1, keepdim=True)).squeeze(1)
