"""Several sources as one sequence: the vectors of each source follow those of the source before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

import torch
from torch import Tensor, nn

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEnd, FrontEndConfig, InputKind
from sightline.core.shapes import Mask, MemoryMask, MemoryValues
from sightline.parts.image_patches import ImagePatches
from sightline.parts.series_patches import SeriesPatches
from sightline.parts.token_embedding import Tokens

MOST_SOURCES = 16


class Masked(NamedTuple):
    """One source of several: the inputs of its front end, and their mask."""

    values: Tensor  # (B, …)
    mask: Tensor | None = None  # True = real; None = all real

    def to(self, device: torch.device | str) -> Masked:
        """The same on `device`."""
        return Masked(self.values.to(device), None if self.mask is None else self.mask.to(device))


@final
class SeveralFrontEnd(FrontEnd):
    """Each source through its own front end, plus a learned vector for each source, one source after another.

    One encoder reads all of them, so that an image's patches can attend to the words of a question before the decoder
    attends to either. The encoder's outputs are one memory with a stretch for each source.
    """

    undecayed = ("which",)  # parameters without weight decay

    def __init__(self, front_ends: Sequence[FrontEnd]) -> None:
        super().__init__()
        if not front_ends or len({front_end.d_model for front_end in front_ends}) > 1:
            raise ValueError(f"expected front ends of one width, got {[f.d_model for f in front_ends]}")
        self.front_ends = nn.ModuleList(front_ends)
        self.d_model = front_ends[0].d_model
        self.which = nn.Parameter(0.02 * torch.randn(len(front_ends), self.d_model))

    def forward(self, inputs: Sequence[Masked], mask: Mask | None = None) -> tuple[MemoryValues, MemoryMask | None]:
        """Vectors (B, M_1 + M_2 + …, D) of the sources, which have their own masks, and their joint mask."""
        if mask is not None:
            raise ValueError("each of several sources has a mask of its own: pass no joint mask")
        if len(inputs) != len(self.front_ends):
            raise ValueError(f"expected {len(self.front_ends)} sources, got {len(inputs)}")
        stretches: list[Tensor] = []
        masks: list[Tensor | None] = []
        for front_end, which, (values, own) in zip(self.front_ends, self.which, inputs, strict=True):
            x, own = front_end(values, own)
            x = x + which
            stretches.append(x if own is None else x.masked_fill(~own.unsqueeze(-1), 0.0))
            masks.append(own)
        if all(own is None for own in masks):
            return torch.cat(stretches, 1), None
        whole = [
            torch.ones(x.shape[:2], dtype=torch.bool, device=x.device) if own is None else own
            for x, own in zip(stretches, masks, strict=True)
        ]
        return torch.cat(stretches, 1), torch.cat(whole, 1)


@final
@dataclass(frozen=True)
class Several:
    """Several sources, each with its own front end, as one sequence; see `SeveralFrontEnd`."""

    accepts: ClassVar[InputKind] = "several"

    parts: tuple[FrontEndConfig, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.parts) <= MOST_SOURCES or any(isinstance(part, Several) for part in self.parts):
            raise InputError(f"must be 1 to {MOST_SOURCES} sources, none of them several sources itself", where="parts")

    def length_out(self, length: int | Sequence[int]) -> int:
        """The number of positions of all sources together; a length for each source, or one for all."""
        lengths = [length] * len(self.parts) if isinstance(length, int) else length
        return sum(part.length_out(own) for part, own in zip(self.parts, lengths, strict=True))

    def build(self, d_model: int) -> SeveralFrontEnd:
        return SeveralFrontEnd([part.build(d_model) for part in self.parts])

    @classmethod
    def examples(cls) -> tuple[Several, ...]:
        return (cls((Tokens(11), ImagePatches(4, 4, channels=1, patch=2))), cls((SeriesPatches(2, 4, 2),)))

    def sample(self, rows: int, generator: torch.Generator) -> tuple[tuple[Masked, ...], None]:
        """Inputs of the parts, which need `sample` too, each with its own mask."""
        parts: Any = self.parts
        return tuple(Masked(*part.sample(rows, generator)) for part in parts), None
