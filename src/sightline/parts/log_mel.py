"""Sound as frames of a log-mel spectrogram, on which padding has no effect."""

from __future__ import annotations

import math
from typing import Literal, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.core.mixer import keep
from sightline.core.modes import without_autocast

MelScale = Literal["slaney", "htk"]
Normalise = Literal["utterance", "level", "none"]
FLOOR = 1e-10  # of the energy in a band, before the logarithm
_STEEPNESS = 27.0 / math.log(6.4)  # of Slaney's scale above 1 kHz: 27 mels for each factor of 6.4


def to_mel(hertz: np.ndarray, scale: MelScale) -> np.ndarray:
    """Frequencies in mel.

    htk: 2595 log₁₀(1 + f/700), as in O'Shaughnessy 1987 and the HTK book; slaney: linear below 1 kHz at 15 mels, then
    logarithmic, as in the Auditory Toolbox (Slaney 1998).
    """
    if scale == "htk":
        return 2595.0 * np.log10(1.0 + hertz / 700.0)
    return np.where(hertz < 1000.0, 0.015 * hertz, 15.0 + _STEEPNESS * np.log(np.maximum(hertz, 1000.0) / 1000.0))


def to_hertz(mel: np.ndarray, scale: MelScale) -> np.ndarray:
    """The inverse of `to_mel`."""
    if scale == "htk":
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    return np.where(mel < 15.0, mel / 0.015, 1000.0 * np.exp((mel - 15.0) / _STEEPNESS))


def mel_filters(rate_hz: int, fft: int, mels: int, low_hz: float, high_hz: float, scale: MelScale) -> np.ndarray:
    """Triangular filters (fft/2 + 1, mels), evenly spaced in mel, each of area 1 over hertz (Slaney's normalisation).

    Raises:
        ValueError: "filter 1 of 80 contains no frequency of the spectrum: choose fewer mels or a longer window",
            "expected 0 <= low_hz < high_hz <= 8000, got 9000 and 8000".
    """
    if not 0.0 <= low_hz < high_hz <= rate_hz / 2:
        raise ValueError(f"expected 0 <= low_hz < high_hz <= {rate_hz / 2:g}, got {low_hz:g} and {high_hz:g}")
    lowest, highest = to_mel(np.array([low_hz, high_hz]), scale).tolist()
    edges = to_hertz(
        np.linspace(lowest, highest, mels + 2), scale
    )  # filter i rises from edge i to i + 1 and falls to i + 2
    bins = np.linspace(0.0, rate_hz / 2, fft // 2 + 1)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (edges[2:] - edges[:-2]))
    empty = np.flatnonzero(~filters.any(0))
    if len(empty):
        raise ValueError(
            f"filter {empty[0] + 1} of {mels} contains no frequency of the spectrum: "
            "choose fewer mels or a longer window"
        )
    return filters


@final
class LogMel(nn.Module):
    """ln of the energy in `mels` bands, in a Hann window of `window` samples that moves by `hop`.

    Energies are squared magnitudes of `torch.stft`, over the window filled up with zeros to a power of two; not less
    than `FLOOR` counts. Frame i begins at sample i · hop of the row; the last ends in zeros where the row does not
    fill it.

    normalise: "utterance" gives each band of each row mean 0 and variance 1 over its real frames, which takes away the
    channel and, of a sound that does not change, all there is; "level" does so for all bands together, which takes away
    the loudness and leaves the shape of the spectrum; "none" leaves energies as they are
    """

    def __init__(
        self,
        rate_hz: int,
        window: int,
        hop: int,
        mels: int,
        low_hz: float = 0.0,
        high_hz: float | None = None,
        scale: MelScale = "slaney",
        normalise: Normalise = "level",
    ) -> None:
        super().__init__()
        if not 1 <= hop <= window:
            raise ValueError(f"hop must be from 1 to the window of {window} samples, got {hop}")
        if scale not in ("slaney", "htk"):
            raise ValueError(f"scale must be slaney or htk, got {scale!r}")
        if normalise not in ("utterance", "level", "none"):
            raise ValueError(f"normalise must be utterance, level or none, got {normalise!r}")
        self.window, self.hop, self.mels, self.normalise = window, hop, mels, normalise
        self.fft = 1 << (window - 1).bit_length()
        filters = mel_filters(rate_hz, self.fft, mels, low_hz, rate_hz / 2 if high_hz is None else high_hz, scale)
        self.register_buffer("filters", torch.from_numpy(filters).float(), persistent=False)  # (F, mels)
        hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(window) / window)  # the periodic window
        self.register_buffer("hann", torch.from_numpy(hann).float(), persistent=False)  # (window,)

    def forward(self, samples: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Frames (B, M, mels) of samples (B, T), and their mask, real frames first; None where all samples are real.

        The real samples of a row are contiguous; masked samples between real ones count as silence.
        """
        if samples.dim() != 2 or not samples.is_floating_point():
            raise ValueError(f"expected samples (B, T) as floats, got {samples.dtype} {tuple(samples.shape)}")
        lengths = None
        if mask is not None:
            samples, lengths = _from_the_left(samples, mask)
        with without_autocast(samples.device):
            frames = self._frames(samples)  # (B, M, mels)
            real = None if lengths is None else self._mask(lengths, frames.shape[1])
            return self._normalised(frames, real), real

    def _frames(self, samples: Tensor) -> Tensor:
        count = self.count(samples.shape[1])
        if not count or not samples.shape[0]:  # MKL's transform refuses an empty batch
            return samples.new_zeros(samples.shape[0], count, self.mels)
        before = (self.fft - self.window) // 2  # torch.stft has the window in the middle of the transform
        total = (count - 1) * self.hop + self.fft
        padded = F.pad(samples, (before, total - before - samples.shape[1]))
        spectrum = torch.stft(
            padded, self.fft, self.hop, self.window, self.hann.to(samples.dtype), center=False, return_complex=True
        )  # (B, F, M)
        energy = spectrum.real**2 + spectrum.imag**2
        return (energy.transpose(1, 2) @ self.filters.to(energy.dtype)).clamp(min=FLOOR).log()

    def _normalised(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        """Mean 0 and variance 1 over the real frames, and zeros at the others."""
        if self.normalise == "none":
            return keep(frames, mask)
        over = (1,) if self.normalise == "utterance" else (1, 2)
        steps = frames.new_full((frames.shape[0],), frames.shape[1]) if mask is None else mask.sum(1)
        count = (steps if self.normalise == "utterance" else steps * self.mels).clamp(min=1)[:, None, None]
        centred = keep(frames - keep(frames, mask).sum(over, keepdim=True) / count, mask)
        return centred / ((centred**2).sum(over, keepdim=True) / count + 1e-5).sqrt()

    def count(self, samples: int) -> int:
        """The number of frames of a row of `samples` samples."""
        return 1 + (max(0, samples - self.window) + self.hop - 1) // self.hop if samples else 0

    def _mask(self, lengths: Tensor, frames: int) -> Tensor:
        counts = 1 + (lengths - self.window).clamp(min=0).add(self.hop - 1).div(self.hop, rounding_mode="floor")
        counts = counts.where(lengths > 0, 0)
        return torch.arange(frames, device=lengths.device) < counts[:, None]  # (B, M)


def _from_the_left(samples: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Rows moved so that their first real sample is number 0, zeros where nothing is real, and their lengths (B,)."""
    samples = samples.masked_fill(~mask, 0.0)
    places = torch.arange(samples.shape[1], device=samples.device)
    first = (
        torch.where(mask, places, samples.shape[1]).amin(1) if samples.shape[1] else places.new_zeros(samples.shape[0])
    )
    last = torch.where(mask, places, -1).amax(1) if samples.shape[1] else first - 1
    moved = (places + first[:, None]).clamp(max=max(0, samples.shape[1] - 1))  # (B, T)
    lengths = (last - first + 1).clamp(min=0)
    return samples.gather(1, moved).masked_fill(places >= lengths[:, None], 0.0), lengths
