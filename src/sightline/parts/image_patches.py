"""The front ends for pictures: patches, as in the Vision Transformer, or one pixel after another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal, final

import torch
from torch import Tensor, nn

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEnd, InputKind
from sightline.core.mixer import keep
from sightline.core.shapes import Mask, MemoryMask, MemoryValues, Sequences
from sightline.parts.positions import sinusoid

MOST_SIDE = 1 << 16
Stem = Literal["linear", "convolution"]
GridEncoding = Literal["learned", "sinusoidal", "none"]


@final
class GridPositions(nn.Module):
    """x (B, rows · columns, D) plus an encoding of each place in the grid.

    learned: a vector for each place; sinusoidal: the first half of the width tells the row, the second the column, each
    as `sinusoid` does (of the encodings in Dosovitskiy et al. 2021, appendix D.4, the two-dimensional one, but fixed).
    """

    undecayed = ("table",)  # parameters without weight decay

    def __init__(self, rows: int, columns: int, d_model: int, kind: GridEncoding = "learned") -> None:
        super().__init__()
        if kind not in ("learned", "sinusoidal", "none"):
            raise ValueError(f"positions must be learned, sinusoidal or none, got {kind!r}")
        self.rows, self.columns, self.kind = rows, columns, kind
        self.table = nn.Parameter(0.02 * torch.randn(rows * columns, d_model)) if kind == "learned" else None

    def forward(self, x: Sequences) -> Tensor:
        if self.table is not None:
            return x + self.table.to(x.dtype)
        return x + self.sinusoid(x) if self.kind == "sinusoidal" else x

    def sinusoid(self, x: Tensor) -> Tensor:
        """The two-dimensional encodings (rows · columns, D), for x (B, rows · columns, D)."""
        half = (x.shape[2] + 1) // 2
        row = sinusoid(torch.arange(self.rows, device=x.device), half, x.dtype)  # (rows, half)
        column = sinusoid(torch.arange(self.columns, device=x.device), x.shape[2] - half, x.dtype)
        grid = [row[:, None].expand(-1, self.columns, -1), column[None].expand(self.rows, -1, -1)]
        return torch.cat(grid, 2).flatten(0, 1)


@final
class ConvolutionalStem(nn.Module):
    """Pictures (B, C, H, W) as one vector for each `patch` × `patch` pixels, (B, M, D), by convolutions that overlap.

    A 3 × 3 convolution with stride 2 for each factor of two in `patch`, widths doubling up to D, GELU after each, then
    one as wide as its stride for the odd factor of `patch`, and a linear map: after Xiao et al. 2021 (arXiv:2106.14881,
    § 3), whose batch norms are left out and whose ReLU is GELU here. Zeros surround the picture.
    """

    def __init__(self, channels: int, patch: int, d_model: int) -> None:
        super().__init__()
        halvings = (patch & -patch).bit_length() - 1
        if not halvings:
            raise ValueError(f"a stem of convolutions needs an even patch, got {patch}")
        widths = [channels, *(max(1, d_model >> halvings - 1 - layer) for layer in range(halvings))]
        layers: list[nn.Module] = []
        for inner, outer in pairwise(widths):
            layers += [nn.Conv2d(inner, outer, 3, stride=2, padding=1), nn.GELU()]
        rest = patch >> halvings
        if rest > 1:
            layers += [nn.Conv2d(widths[-1], d_model, rest, stride=rest), nn.GELU()]
        self.layers = nn.Sequential(*layers)
        self.out = nn.Linear(d_model, d_model)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.out(self.layers(pictures).flatten(2).transpose(1, 2))


@final
class PatchFrontEnd(FrontEnd):
    """Pictures (B, C, H, W) cut into squares of `patch` × `patch` pixels, row by row, each mapped linearly to width D.

    Dosovitskiy et al. 2021 (arXiv:2010.11929), eq. 1, without the class token, which belongs to the pooling. Bytes
    are taken as shares of 255; both are centred at `mean` and divided by `deviation`. Patches of one pixel read the
    picture as a sequence of pixels. `stem="convolution"` maps by a `ConvolutionalStem` instead, which sees over the
    edges of patches; masked patches are the colour `mean` to it.
    """

    def __init__(
        self,
        size: tuple[int, int],
        channels: int,
        patch: int,
        d_model: int,
        positions: GridEncoding = "learned",
        stem: Stem = "linear",
        scale: tuple[float, float] = (0.5, 0.5),
    ) -> None:
        super().__init__()
        if stem not in ("linear", "convolution"):
            raise ValueError(f"stem must be linear or convolution, got {stem!r}")
        if size[0] % patch or size[1] % patch:
            raise ValueError(f"{size[0]} x {size[1]} pixels cannot be cut into patches of {patch} x {patch}")
        self.size, self.channels, self.patch, self.d_model = size, channels, patch, d_model
        self.mean, self.deviation = scale
        linear = stem == "linear"
        self.embed = nn.Linear(channels * patch * patch, d_model) if linear else None
        self.stem = None if linear else ConvolutionalStem(channels, patch, d_model)
        self.positions = GridPositions(size[0] // patch, size[1] // patch, d_model, positions)

    def forward(self, inputs: Tensor, mask: Mask | None = None) -> tuple[MemoryValues, MemoryMask | None]:
        """Vectors (B, M, D) of pictures, bytes or floats in [0, 1]; mask (B, M) of patches."""
        dtype = next(self.parameters()).dtype
        pictures = scaled(check_pictures(inputs, self.channels, self.size), dtype, self.mean, self.deviation)
        if self.embed is not None:
            x = self.embed(keep(self.cut(pictures), mask))
        else:
            assert self.stem is not None  # one of the two
            x = self.stem(pictures if mask is None else pictures.masked_fill(self.hidden(pictures, mask), 0.0))
        return keep(self.positions(x), mask), mask

    def hidden(self, inputs: Tensor, mask: Tensor) -> Tensor:
        grid = mask.unflatten(1, (-1, self.size[1] // self.patch)).unsqueeze(1)  # (B, 1, H/p, W/p)
        return ~grid.repeat_interleave(self.patch, 2).repeat_interleave(self.patch, 3)

    def cut(self, x: Tensor) -> Tensor:
        """Patches (B, M, C · patch²) of pictures (B, C, H, W)."""
        side = self.patch
        x = x.unflatten(2, (-1, side)).unflatten(4, (-1, side))  # (B, C, H/p, p, W/p, p)
        return x.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


@final
class LevelFrontEnd(FrontEnd):
    """Pictures of one channel (B, 1, H, W) as sequences of H · W pixels, with a vector for each of 256 levels."""

    def __init__(self, size: tuple[int, int], d_model: int, positions: GridEncoding = "learned") -> None:
        super().__init__()
        self.size, self.d_model = size, d_model
        self.table = nn.Embedding(256, d_model)
        self.positions = GridPositions(*size, d_model, positions)

    def forward(self, inputs: Tensor, mask: Mask | None = None) -> tuple[MemoryValues, MemoryMask | None]:
        """Vectors (B, H · W, D) of pictures as bytes; mask (B, H · W) of pixels."""
        if inputs.dtype != torch.uint8:
            raise ValueError(f"levels are bytes, got {inputs.dtype}")
        x = self.table(check_pictures(inputs, 1, self.size).flatten(1).long())
        return keep(self.positions(x), mask), mask

    def hidden(self, inputs: Tensor, mask: Tensor) -> Tensor:
        return ~mask.view(-1, 1, *self.size)


def check_pictures(pictures: Tensor, channels: int, size: tuple[int, int]) -> Tensor:
    """The pictures, or `ValueError` where they are not (B, channels, height, width)."""
    if pictures.dim() != 4 or tuple(pictures.shape[1:]) != (channels, *size):
        shape = f"(B, {channels}, {size[0]}, {size[1]})"
        raise ValueError(f"expected pictures of shape {shape}, got {tuple(pictures.shape)}")
    return pictures


def scaled(pictures: Tensor, dtype: torch.dtype, mean: float, deviation: float) -> Tensor:
    """(pixels - mean) / deviation, bytes taken as shares of 255."""
    x = pictures.to(dtype)
    if not pictures.is_floating_point():
        x = x / 255.0
    return (x - mean) / deviation


@final
@dataclass(frozen=True)
class ImagePatches:
    """Pictures of height × width pixels, cut into patches of `patch` × `patch`, each one position.

    positions: "learned" and "sinusoidal" (in two dimensions) are added to the patches; an architecture's own positions
        along the sequence come on top
    stem: "linear" maps each patch for itself, "convolution" by overlapping convolutions, which learn more from fewer
        pictures and want an even patch (see `ConvolutionalStem`)
    mean, deviation: of pixels from 0 to 1, taken away and divided by
    """

    accepts: ClassVar[InputKind] = "image"

    height: int
    width: int
    channels: int = 3
    patch: int = 16
    positions: GridEncoding = "learned"
    stem: Stem = "linear"
    mean: float = 0.5
    deviation: float = 0.5

    def __post_init__(self) -> None:
        _check_sizes(self.height, self.width, self.channels)
        if not 1 <= self.patch <= min(self.height, self.width) or self.height % self.patch or self.width % self.patch:
            both = math.gcd(self.height, self.width)
            known = [side for side in range(1, both + 1) if both % side == 0]
            choose = ", ".join(map(str, known[:12]))
            size = f"{self.height} x {self.width} pixels"
            raise InputError(
                f"must divide height and width, found {self.patch} for {size}: choose {choose}", where="patch"
            )
        if self.stem == "convolution" and self.patch % 2:
            raise InputError(f"must be even for a stem of convolutions, found {self.patch}", where="patch")
        _check_scale(self.deviation)

    @property
    def count(self) -> int:
        """Positions of a picture."""
        return (self.height // self.patch) * (self.width // self.patch)

    def length_out(self, length: int = 0) -> int:
        return self.count

    @classmethod
    def examples(cls) -> tuple[ImagePatches, ...]:
        return (
            cls(6, 4, channels=2, patch=2),
            cls(4, 8, channels=1, patch=4, positions="sinusoidal", mean=0.25, deviation=2.0),
            cls(8, 8, channels=1, patch=2, positions="none", stem="convolution"),
        )

    def sample(self, rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        pictures = torch.rand(rows, self.channels, self.height, self.width, generator=generator)
        return pictures, _sample_patches(rows, self.count, generator)

    def build(self, d_model: int) -> PatchFrontEnd:
        size = self.height, self.width
        scale = self.mean, self.deviation
        return PatchFrontEnd(size, self.channels, self.patch, d_model, self.positions, self.stem, scale)


@final
@dataclass(frozen=True)
class Pixels:
    """Pictures read as a sequence of height · width pixels, row by row, as in sequential MNIST (Le et al. 2015).

    embedding: "linear" maps a pixel's channels to a vector, "levels" (one channel only) has one vector for each byte
    """

    accepts: ClassVar[InputKind] = "image"

    height: int
    width: int
    channels: int = 1
    embedding: Literal["linear", "levels"] = "linear"
    positions: GridEncoding = "none"
    mean: float = 0.5
    deviation: float = 0.5

    def __post_init__(self) -> None:
        _check_sizes(self.height, self.width, self.channels)
        if self.embedding == "levels" and self.channels != 1:
            raise InputError(f"levels need pictures of one channel, found {self.channels}", where="embedding")
        _check_scale(self.deviation)

    @property
    def count(self) -> int:
        """Positions of a picture."""
        return self.height * self.width

    def length_out(self, length: int = 0) -> int:
        return self.count

    @classmethod
    def examples(cls) -> tuple[Pixels, ...]:
        return (
            cls(3, 4),
            cls(3, 2, channels=3, positions="learned"),
            cls(2, 3, embedding="levels", positions="sinusoidal"),
        )

    def sample(self, rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        size = rows, self.channels, self.height, self.width
        levels = torch.randint(256, size, generator=generator, dtype=torch.uint8)
        pictures = levels if self.embedding == "levels" else levels / 255.0
        return pictures, _sample_patches(rows, self.count, generator)

    def build(self, d_model: int) -> PatchFrontEnd | LevelFrontEnd:
        size = self.height, self.width
        if self.embedding == "levels":
            return LevelFrontEnd(size, d_model, self.positions)
        scale = self.mean, self.deviation
        return PatchFrontEnd(size, self.channels, 1, d_model, self.positions, "linear", scale)


def _check_sizes(height: int, width: int, channels: int) -> None:
    for name, value in (("height", height), ("width", width), ("channels", channels)):
        if not 1 <= value <= MOST_SIDE:
            raise InputError(f"must be from 1 to {MOST_SIDE}, found {value}", where=name)


def _check_scale(deviation: float) -> None:
    if not 0.0 < deviation < float("inf"):
        raise InputError(f"must be positive and finite, found {deviation}", where="deviation")


def _sample_patches(rows: int, count: int, generator: torch.Generator) -> Tensor:
    """A mask (B, M) of patches for the laws: the first row whole, the last without any."""
    mask = torch.rand(rows, count, generator=generator) < 0.5
    mask[0], mask[-1] = True, False
    return mask
