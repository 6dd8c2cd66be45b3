"""`InfiniTransformer` of `infini-transformer-pytorch`: a cache within a segment, one token at a time.

Every call brings all tokens of the segment so far, as its `generate` does, and a cache brings back the last one alone.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from infini_transformer_pytorch import InfiniTransformer
from torch import Tensor, nn

from sightline.testing.foreign import Adapter, Offers

REQUIREMENTS = ("infini-transformer-pytorch==0.2.1",)
SIZE = 40


class Segment(Adapter):
    package = "infini-transformer-pytorch"
    offers: ClassVar[Offers] = Offers("tokens", SIZE, state="value", several=False, tolerance=2e-5)
    options: ClassVar[dict[str, Any]] = {}

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        sizes = {"num_tokens": SIZE, "dim": 16, "depth": 2, "heads": 2, "dim_head": 16}
        return InfiniTransformer(**sizes, **self.options).double().eval()

    def initial_state(self, model: Any, batch: int) -> Any:
        return None, torch.zeros(batch, 0, dtype=torch.long)

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        cache, before = state
        tokens = torch.cat([before, x], 1)
        result = model(tokens, cached_kv=cache)
        return result.logits, (result.cached_kvs, tokens)

    def select(self, model: Any, state: Any, rows: Tensor) -> Any:
        return [part[:, rows] for part in state[0]], state[1][rows]


class Plain(Segment):
    name = "InfiniTransformer, within a segment"


SUBJECTS = (Plain,)
