"""Decoders of `x-transformers` with its cache, called as its `AutoregressiveWrapper` calls them.

Every call brings all tokens so far and the cache of the call before; the outputs of the new ones come back.
`seq_start_pos` is the number of padding tokens on the left of each row. In float32, but for one subject: the softmax is
computed in it whatever the dtype of the model.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from x_transformers import ContinuousTransformerWrapper, Decoder, TransformerWrapper

from sightline.testing.foreign import Adapter, Offers

REQUIREMENTS = ("x-transformers==2.31.10",)
SIZE = 40


class CachedWrapper(Adapter):
    """`TransformerWrapper` around a `Decoder` of two layers."""

    package = "x-transformers"
    offers: ClassVar[Offers] = Offers("tokens", SIZE, state="in place", several=False, mask=("left",), tolerance=2e-5)
    dtype: ClassVar[torch.dtype] = torch.float32
    options: ClassVar[dict[str, Any]] = {}
    around: ClassVar[dict[str, Any]] = {}

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        layers = Decoder(dim=32, depth=2, heads=2, attn_dim_head=32, **self.options)
        return (
            TransformerWrapper(num_tokens=SIZE, max_seq_len=64, attn_layers=layers, **self.around).to(self.dtype).eval()
        )

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
    name = "Decoder"


class Double(CachedWrapper):
    name = "Decoder, float64"
    dtype: ClassVar[torch.dtype] = torch.float64


class Flash(CachedWrapper):
    name = "Decoder, attn_flash"
    options: ClassVar[dict[str, Any]] = {"attn_flash": True}


class Rotary(CachedWrapper):
    name = "Decoder, rotary_pos_emb"
    options: ClassVar[dict[str, Any]] = {"rotary_pos_emb": True}


class Xpos(CachedWrapper):
    name = "Decoder, rotary_xpos"
    options: ClassVar[dict[str, Any]] = {"rotary_xpos": True}


class Alibi(CachedWrapper):
    name = "Decoder, alibi_pos_bias"
    options: ClassVar[dict[str, Any]] = {"alibi_pos_bias": True}


class DataAlibi(CachedWrapper):
    name = "Decoder, attn_data_dependent_alibi"
    options: ClassVar[dict[str, Any]] = {"attn_data_dependent_alibi": True}


class Relative(CachedWrapper):
    name = "Decoder, rel_pos_bias"
    options: ClassVar[dict[str, Any]] = {"rel_pos_bias": True}


class Dynamic(CachedWrapper):
    name = "Decoder, dynamic_pos_bias"
    options: ClassVar[dict[str, Any]] = {"dynamic_pos_bias": True}


class Grouped(CachedWrapper):
    name = "Decoder, rotary, attn_kv_heads=1"
    options: ClassVar[dict[str, Any]] = {"rotary_pos_emb": True, "attn_kv_heads": 1}


class OneHead(CachedWrapper):
    name = "Decoder, attn_one_kv_head"
    options: ClassVar[dict[str, Any]] = {"attn_one_kv_head": True}


class QkNorm(CachedWrapper):
    name = "Decoder, rotary, attn_qk_norm"
    options: ClassVar[dict[str, Any]] = {"rotary_pos_emb": True, "attn_qk_norm": True}


class ShiftTokens(CachedWrapper):
    name = "Decoder, shift_tokens=1"
    options: ClassVar[dict[str, Any]] = {"shift_tokens": 1}


class MemoryTokens(CachedWrapper):
    """Its `can_cache_kv` is False: its `generate` computes without a cache."""

    name = "Decoder, num_memory_tokens=2"
    offers: ClassVar[Offers] = Offers("tokens", SIZE, state="none", mask=("left",), tolerance=2e-5)
    around: ClassVar[dict[str, Any]] = {"num_memory_tokens": 2}


class MemoryKeys(CachedWrapper):
    name = "Decoder, attn_num_mem_kv=2"
    options: ClassVar[dict[str, Any]] = {"attn_num_mem_kv": 2}


class ZeroKeys(CachedWrapper):
    name = "Decoder, attn_add_zero_kv"
    options: ClassVar[dict[str, Any]] = {"attn_add_zero_kv": True}


class Topk(CachedWrapper):
    name = "Decoder, attn_sparse_topk=3"
    options: ClassVar[dict[str, Any]] = {"attn_sparse_topk": 3}


class TalkingHeads(CachedWrapper):
    name = "Decoder, attn_pre_talking_heads"
    options: ClassVar[dict[str, Any]] = {"attn_pre_talking_heads": True}


class Selective(CachedWrapper):
    """Its `can_cache_kv` is False: its `generate` computes without a cache."""

    name = "Decoder, attn_selective"
    offers: ClassVar[Offers] = Offers("tokens", SIZE, state="none", mask=("left",), tolerance=2e-5)
    options: ClassVar[dict[str, Any]] = {"attn_selective": True}


class ValueResidual(CachedWrapper):
    name = "Decoder, add_value_residual"
    options: ClassVar[dict[str, Any]] = {"add_value_residual": True}


class Streams(CachedWrapper):
    name = "Decoder, num_residual_streams=2"
    options: ClassVar[dict[str, Any]] = {"num_residual_streams": 2}


class Macaron(CachedWrapper):
    name = "Decoder, macaron"
    options: ClassVar[dict[str, Any]] = {"macaron": True}


class Sandwich(CachedWrapper):
    name = "Decoder, sandwich_norm"
    options: ClassVar[dict[str, Any]] = {"sandwich_norm": True}


class GateResidual(CachedWrapper):
    name = "Decoder, gate_residual"
    options: ClassVar[dict[str, Any]] = {"gate_residual": True}


class NoPositions(CachedWrapper):
    name = "Decoder, no positions"
    around: ClassVar[dict[str, Any]] = {"use_abs_pos_emb": False}


class Sinusoidal(CachedWrapper):
    name = "Decoder, scaled_sinu_pos_emb"
    around: ClassVar[dict[str, Any]] = {"scaled_sinu_pos_emb": True}


class Continuous(Adapter):
    """`ContinuousTransformerWrapper`: vectors in and out, with the cache of its own generation."""

    name = "ContinuousTransformerWrapper"
    package = "x-transformers"
    offers: ClassVar[Offers] = Offers(size=8, state="in place", several=False, tolerance=2e-5)

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        layers = Decoder(dim=32, depth=2, heads=2, attn_dim_head=32)
        return ContinuousTransformerWrapper(dim_in=8, dim_out=8, max_seq_len=64, attn_layers=layers).eval()

    def initial_state(self, model: Any, batch: int) -> Any:
        return None, torch.zeros(batch, 0, 8)

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        cache, before = state
        vectors = torch.cat([before, x.float()], 1)
        y, cache = model(vectors, return_intermediates=True, cache=cache)
        return y[:, y.shape[1] - x.shape[1] :], (cache, vectors)


SUBJECTS = (
    Plain,
    Double,
    Flash,
    Rotary,
    Xpos,
    Alibi,
    DataAlibi,
    Relative,
    Dynamic,
    Grouped,
    OneHead,
    QkNorm,
    ShiftTokens,
    MemoryTokens,
    MemoryKeys,
    ZeroKeys,
    Topk,
    TalkingHeads,
    Selective,
    ValueResidual,
    Streams,
    Macaron,
    Sandwich,
    GateResidual,
    NoPositions,
    Sinusoidal,
    Continuous,
)
