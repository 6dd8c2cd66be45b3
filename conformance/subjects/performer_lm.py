"""`PerformerLM` of `performer-pytorch`: it has no cache; `mask` hides padding."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from performer_pytorch import PerformerLM
from torch import Tensor, nn

from sightline.testing.foreign import Adapter, Offers

REQUIREMENTS = ("performer-pytorch==1.1.4",)
SIZE = 40


class Performer(Adapter):
    package = "performer-pytorch"
    offers: ClassVar[Offers] = Offers(
        "tokens", SIZE, causal=False, state="none", mask=("right",), empty=False, tolerance=2e-5
    )
    options: ClassVar[dict[str, Any]] = {}

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        sizes = {"num_tokens": SIZE, "max_seq_len": 64, "dim": 16, "depth": 2, "heads": 2, "dim_head": 8}
        return PerformerLM(**sizes, **self.options).eval()

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        return model(x, mask=mask), None


class Both(Performer):
    name = "PerformerLM"


class Causal(Performer):
    name = "PerformerLM(causal=True)"
    offers: ClassVar[Offers] = Offers("tokens", SIZE, state="none", mask=("right",), empty=False, tolerance=2e-5)
    options: ClassVar[dict[str, Any]] = {"causal": True}


class Generalized(Performer):
    name = "PerformerLM(generalized_attention=True)"
    options: ClassVar[dict[str, Any]] = {"generalized_attention": True}


class CausalGeneralized(Causal):
    name = "PerformerLM(causal=True, generalized_attention=True)"
    options: ClassVar[dict[str, Any]] = {"causal": True, "generalized_attention": True}


SUBJECTS = (Both, Causal, Generalized, CausalGeneralized)
