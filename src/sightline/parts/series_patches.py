"""Stretches of a series as vectors: the tokens of models that read numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEnd, InputKind, sample_lengths
from sightline.core.mixer import keep
from sightline.core.settings import check_in_range
from sightline.core.shapes import Mask, MemoryMask, MemoryValues
from sightline.ops.traced import any_length

Padding = Literal["repeat", "zero"]


@final
class SeriesPatchEmbedding(FrontEnd):
    """Every `stride` steps a patch of `patch` steps, all channels together, as one vector W p + b.

    Nie et al. 2023 ("A Time Series is Worth 64 Words", arXiv:2211.14730, § 3.1), who read each channel alone: give them
    as rows of one channel. Before that the end is padded: "repeat" repeats the last value `stride` times, as they do,
    which makes M = ⌊(T - P)/S⌋ + 2 patches; "zero" completes the last patch with zeros, M = ⌈(T - P)/S⌉ + 1. A row
    shorter than a patch is padded to one first. Rows that end early (masked on the right) have the patches that they
    would have alone.
    """

    def __init__(self, channels: int, patch: int, stride: int, d_model: int, padding: Padding = "repeat") -> None:
        super().__init__()
        if not 1 <= stride <= patch:
            raise InputError(f"must be between 1 and the patch of {patch} steps, found {stride}", where="stride")
        if padding not in ("repeat", "zero"):
            raise ValueError(f"padding must be 'repeat' or 'zero', got {padding!r}")
        self.channels, self.patch, self.stride = channels, patch, stride
        self.padding: Padding = padding
        self.d_model = d_model
        self.project = nn.Linear(channels * patch, d_model)

    def count(self, steps: int) -> int:
        """The number of patches of a row of `steps` steps."""
        return count_patches(steps, self.patch, self.stride, self.padding)

    def forward(self, inputs: Tensor, mask: Mask | None = None) -> tuple[MemoryValues, MemoryMask | None]:
        """Patches (B, M, D) of inputs (B, T, C); mask (B, T) True = real, padding on the right only.

        Raises:
            ValueError: "a series is masked at its end only: row 3 has a hole".
        """
        if inputs.dim() != 3 or inputs.shape[2] != self.channels:
            raise ValueError(f"expected a series of shape (B, T, {self.channels}), got {tuple(inputs.shape)}")
        steps = inputs.shape[1]
        lengths = torch.full((inputs.shape[0],), steps, device=inputs.device)
        if mask is not None:
            lengths = mask.sum(1)
            holes = (mask != (torch.arange(steps, device=mask.device) < lengths[:, None])).any(1)
            if not torch.compiler.is_exporting() and holes.any():
                raise ValueError(f"a series is masked at its end only: row {int(holes.int().argmax())} has a hole")
        if not steps:
            return self.project(inputs.new_zeros(inputs.shape[0], 0, self.channels * self.patch)), mask
        x = self._padded(keep(inputs, mask), lengths)
        vectors = self.project(x.unfold(1, self.patch, self.stride).flatten(2))  # of patches (B, M, C·P)
        if mask is None:
            return vectors, None
        over = lengths.clamp(min=self.patch) - self.patch
        most = over // self.stride + 2 if self.padding == "repeat" else -(-over // self.stride) + 1
        real = torch.arange(vectors.shape[1], device=mask.device) < torch.where(lengths > 0, most, 0)[:, None]
        return keep(vectors, real), real

    def _padded(self, x: Tensor, lengths: Tensor) -> Tensor:
        """The rows with padding after their ends, just long enough for the patches of the longest."""
        batch, steps, _ = x.shape
        length = (self.count(steps) - 1) * self.stride + self.patch
        if any_length(steps):
            x = F.pad(x, (0, 0, 0, length - steps))  # cut where that is negative
        else:
            x = (
                torch.cat([x, x.new_zeros(batch, length - steps, self.channels)], 1)
                if length > steps
                else x[:, :length]
            )
        if self.padding == "zero":
            return x
        last = (lengths - 1).clamp(min=0)
        ends = x[torch.arange(batch, device=x.device), last].unsqueeze(1)  # (B, 1, C)
        beyond = torch.arange(x.shape[1], device=x.device) > last[:, None]
        return torch.where(beyond.unsqueeze(2), ends, x)


def count_patches(steps: int, patch: int, stride: int, padding: Padding) -> int:
    """The number of patches of a row of `steps` steps; see `SeriesPatchEmbedding`."""
    if not steps:
        return 0
    over = max(steps, patch) - patch
    return over // stride + 2 if padding == "repeat" else (over + stride - 1) // stride + 1


@final
@dataclass(frozen=True)
class SeriesPatches:
    """Series of `channels` channels, cut into patches: see `SeriesPatchEmbedding`."""

    accepts: ClassVar[InputKind] = "series"

    channels: int
    patch: int = 16
    stride: int = 8
    padding: Padding = "repeat"

    def __post_init__(self) -> None:
        for name in ("channels", "patch", "stride"):
            check_in_range(name, getattr(self, name), at_least=1)

    @classmethod
    def examples(cls) -> tuple[SeriesPatches, ...]:
        return (cls(2, 4, 2), cls(1, 5, 3, "zero"), cls(3, 3, 3), cls(2, 6, 1, "zero"))

    def length_out(self, length: int) -> int:
        return count_patches(length, self.patch, self.stride, self.padding)

    def sample(self, rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        steps = 3 * self.patch + 2
        return torch.randn(rows, steps, self.channels, generator=generator), sample_lengths(rows, steps)

    def build(self, d_model: int) -> SeriesPatchEmbedding:
        return SeriesPatchEmbedding(self.channels, self.patch, self.stride, d_model, self.padding)


@final
@dataclass(frozen=True)
class SeriesWindows:
    """The input and output of a forecaster: windows of a panel of series.

    lookback, horizon: steps read, and steps to forecast after them
    channels: columns to forecast; past, known: columns of covariates known up to now, and known ahead
    front_end: the one that embeds the columns, as `encode_choice` writes it; empty: patches as the model cuts them
    """

    accepts: ClassVar[InputKind] = "windows"

    lookback: int
    horizon: int
    channels: int = 1
    past: int = 0
    known: int = 0
    front_end: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, least in {"lookback": 1, "horizon": 1, "channels": 1, "past": 0, "known": 0}.items():
            check_in_range(name, getattr(self, name), at_least=least)

    @classmethod
    def examples(cls) -> tuple[SeriesWindows, ...]:
        return (cls(48, 24), cls(48, 24, channels=7, past=1, known=2))

    def length_out(self, length: int) -> int:
        return self._patches().length_out(length)

    def sample(self, rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return self._patches().sample(rows, generator)

    def build(self, d_model: int) -> SeriesPatchEmbedding:
        """Patches of all the look-back's columns together; forecasters cut their own."""
        return self._patches().build(d_model)

    def _patches(self) -> SeriesPatches:
        return SeriesPatches(self.channels + self.past + self.known)
