"""Front ends of the recipe "a front end: two files", one for each kind of input that the recipe's test trains on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from sightline.core.front_end import FrontEnd, InputKind, sample_lengths
from sightline.core.mixer import keep
from sightline.core.settings import CheckedConfig, key


class HashEmbedding(FrontEnd):
    """The sum of two rows of one small table, which two hashes of the token's id choose."""

    pointwise = True

    def __init__(self, buckets: int, d_model: int) -> None:
        super().__init__()
        self.d_model, self.buckets = d_model, buckets
        self.table = nn.Embedding(buckets, d_model)

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        x = self.table(inputs * 31 % self.buckets) + self.table(inputs * 17 % 101 % self.buckets)
        return keep(x, mask), mask


@dataclass(frozen=True)
class HashedTokens(CheckedConfig):
    accepts: ClassVar[InputKind] = "tokens"

    vocabulary: int
    buckets: int = key(64, "Rows of the table.", at_least=1)

    @classmethod
    def examples(cls) -> tuple[HashedTokens, ...]:
        return (cls(50, 7), cls(9))

    def build(self, d_model: int) -> HashEmbedding:
        return HashEmbedding(self.buckets, d_model)

    def length_out(self, length: int) -> int:
        return length

    def sample(self, rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return torch.randint(self.vocabulary, (rows, 7), generator=generator), sample_lengths(rows, 7)


class EveryOther(FrontEnd):
    """Every other step of a series alone, by a linear map; a row's last step may be one that is left out."""

    def __init__(self, channels: int, every: int, d_model: int) -> None:
        super().__init__()
        self.d_model, self.every = d_model, every
        self.map = nn.Linear(channels, d_model)

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        mask = None if mask is None else mask[:, :: self.every]
        return keep(self.map(keep(inputs[:, :: self.every], mask)), mask), mask


@dataclass(frozen=True)
class FewerSteps(CheckedConfig):
    accepts: ClassVar[InputKind] = "series"

    channels: int
    every: int = key(2, "Steps from one that is read to the next.", at_least=1)

    @classmethod
    def examples(cls) -> tuple[FewerSteps, ...]:
        return (cls(2), cls(1, 3))

    def build(self, d_model: int) -> EveryOther:
        return EveryOther(self.channels, self.every, d_model)

    def length_out(self, length: int) -> int:
        return -(-length // self.every)

    def sample(self, rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return torch.randn(rows, 7, self.channels, generator=generator), sample_lengths(rows, 7)


class RowEmbedding(FrontEnd):
    """Each row of a picture, all channels together, as one position."""

    def __init__(self, config: PixelRows, d_model: int) -> None:
        super().__init__()
        self.config, self.d_model = config, d_model
        self.map = nn.Linear(config.channels * config.width, d_model, bias=config.bias)

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        pictures = inputs.to(self.map.weight.dtype) / (1.0 if inputs.is_floating_point() else 255.0)
        rows = pictures.transpose(1, 2).flatten(2)  # (B, H, C·W)
        return keep(self.map(keep(rows - self.config.mean, mask)), mask), mask

    def hidden(self, inputs: Tensor, mask: Tensor) -> Tensor:
        return ~mask[:, None, :, None]


@dataclass(frozen=True)
class PixelRows(CheckedConfig):
    """`mean` does not have a key of its own: it has the value of `--picture.mean`."""

    accepts: ClassVar[InputKind] = "image"

    height: int
    width: int
    channels: int
    mean: float = 0.5
    bias: bool = key(True, "Add a bias.")

    @classmethod
    def examples(cls) -> tuple[PixelRows, ...]:
        return (cls(4, 3, 2), cls(2, 5, 1, 0.1, False))

    def build(self, d_model: int) -> RowEmbedding:
        return RowEmbedding(self, d_model)

    def length_out(self, length: int) -> int:
        return self.height

    def sample(self, rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        pictures = torch.rand(rows, self.channels, self.height, self.width, generator=generator)
        return pictures, torch.rand(rows, self.height, generator=generator) < 0.7


LINES = {"hashed_tokens": HashedTokens, "fewer_steps": FewerSteps, "pixel_rows": PixelRows}
