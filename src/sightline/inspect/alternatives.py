"""Other attention weights in a trained model: would its answers be the same?

All functions are of a classifier with one probe of pooled attention (B, T), such as the bidirectional recurrence with
additive attention of Jain & Wallace 2019 ("Attention is not explanation", arXiv:1902.10186), whose tests they are.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from sightline.core.modes import evaluating
from sightline.inspect.faithfulness import jensen_shannon, total_variation
from sightline.inspect.record import POOLED, attention_probes, recorded_attention, replaced_attention


class PooledAttention(NamedTuple):
    """The weights of a classifier's attention, and its answers."""

    weights: Tensor  # (B, T)
    answers: Tensor  # (B, C) probabilities


@torch.no_grad()
def pooled_attention(model: nn.Module, tokens: Tensor, mask: Tensor) -> PooledAttention:
    """The weights and the answers of the model as it is.

    Raises:
        ValueError: "expected one probe of pooled attention, found 0".
    """
    check_pooled(model)
    with evaluating(model), recorded_attention(model) as weights:
        answers = model(tokens, mask).softmax(1)
    return PooledAttention(next(iter(weights.values())), answers)


def check_pooled(model: nn.Module) -> None:
    """Raises `ValueError` unless the model has one probe of attention, and that of a pooling."""
    probes = attention_probes(model)
    pooled = [probe for probe in probes.values() if probe.shape == POOLED]
    if len(pooled) != 1 or len(probes) != 1:
        raise ValueError(f"expected one probe of pooled attention, found {len(pooled)} among {len(probes)}")


def answers_with(model: nn.Module, tokens: Tensor, mask: Tensor, weights: Tensor) -> Tensor:
    """The probabilities (B, C) of the model when it has to attend with `weights` (B, T)."""
    with evaluating(model), replaced_attention(model, lambda _, own: weights.to(own.dtype)):
        return model(tokens, mask).softmax(1)


def uniform_weights(mask: Tensor) -> Tensor:
    """Even weights (B, T) over real tokens; the baseline of Wiegreffe & Pinter 2019 (arXiv:1908.04626, § 3.2)."""
    return mask.double() / mask.sum(1, keepdim=True).clamp(min=1)


@torch.no_grad()
def permuted_attention(
    model: nn.Module, tokens: Tensor, mask: Tensor, generator: torch.Generator, permutations: int = 100
) -> Tensor:
    """The median total variation (B,) of the answer over random permutations of each row's weights.

    Jain & Wallace 2019, § 4.2.1, algorithm 2. Small where the answer does not depend on which tokens are attended to.
    """
    own = pooled_attention(model, tokens, mask)
    changes = []
    for _ in range(permutations):
        # Real tokens exchange weights among themselves: sorted by random keys, padding last.
        keys = torch.rand(mask.shape, generator=generator).masked_fill(~mask, torch.inf)
        places = torch.arange(mask.shape[1]).expand_as(keys).clone()
        source = keys.argsort(1)
        real_first = torch.where(mask, places, places + mask.shape[1]).argsort(1)
        permuted = torch.zeros_like(own.weights).scatter_(1, real_first, own.weights.gather(1, source))
        changes.append(total_variation(own.answers, answers_with(model, tokens, mask, permuted)))
    return torch.stack(changes).median(0).values


class Adversarial(NamedTuple):
    """The most different weights that leave the answer as it was, for each row."""

    divergence: Tensor  # (B,) Jensen-Shannon divergence from the model's weights, nats; 0 where none were found
    weights: Tensor  # (B, T)
    change: Tensor  # (B,) total variation of the answer with them


def adversarial_attention(
    model: nn.Module,
    tokens: Tensor,
    mask: Tensor,
    generator: torch.Generator,
    *,
    bound: float = 0.01,
    starts: int = 5,
    steps: int = 100,
    lr: float = 0.3,
) -> Adversarial:
    """Weights as far as possible from the model's, whose answer differs by a total variation of at most `bound`.

    Jain & Wallace 2019, § 4.2.2, eqs. 2 and 3: maximises the Jensen-Shannon divergence minus λ · max(0, change - bound)
    by Adam over the logits of the weights, from `starts` random points at once. Deviations: one set of weights instead
    of k far from each other too; the bound is met exactly, as only points within it count, at every step.
    """
    own = pooled_attention(model, tokens, mask)
    rows = len(tokens)
    tokens, real = torch.cat([tokens] * starts), mask.repeat(starts, 1)
    weights, answers = own.weights.repeat(starts, 1), own.answers.repeat(starts, 1)
    logits = torch.randn(weights.shape, generator=generator).requires_grad_()
    optimizer = torch.optim.Adam([logits], lr)
    best, kept = torch.zeros(len(tokens), dtype=weights.dtype), weights.clone()
    change_at = torch.zeros_like(best)
    with torch.enable_grad():
        for _ in range(steps + 1):
            tried = logits.masked_fill(~real, -1e9).softmax(1)
            far = jensen_shannon(tried, weights)
            change = total_variation(answers_with(model, tokens, real, tried), answers)
            better = (change <= bound) & (far > best)
            best, change_at = torch.where(better, far.detach(), best), torch.where(better, change.detach(), change_at)
            kept = torch.where(better.unsqueeze(1), tried.detach(), kept)
            loss = (20.0 * (change - bound).clamp(min=0.0) - far).sum()
            (logits.grad,) = torch.autograd.grad(loss, logits)
            optimizer.step()
    top = best.view(starts, rows).argmax(0)
    chosen = top * rows + torch.arange(rows)
    return Adversarial(best[chosen], kept[chosen], change_at[chosen])
