"""`S5` and `S5Block` of `s5-pytorch`, in float32, as its weights are complex numbers of that precision."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from s5 import S5, S5Block
from torch import Tensor, nn

from sightline.testing.foreign import Adapter, Offers

REQUIREMENTS = ("s5-pytorch==0.2.1",)
SIZE = 8


class StateSpace(Adapter):
    """`model(x, state=…, return_state=True)`; the state is (B, states), complex."""

    package = "s5-pytorch"
    offers: ClassVar[Offers] = Offers(size=SIZE, tolerance=2e-5)
    options: ClassVar[dict[str, Any]] = {}

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return S5(SIZE, 8, **self.options).eval()

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        return model(x.float(), state=state, return_state=True)

    def select(self, model: Any, state: Any, rows: Tensor) -> Any:
        return state[rows]


class Plain(StateSpace):
    name = "S5"


class Blocks(StateSpace):
    name = "S5(block_count=2)"
    options: ClassVar[dict[str, Any]] = {"block_count": 2}


class Liquid(StateSpace):
    name = "S5(liquid=True)"
    options: ClassVar[dict[str, Any]] = {"liquid": True}


class Block(StateSpace):
    name = "S5Block"

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return S5Block(SIZE, 8, bidir=False).eval()


SUBJECTS = (Plain, Blocks, Liquid, Block)
