"""Which inputs a classifier's answer depends on, and how well a map of importance agrees with that.

`predict(tokens, mask)` gives logits (B, C) for tokens (B, T) and mask (B, T), True = real, and must treat a masked
token as absent, as every model of the package does. Importance is (B, T), the larger the more important; what stands at
padding has no meaning.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

from sightline.core.modes import evaluating
from sightline.inspect.record import embedded_inputs, replaced_attention

PredictLogits = Callable[[Tensor, Tensor], Tensor]
SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)  # of a row's tokens, as in DeYoung et al. 2020, § 4


def total_variation(p: Tensor, q: Tensor) -> Tensor:
    """½ Σ |p - q| over the last axis, in [0, 1] (Jain & Wallace 2019, arXiv:1902.10186, § 2)."""
    return 0.5 * (p - q).abs().sum(-1)


@torch.no_grad()
def leave_one_out(predict: PredictLogits, tokens: Tensor, mask: Tensor) -> Tensor:
    """The total variation (B, T) between the prediction with and without each token; 0 at padding.

    Jain & Wallace 2019, algorithm 1.
    """
    whole = predict(tokens, mask).softmax(1)
    effect = torch.zeros(tokens.shape, dtype=whole.dtype, device=whole.device)
    for place in range(tokens.shape[1]):
        without = mask.clone()
        without[:, place] = False
        effect[:, place] = total_variation(whole, predict(tokens, without).softmax(1))
    return effect.masked_fill(~mask, 0.0)


@torch.no_grad()
def replacement_effect(predict: PredictLogits, tokens: Tensor, mask: Tensor, others: Sequence[Tensor]) -> Tensor:
    """The mean total variation (B, T) when each token alone is replaced by the token at its place in `others`.

    `others` are rows (B, T) of the same distribution as `tokens`: an intervention, the ground truth for what an answer
    depends on, which unlike a removal gives the model inputs of the kind that it was trained on.
    """
    whole = predict(tokens, mask).softmax(1)
    effect = torch.zeros(tokens.shape, dtype=whole.dtype, device=whole.device)
    for place in range(tokens.shape[1]):
        for other in others:
            changed = tokens.clone()
            changed[:, place] = other[:, place]
            effect[:, place] += total_variation(whole, predict(changed, mask).softmax(1)) / len(others)
    return effect.masked_fill(~mask, 0.0)


def gradient_importance(model: nn.Module, tokens: Tensor, mask: Tensor, *, attention: bool = False) -> Tensor:
    """|x_t · ∂p/∂x_t| (B, T) of the predicted class's probability p, x_t the embedding; 0 at padding.

    Jain & Wallace 2019, algorithm 1: the derivative by the one-hot input at the token of that place. As there, the
    attention weights are held constant; with `attention=True` the gradient flows through them too.
    """
    with evaluating(model), torch.enable_grad(), embedded_inputs(model) as embedded:
        if attention:
            logits = model(tokens, mask)
        else:
            with replaced_attention(model, lambda _, weights: weights.detach()):
                logits = model(tokens, mask)
        (gradient,) = torch.autograd.grad(logits.softmax(1).amax(1).sum(), embedded[0])
    return (embedded[0].detach() * gradient).sum(2).abs().masked_fill(~mask, 0.0)


def kendall(first: Tensor, second: Tensor, mask: Tensor) -> np.ndarray:
    """Kendall's τ_b (B,) between two maps of importance of each row over its real tokens; NaN where one is constant."""
    rows = zip(first.detach().cpu().double(), second.detach().cpu().double(), mask.cpu())
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.array([stats.kendalltau(a[real].numpy(), b[real].numpy()).statistic for a, b, real in rows])


def top_hits(importance: Tensor, causal: Tensor, mask: Tensor) -> Tensor:
    """The share (B,) of the k most important tokens that are causal, for the k causal tokens of each row.

    causal (B, T), bool, marks what the answer is known to depend on. 1 = the map finds all of it and nothing else
    before. Ties are broken against the map, so that an even map has no hit by the order of positions alone.
    """
    score = importance.double().masked_fill(~mask, -torch.inf)
    order = torch.argsort(torch.where(causal, 0, 1), dim=1, descending=True, stable=True)  # others first
    ranked = order.gather(1, score.gather(1, order).argsort(dim=1, descending=True, stable=True))
    count = causal.sum(1)
    within = torch.arange(ranked.shape[1], device=ranked.device) < count.unsqueeze(1)
    return (causal.gather(1, ranked) & within).sum(1) / count.clamp(min=1)


class Erasure(NamedTuple):
    """Changes of the predicted class's probability when the most important tokens are taken away, or alone are left."""

    shares: tuple[float, ...]
    comprehensiveness: Tensor  # (B, K): p(x) - p(x without the top share); large = the map found what was used
    sufficiency: Tensor  # (B, K): p(x) - p(the top share alone); small = the map found enough


@torch.no_grad()
def erasure_curves(
    predict: PredictLogits, tokens: Tensor, mask: Tensor, importance: Tensor, shares: Sequence[float] = SHARES
) -> Erasure:
    """Both curves over shares of each row's tokens, at least one token.

    DeYoung et al. 2020 ("ERASER", arXiv:1911.03429, eqs. 1 and 2). Their area (AOPC) is the mean over `shares`; a
    deviation: the paper's sum also has the empty share, and divides by their number plus one.
    """
    whole = predict(tokens, mask).softmax(1)
    label = whole.argmax(1, keepdim=True)
    probability = whole.gather(1, label)
    order = importance.double().masked_fill(~mask, -torch.inf).argsort(dim=1, descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(1, order, torch.arange(order.shape[1]).expand_as(order))
    lengths = mask.sum(1, keepdim=True)
    without, alone = [], []
    for share in shares:
        top = rank < (lengths * share).ceil().clamp(min=1)
        without.append(probability - predict(tokens, mask & ~top).softmax(1).gather(1, label))
        alone.append(probability - predict(tokens, mask & top).softmax(1).gather(1, label))
    return Erasure(tuple(shares), torch.cat(without, 1), torch.cat(alone, 1))


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    """The Jensen-Shannon divergence over the last axis in nats, in [0, ln 2]."""
    middle = _nats(0.5 * (p + q))
    return (middle - 0.5 * (_nats(p) + _nats(q))).clamp(0.0, math.log(2.0))


def _nats(p: Tensor) -> Tensor:
    """The entropy; a probability of 0 has no gradient, where that of -p ln p is infinite."""
    return torch.special.entr(p.clamp(min=torch.finfo(p.dtype).tiny)).sum(-1)
