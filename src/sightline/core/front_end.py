"""What stands between raw input and the mixers: tokens, frames, patches or pixels in, vectors of one width out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn


class FrontEnd(nn.Module, ABC):
    """Turns raw input, batch first, into vectors of width `d_model`.

    The number of positions M may be smaller than that of the input, where frames are joined or cut into patches; the
    mask follows. What stands under the input's mask, NaN included, reaches no real position.
    """

    d_model: int

    @abstractmethod
    def forward(self, inputs: Any, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Vectors (B, M, D) of the inputs, and their mask (B, M), True = real; None where all are."""


@runtime_checkable
class FrontEndConfig(Protocol):
    """A frozen dataclass of plain values, one for each kind of input; `parts.front_ends` has the table."""

    def build(self, d_model: int) -> FrontEnd: ...
