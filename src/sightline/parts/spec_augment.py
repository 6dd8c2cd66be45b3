"""SpecAugment: bands and stretches of a spectrogram masked while training (Park et al. 2019, arXiv:1904.08779)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from sightline.core.settings import key


@final
@dataclass(frozen=True)
class SpecAugmentConfig:
    """The masked amount of each row, by the paper's letters (table 1); its policy LD is 2, 27, 2, 100, 1.

    Widths are drawn evenly from 0 up to `band_width` (F) and `stretch_width` (T), a stretch being at most
    `stretch_share` (p) of the row's frames. Time warping is left out: it had the least effect in the paper.
    """

    bands: int = key(2, "Bands of frequencies that are masked.")
    band_width: int = key(8, "Maximum width of a masked band, in mel bands.")
    stretches: int = key(2, "Stretches of time that are masked.")
    stretch_width: int = key(20, "Maximum length of a masked stretch, in frames.")
    stretch_share: float = key(0.2, "Largest share of a row's frames that one stretch masks.")

    def build(self) -> SpecAugment:
        return SpecAugment(self.bands, self.band_width, self.stretches, self.stretch_width, self.stretch_share)


@final
class SpecAugment(nn.Module):
    """Frames (B, M, mels) with bands and stretches of each row set to zero, its mean where rows are normalised.

    In evaluation mode it changes nothing.
    """

    def __init__(
        self,
        bands: int = 2,
        band_width: int = 8,
        stretches: int = 2,
        stretch_width: int = 20,
        stretch_share: float = 0.2,
    ) -> None:
        super().__init__()
        if min(bands, band_width, stretches, stretch_width) < 0 or not 0.0 <= stretch_share <= 1.0:
            raise ValueError("numbers and widths must not be negative, and a share must be from 0 to 1")
        self.bands, self.band_width = bands, band_width
        self.stretches, self.stretch_width, self.stretch_share = stretches, stretch_width, stretch_share

    def forward(self, frames: Tensor, mask: Tensor | None = None) -> Tensor:
        if not self.training:
            return frames
        rows, steps, mels = frames.shape
        every = torch.full((rows,), float(steps), device=frames.device)
        lengths = every if mask is None else mask.sum(1).float()
        widest = (self.stretch_share * lengths).clamp(max=float(self.stretch_width))
        gone = torch.zeros(frames.shape, dtype=torch.bool, device=frames.device)
        for _ in range(self.bands):
            whole = torch.full_like(every, float(mels))
            gone |= _drawn(whole, whole.clamp(max=float(self.band_width)), mels).unsqueeze(1)
        for _ in range(self.stretches):
            gone |= _drawn(lengths, widest, steps).unsqueeze(2)
        return frames.masked_fill(gone, 0.0)


def _drawn(lengths: Tensor, widest: Tensor, places: int) -> Tensor:
    """An interval (B, places) inside the first `lengths` (B,) of each row, its width drawn from 0 to `widest` (B,)."""
    chance = torch.rand(2, len(lengths), device=lengths.device)
    width = (chance[0] * (widest.floor() + 1.0)).floor()
    first = (chance[1] * (lengths - width + 1.0)).floor()
    at = torch.arange(places, device=lengths.device)
    return (at >= first[:, None]) & (at < (first + width)[:, None])
