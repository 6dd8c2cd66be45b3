"""Short causal convolution over positions, which leaves out padding and stops at the borders of documents."""

from __future__ import annotations

import torch
from torch import Tensor

from sightline.core.shapes import Float, Mask, Sequences, Starts, TokenPositions

ChannelWeights = Float[Tensor, "D W"]
Tail = Float[Tensor, "B W-1 D"]


def convolve(
    x: Sequences,
    weight: ChannelWeights,
    tail: Tail,
    positions: TokenPositions,
    mask: Mask | None = None,
    starts: Starts | None = None,
) -> tuple[Sequences, Tail]:
    """y_t = Σ_i weight_i ∘ x_{t-W+1+i} over the last W real positions of t's document (B, T, D), and the next tail.

    x is 0 at masked positions; tail (B, W-1, D) has the last real inputs before x; positions count the real tokens of
    the document before t, in earlier calls too (`parts.positions.advance`). Inputs before a document's first token are
    0: W = 2 makes weight_1 ∘ x_0, weight_0 ∘ x_0 + weight_1 ∘ x_1, … Outputs at masked positions are undefined.
    """
    batch, length, d_model = x.shape
    width = weight.shape[1]
    order = None
    if mask is not None:  # real positions to the left, in order
        order = (~mask).long().argsort(dim=1, stable=True)
        x = x.gather(1, order.unsqueeze(2).expand_as(x))
        positions = positions.gather(1, order)
    if starts is None and length:  # no document begins here: only the tail may be of another one
        lags = torch.arange(width - 1, 0, -1, device=x.device)
        tail = tail.masked_fill((positions[:, :1] < lags).unsqueeze(2), 0.0)
    row = torch.cat([tail.to(x.dtype), x], 1)  # (B, W-1+T, D)
    y = x * weight[:, -1]
    for lag in range(1, width):
        past = row[:, width - 1 - lag : width - 1 - lag + length]
        if starts is not None:
            past = past.masked_fill((positions < lag).unsqueeze(2), 0.0)
        y = torch.addcmul(y, past, weight[:, -1 - lag])
    if mask is None or order is None:
        return y, row[:, length:]
    last = mask.sum(1, keepdim=True) + torch.arange(width - 1, device=x.device)  # (B, W-1)
    tail = row.gather(1, last.unsqueeze(2).expand(batch, width - 1, d_model))
    return y.gather(1, order.argsort(1).unsqueeze(2).expand_as(y)), tail
