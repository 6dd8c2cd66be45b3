"""`LocalTransformer` of `local-attention` with its cache, called as its `generate` calls it.

Every call brings all tokens so far and the cache of the call before, and returns the outputs of the last one.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from local_attention import LocalTransformer
from torch import Tensor, nn

from sightline.testing.foreign import Adapter, Offers

REQUIREMENTS = ("local-attention==1.11.2",)
SIZE = 40


class Local(Adapter):
    """Two layers with a window of 4."""

    name = "LocalTransformer, window of 4"
    package = "local-attention"
    offers: ClassVar[Offers] = Offers("tokens", SIZE, state="in place", several=False, tolerance=2e-5)
    options: ClassVar[dict[str, Any]] = {}

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        sizes = {"num_tokens": SIZE, "max_seq_len": 64, "dim": 32, "depth": 2, "dim_head": 8, "heads": 4}
        return LocalTransformer(**sizes, local_attn_window_size=4, causal=True, **self.options).double().eval()

    def initial_state(self, model: Any, batch: int) -> Any:
        return None, torch.zeros(batch, 0, dtype=torch.long)

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        cache, before = state
        tokens = torch.cat([before, x], 1)
        y, cache = model(tokens, cache=cache, return_cache=True)
        return y[:, y.shape[1] - x.shape[1] :], (cache, tokens)


class LocalBias(Local):
    """In float32: its bias is computed in that dtype whatever the model's."""

    name = "LocalTransformer, use_dynamic_pos_bias"
    options: ClassVar[dict[str, Any]] = {"use_dynamic_pos_bias": True}

    def build(self, seed: int) -> nn.Module:
        return super().build(seed).float()


class LocalXpos(Local):
    name = "LocalTransformer, use_xpos"
    options: ClassVar[dict[str, Any]] = {"use_xpos": True}


SUBJECTS = (Local, LocalBias, LocalXpos)
