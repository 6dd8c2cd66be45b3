"""Decoders of `x-transformers` with its cache, called as its `AutoregressiveWrapper` calls them.

Every call brings all tokens so far and the cache of the call before; the outputs of the new ones come back.
`seq_start_pos` is the number of padding tokens on the left of each row.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from x_transformers import Decoder, TransformerWrapper

from sightline.testing.foreign import Adapter, Offers

REQUIREMENTS = ("x-transformers==2.31.10",)
SIZE = 40


class CachedWrapper(Adapter):
    """`TransformerWrapper` around a `Decoder` of two layers."""

    package = "x-transformers"
    offers: ClassVar[Offers] = Offers("tokens", SIZE, state="in place", several=False, mask=("left",), tolerance=2e-5)
    options: ClassVar[dict[str, Any]] = {}

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        layers = Decoder(dim=32, depth=2, heads=2, attn_dim_head=32, **self.options)
        return TransformerWrapper(num_tokens=SIZE, max_seq_len=64, attn_layers=layers).double().eval()

    def initial_state(self, model: Any, batch: int) -> Any:
        return None, torch.zeros(batch, 0, dtype=torch.long), None

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        cache, before, padding = state
        tokens = torch.cat([before, x], 1)
        if mask is not None:
            padding = (~mask).sum(1)
        how = {} if padding is None else {"seq_start_pos": padding}
        y, cache = model(tokens, return_intermediates=True, cache=cache, **how)
        return y[:, y.shape[1] - x.shape[1] :], (cache, tokens, padding)


class Plain(CachedWrapper):
    name = "x-transformers Decoder"


class Rotary(CachedWrapper):
    name = "x-transformers Decoder, rotary_pos_emb"
    options: ClassVar[dict[str, Any]] = {"rotary_pos_emb": True}


class Alibi(CachedWrapper):
    name = "x-transformers Decoder, alibi_pos_bias"
    options: ClassVar[dict[str, Any]] = {"alibi_pos_bias": True}


class Relative(CachedWrapper):
    name = "x-transformers Decoder, rel_pos_bias"
    options: ClassVar[dict[str, Any]] = {"rel_pos_bias": True}


class Grouped(CachedWrapper):
    name = "x-transformers Decoder, rotary, attn_kv_heads=2"
    options: ClassVar[dict[str, Any]] = {"rotary_pos_emb": True, "attn_kv_heads": 2}


class QkNorm(CachedWrapper):
    name = "x-transformers Decoder, rotary, attn_qk_norm"
    options: ClassVar[dict[str, Any]] = {"rotary_pos_emb": True, "attn_qk_norm": True}


class ShiftTokens(CachedWrapper):
    name = "x-transformers Decoder, shift_tokens=1"
    options: ClassVar[dict[str, Any]] = {"shift_tokens": 1}


SUBJECTS = (Plain, Rotary, Alibi, Relative, Grouped, QkNorm, ShiftTokens)
