"""The front end for sound: samples in, log-mel frames made fewer by convolutions out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEnd, InputKind, sample_lengths
from sightline.core.shapes import Mask, MemoryMask, MemoryValues
from sightline.parts.log_mel import LogMel, MelScale, Normalise
from sightline.parts.spec_augment import SpecAugment, SpecAugmentConfig
from sightline.parts.subsampling import STRIDES, ConvolutionalSubsampling

MOST_SAMPLES, MOST_MELS = 1 << 16, 512  # of a window, of a spectrogram


@final
class AudioFrontEnd(FrontEnd):
    """Samples (B, T) as vectors (B, M, D), one for `subsampling.stride` frames of `log_mel`."""

    def __init__(
        self, log_mel: LogMel, subsampling: ConvolutionalSubsampling, augment: SpecAugment | None = None
    ) -> None:
        super().__init__()
        self.log_mel, self.augment, self.subsampling = log_mel, augment, subsampling
        self.d_model = subsampling.norm.normalized_shape[0]

    def forward(self, inputs: Tensor, mask: Mask | None = None) -> tuple[MemoryValues, MemoryMask | None]:
        frames, mask = self.log_mel(inputs, mask)
        if self.augment is not None:
            frames = self.augment(frames, mask)
        return self.subsampling(frames, mask)


@final
@dataclass(frozen=True)
class AudioFrames:
    """Sound at `rate_hz` samples a second as log-mel frames, every `stride` of them joined into one position.

    window_ms, hop_ms: the length of a frame's Hann window, and the step from one to the next
    mels, low_hz, high_hz, scale: bands, from `low_hz` to `high_hz` (None = half of rate_hz), spaced by the mel scale of
        Slaney or HTK (see `parts.log_mel`)
    normalise: "utterance" gives each band of a sound mean 0 and variance 1, "level" all of them together, "none" leaves
        energies as they are (see `LogMel`)
    stride: 1, 2, 4 or 8
    augment: SpecAugment while training; None = none
    """

    accepts: ClassVar[InputKind] = "audio"

    rate_hz: int = 16_000
    window_ms: float = 25.0
    hop_ms: float = 10.0
    mels: int = 80
    low_hz: float = 0.0
    high_hz: float | None = None
    scale: MelScale = "slaney"
    normalise: Normalise = "level"
    stride: int = 4
    augment: SpecAugmentConfig | None = None

    @classmethod
    def examples(cls) -> tuple[AudioFrames, ...]:
        return (
            cls(8000, mels=20, stride=1, normalise="utterance"),
            cls(8000, mels=20, stride=2, normalise="none"),
            cls(8000, mels=20, stride=4, scale="htk"),
            cls(8000, mels=20, stride=8, normalise="level", augment=SpecAugmentConfig()),
        )

    def __post_init__(self) -> None:
        if self.stride not in STRIDES:
            raise InputError(f"must be one of {', '.join(map(str, STRIDES))}, found {self.stride}", where="stride")
        if self.rate_hz < 1 or not (
            0.0 < self.hop_ms <= self.window_ms and self.hop >= 1 and self.window <= MOST_SAMPLES
        ):
            raise InputError(
                f"expected hop_ms <= window_ms and from 1 to {MOST_SAMPLES} samples each, found "
                f"{self.hop_ms:g} and {self.window_ms:g} at {self.rate_hz} samples a second"
            )
        if not 1 <= self.mels <= MOST_MELS:
            raise InputError(f"must be from 1 to {MOST_MELS}, found {self.mels}", where="mels")
        try:
            self._log_mel()
        except ValueError as error:
            raise InputError(str(error), where="mels") from None

    @property
    def window(self) -> int:
        """Samples of a window."""
        return round(self.rate_hz * self.window_ms / 1000)

    @property
    def hop(self) -> int:
        """Samples from one window to the next."""
        return round(self.rate_hz * self.hop_ms / 1000)

    def length_out(self, length: int) -> int:
        """The number of positions of a sound of `length` samples."""
        frames = 1 - (-max(0, length - self.window) // self.hop) if length else 0
        return -(-frames // self.stride)

    def build(self, d_model: int) -> AudioFrontEnd:
        augment = self.augment.build() if self.augment is not None else None
        return AudioFrontEnd(self._log_mel(), ConvolutionalSubsampling(self.mels, d_model, self.stride), augment)

    def sample(self, rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        samples = self.window + 20 * self.hop + 1
        return torch.randn(rows, samples, generator=generator), sample_lengths(rows, samples)

    def _log_mel(self) -> LogMel:
        return LogMel(
            self.rate_hz, self.window, self.hop, self.mels, self.low_hz, self.high_hz, self.scale, self.normalise
        )
