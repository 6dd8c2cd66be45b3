"""Causal convolutions of `pytorch-tcn` as a stream: `inference=True`, `get_buffers` and `set_buffers`.

A stream takes one row by its documentation, so each row has buffers of its own. A call from the beginning is the usual
forward pass; its buffers come from a stream over the same.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pytorch_tcn import TCN
from torch import Tensor, nn

from sightline.testing.foreign import Adapter, Offers

REQUIREMENTS = ("pytorch-tcn==1.2.3",)
SIZE = 8


class Stream(Adapter):
    package = "pytorch-tcn"
    offers: ClassVar[Offers] = Offers(size=SIZE, gradients=False)
    options: ClassVar[dict[str, Any]] = {}

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        options = {"kernel_size": 3, "causal": True, "input_shape": "NLC", "dropout": 0.0, **self.options}
        return TCN(SIZE, [6, 6], **options).double().eval()

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        rows = [None] * len(x) if state is None else state
        results = [self.stream(model, row.unsqueeze(0), buffers) for row, buffers in zip(x, rows, strict=True)]
        y = model(x) if state is None else torch.cat([result for result, _ in results])
        return y, [buffers for _, buffers in results]

    def stream(self, model: Any, x: Tensor, buffers: list[Tensor] | None) -> tuple[Tensor, list[Tensor]]:
        model.reset_buffers()
        if buffers is not None:
            model.set_buffers(list(buffers))
        y = model(x, inference=True)
        after = [buffer.clone() for buffer in model.get_buffers()]
        model.reset_buffers()
        return y, after

    def select(self, model: Any, state: Any, rows: Tensor) -> Any:
        return [state[row] for row in rows.tolist()]


class Plain(Stream):
    name = "TCN(causal=True)"


class Skips(Stream):
    name = "TCN(use_skip_connections=True)"
    options: ClassVar[dict[str, Any]] = {"use_skip_connections": True}


class LayerNorm(Stream):
    name = "TCN(use_norm='layer_norm')"
    options: ClassVar[dict[str, Any]] = {"use_norm": "layer_norm"}


class Gate(Stream):
    name = "TCN(use_gate=True)"
    options: ClassVar[dict[str, Any]] = {"use_gate": True}


class DilationReset(Stream):
    name = "TCN(dilation_reset=2)"
    options: ClassVar[dict[str, Any]] = {"dilation_reset": 2}


SUBJECTS = (Plain, Skips, LayerNorm, Gate, DilationReset)
