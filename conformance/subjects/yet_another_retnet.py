"""`RetNet` of `yet-another-retnet`, whose three forms are to give the same.

A first call gives the outputs of `forward_parallel` and the state of `forward_chunkwise`; a call with a state is
`forward_chunkwise`, a step `forward_recurrent`. The caller keeps the number of positions so far.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from yet_another_retnet.retnet import RetNet

from sightline.testing.foreign import Adapter, Offers

REQUIREMENTS = ("yet-another-retnet==0.5.1",)
SIZE = 40


class Retention(Adapter):
    package = "yet-another-retnet"
    offers: ClassVar[Offers] = Offers("tokens", SIZE, empty=False)
    options: ClassVar[dict[str, Any]] = {}

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        sizes = {"d_model": 32, "nhead": 2, "num_layers": 2, "dim_feedforward": 32}
        return RetNet(SIZE, **sizes, **self.options).double().eval()

    def initial_state(self, model: Any, batch: int) -> Any:
        return 0, ()

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        begun, states = state
        y, states = model.forward_chunkwise(x, start_idx=begun, prev_states=states)
        return y if begun else model.forward_parallel(x), (begun + x.shape[1], states)

    def step(self, model: Any, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        begun, states = state
        y, states = model.forward_recurrent(x[:, 0], seq_idx=begun, prev_states=states)
        return y.unsqueeze(1), (begun + 1, states)

    def select(self, model: Any, state: Any, rows: Tensor) -> Any:
        return state[0], [part[rows] for part in state[1]]


class NormFirst(Retention):
    name = "RetNet"


class NormLast(Retention):
    name = "RetNet(norm_first=False)"
    options: ClassVar[dict[str, Any]] = {"norm_first": False}


class Gelu(Retention):
    name = "RetNet(activation='gelu')"
    options: ClassVar[dict[str, Any]] = {"activation": "gelu"}


SUBJECTS = (NormFirst, NormLast, Gelu)
