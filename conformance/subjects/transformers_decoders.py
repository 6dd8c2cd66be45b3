"""Decoders of `transformers` with a cache: attention, recurrences and hybrids, tiny and random.

Called as the library's documentation of caches shows it: token ids, the attention mask of all positions so far, and the
cache of the call before. Positions are given, as `generate` gives them: counted from the first real token of each row.
Weights are drawn with a standard deviation of 0.2, since the library's 0.02 would hide differences behind the residual
stream. Norms and rotary angles are computed in float32 whatever the dtype, hence the tolerance.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import transformers
from torch import Tensor, nn

from sightline.testing.foreign import Adapter, NotOffered, Offers

REQUIREMENTS = ("transformers==5.24.0",)
SIZE = 40
SMALL: dict[str, Any] = {"vocab_size": SIZE, "hidden_size": 32, "num_hidden_layers": 2, "pad_token_id": 0}
HEADS: dict[str, Any] = {"num_attention_heads": 4, "intermediate_size": 48}
GROUPED: dict[str, Any] = {**HEADS, "num_key_value_heads": 2}


class CachedDecoder(Adapter):
    """A model of `transformers` from its configuration class and options.

    cache: what its argument and its result are called; positions: whether it takes `position_ids`
    """

    package = "transformers"
    offers: ClassVar[Offers] = Offers("tokens", SIZE, first=3, state="in place", mask=("left",), tolerance=2e-5)
    config: ClassVar[str]
    options: ClassVar[dict[str, Any]] = {}
    cache: ClassVar[str] = "past_key_values"
    positions: ClassVar[bool] = True

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        config = getattr(transformers, self.config)(**{**SMALL, **self.options})
        model = transformers.AutoModel.from_config(config).double().eval()
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if weight.ndim > 1 and "norm" not in name:
                    weight.normal_(0, 0.2)
        return model

    def initial_state(self, model: Any, batch: int) -> Any:
        return None, torch.ones(batch, 0, dtype=torch.long)

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        cache, seen = state
        seen = torch.cat([seen, torch.ones_like(x) if mask is None else mask.long()], 1)
        how: dict[str, Any] = {"use_cache": True, self.cache: cache}
        if not seen.all():  # without padding the mask may be left out
            how["attention_mask"] = seen
        if self.positions:
            how["position_ids"] = (seen.cumsum(1) - 1).clamp(min=0)[:, seen.shape[1] - x.shape[1] :]
        result = model(input_ids=x, **how)
        return result.last_hidden_state, (getattr(result, self.cache, cache), seen)

    def select(self, model: Any, state: Any, rows: Tensor) -> Any:
        cache, seen = state
        if not hasattr(cache, "reorder_cache"):
            raise NotOffered("selection of rows of its cache")
        cache.reorder_cache(rows)
        return cache, seen[rows]


class Llama(CachedDecoder):
    name = "LlamaModel"
    config = "LlamaConfig"
    options: ClassVar[dict[str, Any]] = GROUPED


class Mistral(CachedDecoder):
    name = "MistralModel, window of 4"
    config = "MistralConfig"
    options: ClassVar[dict[str, Any]] = {**GROUPED, "sliding_window": 4}


class GPT2(CachedDecoder):
    name = "GPT2Model"
    config = "GPT2Config"
    options: ClassVar[dict[str, Any]] = {"n_embd": 32, "n_layer": 2, "n_head": 4, "hidden_size": 32}


class GPTNeoX(CachedDecoder):
    name = "GPTNeoXModel"
    config = "GPTNeoXConfig"
    options: ClassVar[dict[str, Any]] = HEADS


class Gemma2(CachedDecoder):
    name = "Gemma2Model, window of 4"
    config = "Gemma2Config"
    options: ClassVar[dict[str, Any]] = {**GROUPED, "head_dim": 8, "sliding_window": 4}


class Gemma3(CachedDecoder):
    name = "Gemma3TextModel, window of 4"
    config = "Gemma3TextConfig"
    options: ClassVar[dict[str, Any]] = {**GROUPED, "head_dim": 8, "sliding_window": 4}


class Qwen3(CachedDecoder):
    name = "Qwen3Model"
    config = "Qwen3Config"
    options: ClassVar[dict[str, Any]] = {**GROUPED, "head_dim": 8}


class Bloom(CachedDecoder):
    name = "BloomModel"
    config = "BloomConfig"
    positions = False
    options: ClassVar[dict[str, Any]] = {"n_layer": 2, "n_head": 4}


class Opt(CachedDecoder):
    name = "OPTModel"
    config = "OPTConfig"
    options: ClassVar[dict[str, Any]] = {"num_attention_heads": 4, "ffn_dim": 48, "word_embed_proj_dim": 32}


class Mamba(CachedDecoder):
    name = "MambaModel"
    config = "MambaConfig"
    cache = "cache_params"
    positions = False
    options: ClassVar[dict[str, Any]] = {"state_size": 8}


class FalconMamba(CachedDecoder):
    name = "FalconMambaModel"
    config = "FalconMambaConfig"
    cache = "cache_params"
    positions = False
    options: ClassVar[dict[str, Any]] = {"state_size": 8}


class Mamba2(CachedDecoder):
    name = "Mamba2Model"
    config = "Mamba2Config"
    cache = "cache_params"
    positions = False
    options: ClassVar[dict[str, Any]] = {
        "num_heads": 8, "head_dim": 8, "state_size": 8, "n_groups": 1, "chunk_size": 8,
    }  # fmt: skip


class Jamba(CachedDecoder):
    name = "JambaModel"
    config = "JambaConfig"
    options: ClassVar[dict[str, Any]] = {
        **GROUPED, "use_mamba_kernels": False, "num_experts": 1, "attn_layer_period": 2, "attn_layer_offset": 1,
        "mamba_d_state": 8,
    }  # fmt: skip


class Rwkv(CachedDecoder):
    name = "RwkvModel"
    config = "RwkvConfig"
    cache = "state"
    positions = False
    options: ClassVar[dict[str, Any]] = {"attention_hidden_size": 32}
    offers: ClassVar[Offers] = Offers("tokens", SIZE, first=3, state="in place", tolerance=2e-5)


class RecurrentGemma(CachedDecoder):
    name = "RecurrentGemmaModel"
    config = "RecurrentGemmaConfig"
    cache = "cache"
    options: ClassVar[dict[str, Any]] = {
        **HEADS, "num_hidden_layers": 3, "lru_width": 32, "attention_window_size": 64, "num_key_value_heads": 1,
    }  # fmt: skip

    def initial_state(self, model: Any, batch: int) -> Any:
        return transformers.DynamicCache(config=model.config), super().initial_state(model, batch)[1]


class Qwen3Next(CachedDecoder):
    name = "Qwen3NextModel"
    config = "Qwen3NextConfig"
    options: ClassVar[dict[str, Any]] = {
        **GROUPED, "head_dim": 8, "linear_key_head_dim": 8, "linear_value_head_dim": 8, "linear_num_key_heads": 2,
        "linear_num_value_heads": 4, "num_hidden_layers": 4, "num_experts": 0, "mlp_only_layers": [0, 1, 2, 3],
    }  # fmt: skip


class Lfm2(CachedDecoder):
    name = "Lfm2Model"
    config = "Lfm2Config"
    options: ClassVar[dict[str, Any]] = {**GROUPED, "layer_types": ["conv", "full_attention"]}


class Bamba(CachedDecoder):
    name = "BambaModel"
    config = "BambaConfig"
    options: ClassVar[dict[str, Any]] = {
        **GROUPED, "attn_layer_indices": [1], "mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8,
        "mamba_n_groups": 1, "mamba_chunk_size": 8,
    }  # fmt: skip


class XLSTM(CachedDecoder):
    name = "xLSTMModel"
    config = "xLSTMConfig"
    cache = "cache_params"
    positions = False
    options: ClassVar[dict[str, Any]] = {"hidden_size": 64, "num_heads": 4, "qk_dim_factor": 1.0, "chunk_size": 8}


SUBJECTS = (
    Llama,
    Mistral,
    GPT2,
    GPTNeoX,
    Gemma2,
    Gemma3,
    Qwen3,
    Bloom,
    Opt,
    Mamba,
    FalconMamba,
    Mamba2,
    Jamba,
    Rwkv,
    RecurrentGemma,
    Qwen3Next,
    Lfm2,
    Bamba,
    XLSTM,
)
