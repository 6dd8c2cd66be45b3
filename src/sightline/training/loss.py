"""The training loss: a sum over labels, smoothed by a named convention, and the unsmoothed sum for perplexity."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, final, get_args

import numpy as np
import torch
from torch import Tensor, nn

from sightline.core.transforms import transformed
from sightline.ops.projected_loss import SmoothedLabel, Smoothing, projected_cross_entropy
from sightline.parts.lazy_logits import projection_of

WHOLE_BYTES = 2**23  # of float32 logits that are computed whole: for so few, chunks gain nothing


@final
class Loss(NamedTuple):
    """The loss of one batch: sums over its labels, so that batches of any size add up."""

    total: Tensor  # (): differentiable, smoothed if the objective smooths
    nll: Tensor  # (): detached, never smoothed, in nats
    count: int  # labels that the sums run over


# objective(model, batch) is the loss that training minimises.
Objective = Callable[[nn.Module, Any], Loss]


def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor | None = None,
    *,
    epsilon: float = 0.0,
    smoothing: Smoothing = "uniform",
    pad: int = 0,
) -> Loss:
    """The sum of cross entropies between softmax(logits) and smoothed one-hot labels, over real positions.

    The target distribution q of a label y over V classes is, after `smoothing`:

    - "uniform": q = (1 - ε)·onehot(y) + ε/V everywhere, gold included (Szegedy et al. 2016, eq. 12; torch's);
    - "others": 1 - ε on y and ε/(V - 1) on each other class (newer fairseq);
    - "others_but_pad": 1 - ε on y and ε/(V - 2) on each class but y and `pad` (JoeyNMT, the Annotated Transformer).

    logits (..., V) of any float dtype, summed in float32 at least; labels (...) int64; mask (...) bool, True = counts.
    Masked positions, NaN included, reach neither the loss nor a gradient; without real positions the loss is 0.
    Logits that are not computed yet (`parts.heads.lazy_heads`) are projected some positions at a time, real ones only,
    and are never in memory together, unless `torch.func` transforms the loss.
    """
    if not 0.0 <= epsilon < 1.0:
        raise ValueError(f"label smoothing must be in [0, 1), got {epsilon}")
    if smoothing not in get_args(Smoothing):
        raise ValueError(f"smoothing must be 'uniform', 'others' or 'others_but_pad', got {smoothing!r}")
    if mask is not None and (mask.dtype != torch.bool or mask.shape != labels.shape):
        raise ValueError(f"mask must be bool of shape {tuple(labels.shape)}, got {mask.dtype} {tuple(mask.shape)}")
    projection = None if transformed() else projection_of(logits)
    if projection is not None and 4 * labels.numel() * projection.linear.out_features > WHOLE_BYTES:
        x, linear = projection
        chosen, gold = (x.flatten(0, -2), labels.flatten()) if mask is None else (x[mask], labels[mask])
        target = SmoothedLabel.of(epsilon, smoothing, linear.out_features, pad)
        return Loss(*projected_cross_entropy(chosen, linear.weight, linear.bias, gold, target), gold.numel())
    classes = logits.shape[-1]
    if mask is None:
        real, gold = logits.reshape(-1, classes), labels.reshape(-1)
    else:
        real, gold = logits[mask], labels[mask]  # (N, V), (N,)
    log_p = torch.log_softmax(real, -1, dtype=torch.promote_types(real.dtype, torch.float32))
    gold_log_p = log_p.gather(-1, gold.unsqueeze(-1)).squeeze(-1)  # (N,)
    nll = -gold_log_p.sum()
    total = nll
    if epsilon > 0.0:
        others = log_p.sum() - gold_log_p.sum()
        if smoothing == "uniform":
            total = (1.0 - epsilon) * nll - epsilon / classes * (others - nll)
        elif smoothing == "others":
            total = (1.0 - epsilon) * nll - epsilon / (classes - 1) * others
        else:
            pads = torch.where(gold == pad, 0.0, log_p[:, pad]).sum()
            total = (1.0 - epsilon) * nll - epsilon / (classes - 2) * (others - pads)
    return Loss(total, nll.detach(), gold.numel())


def divergence(logits: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
    """Σ KL(softmax(reference) ‖ softmax(logits)) over real positions, in nats: the soft labels of another model
    (Hinton, Vinyals & Dean 2015, arXiv:1503.02531, § 2, at temperature 1). Arguments as of `cross_entropy`.
    """
    if mask is not None:
        logits, reference = logits[mask], reference[mask]  # (N, V)
    wide = torch.promote_types(logits.dtype, torch.float32)
    log_p, log_q = (torch.log_softmax(part, -1, dtype=wide) for part in (logits, reference))
    return (log_q.exp() * (log_q - log_p)).sum()


def perplexity(nats_per_label: float) -> float:
    """exp(nats per label), infinite where that overflows."""
    try:
        return math.exp(nats_per_label)
    except OverflowError:
        return math.inf


def perplexity_of(sums: np.ndarray) -> np.ndarray:
    """Perplexities (...) of sums (..., 2) of nats and labels."""
    with np.errstate(over="ignore"):
        return np.exp(sums[..., 0] / sums[..., 1])
