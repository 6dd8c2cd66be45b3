"""Attention of several layers as one map: rollout, and weights by the length of what they carry."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def attention_rollout(weights: Sequence[Tensor], residual: float = 0.5) -> Tensor:
    """How much of each input position reaches each position of the last layer, (B, T, T); rows sum to 1.

    Abnar & Zuidema 2020 ("Quantifying attention flow in transformers", arXiv:2005.00928, § 3):
    Ā_l = (1 - r) · mean over heads of A_l + r · I and R_l = Ā_l R_{l-1}, with r = `residual` for the residual
    connection, 1/2 in the paper. weights: of each layer, first layer first, (B, H, T, T), or (B, T, T) without heads;
    their rows must sum to 1. `residual` = 0 is the plain product of the maps.

    Raises:
        ValueError: "no layers"; "the residual's share must be from 0 to 1, got 1.5"; "a rollout needs maps of a
            sequence over itself, got (2, 5, 7)".
    """
    if not weights:
        raise ValueError("no layers")
    if not 0.0 <= residual <= 1.0:
        raise ValueError(f"the residual's share must be from 0 to 1, got {residual:g}")
    total: Tensor | None = None
    for layer in weights:
        mean = layer.mean(1) if layer.dim() == 4 else layer
        if mean.dim() != 3 or mean.shape[1] != mean.shape[2]:
            raise ValueError(f"a rollout needs maps of a sequence over itself, got {tuple(mean.shape)}")
        identity = torch.eye(mean.shape[1], dtype=mean.dtype, device=mean.device)
        mixed = (1.0 - residual) * mean + residual * identity
        total = mixed if total is None else mixed @ total
    assert total is not None
    return total


def value_weighted_norms(weights: Tensor, values: Tensor, out: Tensor) -> Tensor:
    """‖Σ_h α_hts W_O^h v_hs‖ (B, T, S): the length of what every key adds to every output.

    Kobayashi, Kuribayashi, Yokoi & Inui 2020 ("Attention is not only a weight", arXiv:2004.10102, eq. 4 summed over
    heads): a large weight on a short vector says little. weights (B, H, T, S); values (B, G, S, V), each key head
    serving H/G consecutive heads; out (D, H·V), the weight of the output projection. Its bias belongs to no key.
    """
    carried = _carried(weights, values, out)
    return torch.einsum("bhts,bhsd->btsd", weights, carried).norm(dim=3)


def value_weighted_heads(weights: Tensor, values: Tensor, out: Tensor) -> tuple[Tensor, Tensor]:
    """‖α_hts W_O^h v_hs‖ (B, H, T, S) of every head (Kobayashi et al. 2020, eq. 4), and Σ_s α_hts v_hs (B, T, H·V).

    The latter is what the output projection reads where weights and values are all of a layer. Arguments as in
    `value_weighted_norms`.
    """
    norms = weights.abs() * _carried(weights, values, out).norm(dim=3).unsqueeze(2)
    values = values.repeat_interleave(weights.shape[1] // values.shape[1], 1)
    return norms, (weights.to(values) @ values).transpose(1, 2).flatten(2)


def _carried(weights: Tensor, values: Tensor, out: Tensor) -> Tensor:
    """W_O^h v_hs (B, H, S, D)."""
    heads = weights.shape[1]
    values = values.repeat_interleave(heads // values.shape[1], 1)
    by_head = out.unflatten(1, (heads, -1))  # (D, H, V)
    return torch.einsum("bhsv,dhv->bhsd", values, by_head)
