"""The contract of front ends: tokens, words, sound, pictures or series in, vectors of one width out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import torch
from torch import nn

from sightline.core.shapes import AnyMask, AnyTensor, Mask, MemoryMask, MemoryValues

InputKind = Literal["tokens", "words", "series", "audio", "image", "windows", "several"]

KINDS_IN_WORDS: dict[InputKind, str] = {
    "tokens": "token ids",  # (B, T)
    "words": "letters of words",  # (B, T, L), 0 after the end of a word
    "series": "series",  # (B, T, C)
    "audio": "sounds",  # (B, T)
    "image": "pictures",  # (B, C, H, W)
    "windows": "windows of series with covariates",
    "several": "several sources",
}


class FrontEnd(nn.Module, ABC):
    """Turns raw input, batch first, into vectors of width `d_model`.

    The number of positions M may be smaller than that of the input, where frames are joined or cut into patches; the
    mask follows. Content under the input's mask, NaN included, reaches no real position.
    """

    pointwise: ClassVar[bool] = False  # each position follows from one input position, so that chunks give the whole
    d_model: int

    @abstractmethod
    def forward(self, inputs: Any, mask: Mask | None = None) -> tuple[MemoryValues, MemoryMask | None]:
        """Vectors (B, M, D) of the inputs, and their mask (B, M), True = real; None where the input's is None."""

    def hidden(self, inputs: AnyTensor, mask: Mask) -> AnyMask:
        """Which numbers of the inputs the mask hides, bool and broadcastable to them; by default a mask of axis 1."""
        return ~mask.view(*mask.shape, *[1] * (inputs.dim() - 2))


@runtime_checkable
class FrontEndConfig(Protocol):
    """A frozen dataclass of plain values, for one kind of input; `parts.front_ends` has the table.

    accepts: the kind of input. Fields that are declared by `core.settings.key`, with a default, are keys of their own
        wherever the front end is chosen; the input and the keys of its section give the other fields, by their names.

    For the laws (`testing.check_front_end`) it has two more methods: `examples()`, a class method that returns some
    configs, and `sample(rows, generator)`, which returns random inputs and a mask for them.
    """

    accepts: ClassVar[InputKind]

    def build(self, d_model: int) -> FrontEnd: ...

    def length_out(self, length: int) -> int:
        """The number of positions of an input that is `length` long: tokens, words, steps or samples.

        Pictures have the size that the config says: any length gives the same number.
        """
        ...


def sample_lengths(rows: int, length: int) -> Mask:
    """A mask (B, T) for the laws: a whole row, then shorter ones, padded on the right, then one of padding alone."""
    lengths = torch.tensor([length, length // 2 + 1, 1, 0] * rows)[:rows]
    return torch.arange(length) < lengths.unsqueeze(1)
