"""`NeuralMemory` of `titans-pytorch`, weights of which are the state: calls come in multiples of its chunk."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from titans_pytorch import NeuralMemory
from torch import Tensor, nn

from sightline.testing.foreign import Adapter, Offers

REQUIREMENTS = ("titans-pytorch==0.5.5",)
SIZE = 16


class Memory(Adapter):
    package = "titans-pytorch"
    offers: ClassVar[Offers] = Offers(size=SIZE, chunk=4, empty=False, tolerance=2e-5)
    options: ClassVar[dict[str, Any]] = {}

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return NeuralMemory(dim=SIZE, chunk_size=4, **self.options).eval()

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        return model(x.float(), state=state)


class Plain(Memory):
    name = "NeuralMemory"


class Singles(Memory):
    name = "NeuralMemory, chunk_size=1"
    offers: ClassVar[Offers] = Offers(size=SIZE, empty=False, tolerance=2e-5)

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return NeuralMemory(dim=SIZE, chunk_size=1).eval()


class NoMomentum(Memory):
    name = "NeuralMemory(momentum=False)"
    options: ClassVar[dict[str, Any]] = {"momentum": False}


class Heads(Memory):
    name = "NeuralMemory(heads=2)"
    options: ClassVar[dict[str, Any]] = {"heads": 2, "dim_head": 8}


SUBJECTS = (Plain, Singles, NoMomentum, Heads)
