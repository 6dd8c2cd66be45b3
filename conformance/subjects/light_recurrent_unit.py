"""Layers of `light-recurrent-unit-pytorch`: the hidden states are handed in and come back, one for each layer."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from light_recurrent_unit_pytorch import GatedLightRecurrentUnit, LightRecurrentUnit
from torch import Tensor, nn

from sightline.testing.foreign import Adapter, Offers

REQUIREMENTS = ("light-recurrent-unit-pytorch==0.1.4",)
SIZE = 8


class Light(Adapter):
    package = "light-recurrent-unit-pytorch"
    offers: ClassVar[Offers] = Offers(size=SIZE)
    kind: ClassVar[type[nn.Module]] = LightRecurrentUnit
    options: ClassVar[dict[str, Any]] = {}

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return self.kind(SIZE, depth=2, **self.options).double().eval()

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        return model(x, state)

    def select(self, model: Any, state: Any, rows: Tensor) -> Any:
        return [self.select(model, part, rows) if isinstance(part, list) else part[rows] for part in state]


class Plain(Light):
    name = "LightRecurrentUnit"


class Heads(Light):
    name = "LightRecurrentUnit(heads=2)"
    options: ClassVar[dict[str, Any]] = {"heads": 2}


class LearnedBeginning(Light):
    name = "LightRecurrentUnit(learned_init_hidden=True)"
    options: ClassVar[dict[str, Any]] = {"learned_init_hidden": True}


class Unprojected(Light):
    name = "LightRecurrentUnit(proj_input=False)"
    options: ClassVar[dict[str, Any]] = {"proj_input": False}


class Gated(Light):
    name = "GatedLightRecurrentUnit"
    kind = GatedLightRecurrentUnit


SUBJECTS = (Plain, Heads, LearnedBeginning, Unprojected, Gated)
