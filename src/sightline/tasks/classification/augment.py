"""Random changes of training items: pictures move, and texts lose words, so that a model sees each in many forms."""

from __future__ import annotations

import torch
from torch import Tensor


def shifted(pictures: Tensor, most: int, ground: int = 0) -> Tensor:
    """Pictures (B, C, H, W), each moved by random numbers of pixels, -most to most, down and to the right.

    New pixels at the edges are `ground`. Draws from torch's CPU generator on every device.
    """
    if most < 1:
        return pictures
    batch, _, height, width = pictures.shape
    padded = torch.nn.functional.pad(pictures, (most, most, most, most), value=ground)
    down, right = torch.randint(0, 2 * most + 1, (2, batch, 1)).to(pictures.device)
    rows = torch.arange(height, device=pictures.device) + down  # (B, H)
    columns = torch.arange(width, device=pictures.device) + right  # (B, W)
    item = torch.arange(batch, device=pictures.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[item, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def without_words(tokens: Tensor, mask: Tensor | None, share: float, unknown: int) -> Tensor:
    """Token ids (B, T) with `share` of the real ones, drawn at random, replaced by `unknown`.

    Word dropout, Iyyer et al. 2015, "Deep unordered composition rivals syntactic methods for text classification". A
    text of which nothing would be left remains whole. Draws from torch's CPU generator on every device.

    mask: (B, T) bool, True = real; None where all are
    """
    if not share:
        return tokens
    gone = (torch.rand(tokens.shape) < share).to(tokens.device)
    real = torch.ones_like(gone) if mask is None else mask
    some_left = (real & ~gone).any(1, keepdim=True)
    return tokens.masked_fill(gone & real & some_left, unknown)
