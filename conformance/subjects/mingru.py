"""minGRU and minLSTM of `minGRU-pytorch`: `return_next_prev_hidden=True` gives the state."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from minGRU_pytorch.minGRU import minGRU
from minGRU_pytorch.minLSTM import minLSTM
from torch import Tensor, nn

from sightline.testing.foreign import Adapter, Offers

REQUIREMENTS = ("minGRU-pytorch==0.2.1",)
SIZE = 8


class Minimal(Adapter):
    """The state is the last hidden vector (B, 1, units); its parallel form computes in logarithms."""

    package = "minGRU-pytorch"
    offers: ClassVar[Offers] = Offers(size=SIZE)
    kind: ClassVar[type[nn.Module]]
    options: ClassVar[dict[str, Any]] = {}

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return self.kind(SIZE, **self.options).double().eval()

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        return model(x, state, return_next_prev_hidden=True)

    def select(self, model: Any, state: Any, rows: Tensor) -> Any:
        return state[rows]


class MinGRU(Minimal):
    name = "minGRU"
    kind = minGRU


class MinGRUExpanded(Minimal):
    name = "minGRU(expansion_factor=1.5)"
    kind = minGRU
    options: ClassVar[dict[str, Any]] = {"expansion_factor": 1.5}


class MinLSTM(Minimal):
    name = "minLSTM"
    kind = minLSTM


class MinLSTMExpanded(Minimal):
    name = "minLSTM(expansion_factor=1.5)"
    kind = minLSTM
    options: ClassVar[dict[str, Any]] = {"expansion_factor": 1.5}


SUBJECTS = (MinGRU, MinGRUExpanded, MinLSTM, MinLSTMExpanded)
