"""Documents packed in a row for `transformers` decoders: `position_ids` begin again at 0, and no mask is given.

"Flattened": all rows in one, with the borders that `DataCollatorWithFlattening` returns on request.
"""

from __future__ import annotations

from typing import Any, ClassVar

from conformance.subjects._transformers import GROUPED, HEADS, FlattenedDecoder, PackedDecoder

REQUIREMENTS = ("transformers==5.24.0",)
UNCACHED: dict[str, Any] = {"use_cache": False}


class Llama(PackedDecoder):
    name = "LlamaModel, packed rows, use_cache=False"
    config = "LlamaConfig"
    call: ClassVar[dict[str, Any]] = UNCACHED
    options: ClassVar[dict[str, Any]] = GROUPED


class LlamaDefault(Llama):
    name = "LlamaModel, packed rows, use_cache as by default"
    call: ClassVar[dict[str, Any]] = {}


class LlamaEager(Llama):
    name = "LlamaModel, packed rows, use_cache=False, eager attention"
    attention = "eager"


class Mistral(PackedDecoder):
    name = "MistralModel, packed rows, use_cache=False, window of 4"
    config = "MistralConfig"
    call: ClassVar[dict[str, Any]] = UNCACHED
    options: ClassVar[dict[str, Any]] = {**GROUPED, "sliding_window": 4}


class Gemma3(PackedDecoder):
    name = "Gemma3TextModel, packed rows, use_cache=False, window of 4"
    config = "Gemma3TextConfig"
    call: ClassVar[dict[str, Any]] = UNCACHED
    options: ClassVar[dict[str, Any]] = {**GROUPED, "head_dim": 8, "sliding_window": 4}


class Llama4(PackedDecoder):
    name = "Llama4TextModel, packed rows, use_cache=False, chunks of 4"
    config = "Llama4TextConfig"
    call: ClassVar[dict[str, Any]] = UNCACHED
    options: ClassVar[dict[str, Any]] = {
        **GROUPED, "intermediate_size_mlp": 48, "head_dim": 8, "num_local_experts": 2, "attention_chunk_size": 4,
        "layer_types": ["chunked_attention", "full_attention"],
    }  # fmt: skip


class GPT2(PackedDecoder):
    name = "GPT2Model, packed rows, use_cache=False"
    config = "GPT2Config"
    call: ClassVar[dict[str, Any]] = UNCACHED
    options: ClassVar[dict[str, Any]] = {"n_embd": 32, "n_layer": 2, "n_head": 4, "hidden_size": 32}


class GPTNeoX(PackedDecoder):
    name = "GPTNeoXModel, packed rows, use_cache=False"
    config = "GPTNeoXConfig"
    call: ClassVar[dict[str, Any]] = UNCACHED
    options: ClassVar[dict[str, Any]] = HEADS


class GPTNeo(PackedDecoder):
    name = "GPTNeoModel, packed rows, use_cache=False"
    config = "GPTNeoConfig"
    call: ClassVar[dict[str, Any]] = UNCACHED
    options: ClassVar[dict[str, Any]] = {
        "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]], "window_size": 4,
    }  # fmt: skip


class GPTJ(PackedDecoder):
    name = "GPTJModel, packed rows, use_cache=False"
    config = "GPTJConfig"
    call: ClassVar[dict[str, Any]] = UNCACHED
    options: ClassVar[dict[str, Any]] = {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4}


class Opt(PackedDecoder):
    name = "OPTModel, packed rows, use_cache=False"
    config = "OPTConfig"
    call: ClassVar[dict[str, Any]] = UNCACHED
    options: ClassVar[dict[str, Any]] = {"num_attention_heads": 4, "ffn_dim": 48, "word_embed_proj_dim": 32}


class BioGpt(PackedDecoder):
    name = "BioGptModel, packed rows, use_cache=False"
    config = "BioGptConfig"
    call: ClassVar[dict[str, Any]] = UNCACHED
    options: ClassVar[dict[str, Any]] = HEADS


class GptOss(PackedDecoder):
    name = "GptOssModel, packed rows, use_cache=False, window of 4"
    config = "GptOssConfig"
    call: ClassVar[dict[str, Any]] = UNCACHED
    options: ClassVar[dict[str, Any]] = {
        **GROUPED, "head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 4,
    }  # fmt: skip


class FalconAlibi(PackedDecoder):
    name = "FalconModel, alibi, packed rows, use_cache=False"
    config = "FalconConfig"
    call: ClassVar[dict[str, Any]] = UNCACHED
    options: ClassVar[dict[str, Any]] = {**HEADS, "alibi": True}


class DeepseekV4(PackedDecoder):
    name = "DeepseekV4Model, packed rows, use_cache=False, compressed by 4"
    config = "DeepseekV4Config"
    call: ClassVar[dict[str, Any]] = UNCACHED
    options: ClassVar[dict[str, Any]] = {
        "num_attention_heads": 4, "head_dim": 16, "q_lora_rank": 8, "moe_intermediate_size": 24,
        "n_routed_experts": 4, "num_experts_per_tok": 2, "sliding_window": 4, "o_groups": 2, "o_lora_rank": 8,
        "index_n_heads": 16, "index_head_dim": 8, "index_topk": 2, "partial_rotary_factor": 0.5,
        "layer_types": ["heavily_compressed_attention", "compressed_sparse_attention"],
        "compress_rates": {"heavily_compressed_attention": 4, "compressed_sparse_attention": 4},
    }  # fmt: skip


class Lfm2(PackedDecoder):
    name = "Lfm2Model, packed rows, use_cache=False"
    config = "Lfm2Config"
    call: ClassVar[dict[str, Any]] = UNCACHED
    options: ClassVar[dict[str, Any]] = {**GROUPED, "layer_types": ["conv", "full_attention"]}


class GraniteHybrid(PackedDecoder):
    name = "GraniteMoeHybridModel, packed rows, use_cache=False"
    config = "GraniteMoeHybridConfig"
    call: ClassVar[dict[str, Any]] = UNCACHED
    options: ClassVar[dict[str, Any]] = {
        **GROUPED, "layers_block_type": ["mamba", "attention"], "mamba_n_heads": 8, "mamba_d_head": 8,
        "mamba_d_state": 8, "mamba_n_groups": 1, "mamba_chunk_size": 8, "num_local_experts": 4,
    }  # fmt: skip


class Qwen35(PackedDecoder):
    name = "Qwen3_5TextModel, packed rows, use_cache=False"
    config = "Qwen3_5TextConfig"
    call: ClassVar[dict[str, Any]] = UNCACHED
    options: ClassVar[dict[str, Any]] = {
        **GROUPED, "head_dim": 8, "linear_key_head_dim": 8, "linear_value_head_dim": 8, "linear_num_key_heads": 2,
        "linear_num_value_heads": 4, "num_hidden_layers": 4,
    }  # fmt: skip


class RecurrentGemma(PackedDecoder):
    name = "RecurrentGemmaModel, packed rows, use_cache=False"
    config = "RecurrentGemmaConfig"
    call: ClassVar[dict[str, Any]] = UNCACHED
    options: ClassVar[dict[str, Any]] = {
        **HEADS, "num_hidden_layers": 3, "lru_width": 32, "attention_window_size": 64, "num_key_value_heads": 1,
    }  # fmt: skip


class LlamaFlattened(FlattenedDecoder, Llama):
    name = "LlamaModel, flattened rows, use_cache=False"


class GptOssFlattened(FlattenedDecoder, GptOss):
    name = "GptOssModel, flattened rows, use_cache=False, window of 4"


class Lfm2Flattened(FlattenedDecoder, Lfm2):
    name = "Lfm2Model, flattened rows, use_cache=False"


class GraniteHybridFlattened(FlattenedDecoder, GraniteHybrid):
    name = "GraniteMoeHybridModel, flattened rows, use_cache=False"


class Qwen35Flattened(FlattenedDecoder, Qwen35):
    name = "Qwen3_5TextModel, flattened rows, use_cache=False"


SUBJECTS = (
    Llama,
    LlamaDefault,
    LlamaEager,
    Mistral,
    Gemma3,
    Llama4,
    GPT2,
    GPTNeoX,
    GPTNeo,
    GPTJ,
    Opt,
    BioGpt,
    GptOss,
    FalconAlibi,
    DeepseekV4,
    Lfm2,
    GraniteHybrid,
    Qwen35,
    RecurrentGemma,
    LlamaFlattened,
    GptOssFlattened,
    Lfm2Flattened,
    GraniteHybridFlattened,
    Qwen35Flattened,
)
