"""The buffers of a model that its checkpoints have, and how they were before a step."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn


@final
class SavedBuffers:
    """Copies of a model's saved buffers: a carried state, the running averages of batch norm.

    A forward pass may rebind a buffer or change it in place, and not every kernel that does tells it (batch norm does
    not, torch 2.13). Copying all of them is cheap: an optimizer moves several times as many bytes for each weight.
    """

    def __init__(self, model: nn.Module) -> None:
        self._places = [
            (module, name)
            for module in model.modules()
            for name, buffer in module._buffers.items()
            if buffer is not None and name not in module._non_persistent_buffers_set
        ]
        self._kept: list[tuple[Tensor, Tensor]] = []

    @torch.no_grad()
    def keep(self) -> None:
        """Copy the buffers as they are now."""
        self._kept = [(buffer, buffer.clone()) for buffer in self._buffers()]

    @torch.no_grad()
    def restore(self) -> None:
        """Put the kept buffers back, if any are kept; a buffer of two modules stays one."""
        for (module, name), (buffer, before) in zip(self._places, self._kept):
            module._buffers[name] = buffer.copy_(before)

    def forget(self) -> None:
        """Free the copies: the step is complete."""
        self._kept = []

    @property
    def valid(self) -> bool:
        """Whether no buffer has a NaN; infinities can be meant."""
        return not any(bool(buffer.isnan().any()) for buffer in self._buffers())

    def _buffers(self) -> list[Tensor]:
        return [getattr(module, name) for module, name in self._places]
