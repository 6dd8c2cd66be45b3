"""`LinearAttentionTransformerLM` of `linear-attention-transformer`: it has no cache; `input_mask` hides padding."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from linear_attention_transformer import LinearAttentionTransformerLM
from torch import Tensor, nn

from sightline.testing.foreign import Adapter, Offers

REQUIREMENTS = ("linear-attention-transformer==0.19.1",)
SIZE = 40


class Linear(Adapter):
    package = "linear-attention-transformer"
    offers: ClassVar[Offers] = Offers(
        "tokens", SIZE, causal=False, state="none", mask=("right",), empty=False, tolerance=2e-5
    )
    options: ClassVar[dict[str, Any]] = {}

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        sizes = {"num_tokens": SIZE, "max_seq_len": 64, "dim": 16, "depth": 2, "heads": 2, "dim_head": 8}
        return LinearAttentionTransformerLM(**sizes, **self.options).eval()

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        return model(x, input_mask=mask), None


class Both(Linear):
    name = "LinearAttentionTransformerLM"


class Causal(Linear):
    name = "LinearAttentionTransformerLM(causal=True)"
    offers: ClassVar[Offers] = Offers("tokens", SIZE, state="none", mask=("right",), empty=False, tolerance=2e-5)
    options: ClassVar[dict[str, Any]] = {"causal": True}


class Local(Linear):
    name = "LinearAttentionTransformerLM(causal=True, n_local_attn_heads=1)"
    offers: ClassVar[Offers] = Offers(
        "tokens", SIZE, chunk=4, state="none", mask=("right",), empty=False, tolerance=2e-5
    )
    options: ClassVar[dict[str, Any]] = {"causal": True, "n_local_attn_heads": 1, "local_attn_window_size": 4}


SUBJECTS = (Both, Causal, Local)
