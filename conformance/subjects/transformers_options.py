"""Documented options of `transformers` decoders: other attention, other caches, other experts, other positions."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from transformers import StaticCache

from conformance.subjects._transformers import FLOAT32, GROUPED, SIZE, CachedDecoder
from sightline.testing.foreign import Offers

REQUIREMENTS = ("transformers==5.24.0",)


class Llama(CachedDecoder):
    config = "LlamaConfig"
    options: ClassVar[dict[str, Any]] = GROUPED
    name = "LlamaModel"


class LlamaEager(Llama):
    name = "LlamaModel, eager attention"
    attention = "eager"


class LlamaEagerFloat32(LlamaEager):
    name = "LlamaModel, eager attention, float32"
    dtype = torch.float32
    offers: ClassVar[Offers] = FLOAT32


class LlamaBFloat16(Llama):
    name = "LlamaModel, bfloat16"
    dtype = torch.bfloat16
    offers: ClassVar[Offers] = Offers("tokens", SIZE, first=3, state="in place", mask=("left",), tolerance=0.05)


class LlamaStatic(Llama):
    name = "LlamaModel, StaticCache"

    def new_cache(self, model: Any) -> Any:
        return StaticCache(config=model.config, max_cache_len=32)


class MistralStatic(LlamaStatic):
    name = "MistralModel, window of 4, StaticCache"
    config = "MistralConfig"
    options: ClassVar[dict[str, Any]] = {**GROUPED, "sliding_window": 4}


class MistralEager(Llama):
    name = "MistralModel, window of 4, eager attention, float32"
    config = "MistralConfig"
    options: ClassVar[dict[str, Any]] = {**GROUPED, "sliding_window": 4}
    attention = "eager"
    dtype = torch.float32
    offers: ClassVar[Offers] = FLOAT32


class Gemma3Static(LlamaStatic):
    name = "Gemma3TextModel, window of 4, StaticCache"
    config = "Gemma3TextConfig"
    options: ClassVar[dict[str, Any]] = {
        **GROUPED, "head_dim": 8, "sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"],
    }  # fmt: skip


class Llama4(CachedDecoder):
    name = "Llama4TextModel, chunks of 4"
    config = "Llama4TextConfig"
    options: ClassVar[dict[str, Any]] = {
        **GROUPED, "intermediate_size_mlp": 48, "head_dim": 8, "num_local_experts": 2, "attention_chunk_size": 4,
        "layer_types": ["chunked_attention", "full_attention"],
    }  # fmt: skip


class Llama4Static(Llama4):
    name = "Llama4TextModel, chunks of 4, StaticCache"

    def new_cache(self, model: Any) -> Any:
        return StaticCache(config=model.config, max_cache_len=32)


class BambaStatic(LlamaStatic):
    name = "BambaModel, StaticCache"
    config = "BambaConfig"
    options: ClassVar[dict[str, Any]] = {
        **GROUPED, "attn_layer_indices": [1], "mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8,
        "mamba_n_groups": 1, "mamba_chunk_size": 8,
    }  # fmt: skip


class Qwen35Static(LlamaStatic):
    name = "Qwen3_5TextModel, StaticCache"
    config = "Qwen3_5TextConfig"
    options: ClassVar[dict[str, Any]] = {
        **GROUPED, "head_dim": 8, "linear_key_head_dim": 8, "linear_value_head_dim": 8, "linear_num_key_heads": 2,
        "linear_num_value_heads": 4, "num_hidden_layers": 4,
    }  # fmt: skip


class Mixtral(CachedDecoder):
    name = "MixtralModel, batched experts, float32"
    config = "MixtralConfig"
    options: ClassVar[dict[str, Any]] = {**GROUPED, "num_local_experts": 4}
    dtype = torch.float32
    offers: ClassVar[Offers] = FLOAT32
    experts = "batched_mm"


class MixtralGrouped(Mixtral):
    name = "MixtralModel, grouped experts, float32"
    experts = "grouped_mm"


class LlamaDynamic(Llama):
    name = "LlamaModel, dynamic rotary scaling, longer than trained"
    options: ClassVar[dict[str, Any]] = {
        **GROUPED, "max_position_embeddings": 8,
        "rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0},
    }  # fmt: skip


class LlamaYarn(Llama):
    name = "LlamaModel, YaRN, longer than trained"
    options: ClassVar[dict[str, Any]] = {
        **GROUPED, "max_position_embeddings": 16,
        "rope_parameters": {
            "rope_type": "yarn", "factor": 2.0, "rope_theta": 10000.0, "original_max_position_embeddings": 8,
        },
    }  # fmt: skip


class Phi3Long(Llama):
    name = "Phi3Model, LongRoPE, longer than trained"
    config = "Phi3Config"
    options: ClassVar[dict[str, Any]] = {
        **GROUPED, "max_position_embeddings": 16, "original_max_position_embeddings": 8,
        "rope_parameters": {
            "rope_type": "longrope", "rope_theta": 10000.0, "original_max_position_embeddings": 8,
            "short_factor": [1.0, 1.0, 1.0, 1.0], "long_factor": [2.0, 3.0, 4.0, 5.0],
        },
    }  # fmt: skip


class GPT2Upcast(CachedDecoder):
    name = "GPT2Model, reorder_and_upcast_attn"
    config = "GPT2Config"
    attention = "eager"
    options: ClassVar[dict[str, Any]] = {
        "n_embd": 32, "n_layer": 2, "n_head": 4, "hidden_size": 32, "reorder_and_upcast_attn": True,
        "scale_attn_by_inverse_layer_idx": True,
    }  # fmt: skip
    dtype = torch.float32
    offers: ClassVar[Offers] = FLOAT32


class FalconNew(CachedDecoder):
    name = "FalconModel, grouped queries"
    config = "FalconConfig"
    options: ClassVar[dict[str, Any]] = {
        "num_attention_heads": 4, "num_kv_heads": 2, "new_decoder_architecture": True,
    }  # fmt: skip


SUBJECTS = (
    LlamaEager,
    LlamaEagerFloat32,
    LlamaBFloat16,
    LlamaStatic,
    MistralStatic,
    MistralEager,
    Gemma3Static,
    Llama4,
    Llama4Static,
    BambaStatic,
    Qwen35Static,
    Mixtral,
    MixtralGrouped,
    LlamaDynamic,
    LlamaYarn,
    Phi3Long,
    GPT2Upcast,
    FalconNew,
)
