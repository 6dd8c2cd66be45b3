"""An identity module that names a tensor inside a model, so that it can be read or replaced."""

from __future__ import annotations

from typing import final

from torch import nn

from sightline.core.shapes import Elementwise


@final
class Probe(nn.Module):
    """Identity that marks an inspectable tensor: `self.weights = Probe("B H T S")`.

    `shape` spells the tensor's axes in the alphabet of `core.mixer`. Read the tensor with an ordinary forward hook,
    replace it by returning a tensor from the hook. A module asks `attached` before it leaves its fused path for one
    that forms the tensor; attaching never changes an output beyond rounding.

    implicit: the tensor is the matrix that a recurrence applies to its values, formed for nobody but a hook
    signed: its entries may be negative and its rows need not sum to 1, as those of attention weights do
    """

    def __init__(self, shape: str, *, implicit: bool = False, signed: bool = False) -> None:
        super().__init__()
        self.shape, self.implicit, self.signed = shape, implicit, signed

    @property
    def attached(self) -> bool:
        """Whether the probe has a hook."""
        return bool(self._forward_hooks or self._forward_pre_hooks)

    def forward(self, x: Elementwise) -> Elementwise:
        return x

    def extra_repr(self) -> str:
        return repr(self.shape)
