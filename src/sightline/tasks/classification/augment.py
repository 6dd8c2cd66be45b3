"""Random shifts of training pictures, so that a model sees each of them in many places."""

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
