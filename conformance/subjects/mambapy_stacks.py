"""Stacks of `mambapy`: `forward` over a whole sequence, `step` with a list of caches over one position.

`forward` returns no state: its `generate` feeds the prompt by steps too, so the state after a call is that of steps.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from mambapy.mamba import Mamba, MambaConfig
from torch import Tensor, nn

from sightline.testing.foreign import Adapter, Offers

REQUIREMENTS = ("mambapy==1.2.0",)
SIZE = 8


class Stack(Adapter):
    """Two layers; a cache is the pair of recurrent state (B, inner, states) and last inputs of the convolution."""

    package = "mambapy"
    offers: ClassVar[Offers] = Offers(size=SIZE, state="in place", several=False, tolerance=1e-6)
    options: ClassVar[dict[str, Any]] = {}

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return Mamba(MambaConfig(d_model=SIZE, n_layers=2, d_state=4, **self.options)).double().eval()

    def initial_state(self, model: Any, batch: int) -> Any:
        config = model.config
        inputs = torch.zeros(batch, config.d_inner, config.d_conv - 1, dtype=torch.float64)
        return [(None, inputs.clone()) for _ in range(config.n_layers)]

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        y = model(x)
        for place in range(x.shape[1]):
            _, state = model.step(x[:, place], state)
        return y, state

    def step(self, model: Any, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        y, state = model.step(x[:, 0], state)
        return y.unsqueeze(1), state

    def select(self, model: Any, state: Any, rows: Tensor) -> Any:
        return [(h[rows], inputs[rows]) for h, inputs in state]


class ParallelScan(Stack):
    name = "Mamba"


class SequentialScan(Stack):
    name = "Mamba(pscan=False)"
    options: ClassVar[dict[str, Any]] = {"pscan": False}


class InnerNorms(Stack):
    name = "Mamba(inner_layernorms=True)"
    options: ClassVar[dict[str, Any]] = {"inner_layernorms": True}


class MuP(Stack):
    name = "Mamba(mup=True)"
    options: ClassVar[dict[str, Any]] = {"mup": True, "mup_base_width": 4}


SUBJECTS = (ParallelScan, SequentialScan, InnerNorms, MuP)
