"""Decoders of `transformers` with attention and a cache of keys and values.

Models that choose keys by an indexer have 16 heads in it: with few, many scores are exactly 0 after their ReLU, and
which of equal scores are chosen may differ from call to call.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache

from conformance.subjects._transformers import FLOAT32, GROUPED, HEADS, UNMASKED, CachedDecoder
from sightline.testing.foreign import Offers

REQUIREMENTS = ("transformers==5.24.0",)


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


class GPTNeo(CachedDecoder):
    name = "GPTNeoModel, every second layer with a window of 4"
    config = "GPTNeoConfig"
    options: ClassVar[dict[str, Any]] = {
        "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]], "window_size": 4,
        "max_position_embeddings": 64,
    }  # fmt: skip


class GPTJ(CachedDecoder):
    name = "GPTJModel"
    config = "GPTJConfig"
    options: ClassVar[dict[str, Any]] = {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4}


class CodeGen(CachedDecoder):
    name = "CodeGenModel"
    config = "CodeGenConfig"
    options: ClassVar[dict[str, Any]] = {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4}


class GPTNeoX(CachedDecoder):
    name = "GPTNeoXModel"
    config = "GPTNeoXConfig"
    options: ClassVar[dict[str, Any]] = HEADS


class Gemma2(CachedDecoder):
    name = "Gemma2Model, window of 4"
    config = "Gemma2Config"
    options: ClassVar[dict[str, Any]] = {**GROUPED, "head_dim": 8, "sliding_window": 4}


class Gemma2Float32(Gemma2):
    name = "Gemma2Model, window of 4, float32"
    dtype = torch.float32
    offers: ClassVar[Offers] = FLOAT32


class Gemma3(CachedDecoder):
    name = "Gemma3TextModel, window of 4"
    config = "Gemma3TextConfig"
    options: ClassVar[dict[str, Any]] = {**GROUPED, "head_dim": 8, "sliding_window": 4}


class Qwen2(CachedDecoder):
    name = "Qwen2Model, second layer with a window of 4"
    config = "Qwen2Config"
    options: ClassVar[dict[str, Any]] = {
        **GROUPED, "use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1,
    }  # fmt: skip


class Qwen3(CachedDecoder):
    name = "Qwen3Model"
    config = "Qwen3Config"
    options: ClassVar[dict[str, Any]] = {**GROUPED, "head_dim": 8}


class Phi(CachedDecoder):
    name = "PhiModel"
    config = "PhiConfig"
    options: ClassVar[dict[str, Any]] = HEADS


class Mixtral(CachedDecoder):
    name = "MixtralModel, window of 4"
    config = "MixtralConfig"
    options: ClassVar[dict[str, Any]] = {**GROUPED, "num_local_experts": 4, "sliding_window": 4}


class GptOss(CachedDecoder):
    name = "GptOssModel, window of 4"
    config = "GptOssConfig"
    options: ClassVar[dict[str, Any]] = {
        **GROUPED, "head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 4,
    }  # fmt: skip


class DeepseekV3(CachedDecoder):
    name = "DeepseekV3Model"
    config = "DeepseekV3Config"
    options: ClassVar[dict[str, Any]] = {
        **HEADS, "num_key_value_heads": 4, "q_lora_rank": 8, "kv_lora_rank": 8, "qk_rope_head_dim": 4,
        "qk_nope_head_dim": 4, "v_head_dim": 8, "n_routed_experts": 4, "n_group": 1, "topk_group": 1,
        "num_experts_per_tok": 2, "moe_intermediate_size": 24, "first_k_dense_replace": 1,
    }  # fmt: skip


class DeepseekV32(CachedDecoder):
    name = "DeepseekV32Model, 3 keys for each query"
    config = "DeepseekV32Config"
    options: ClassVar[dict[str, Any]] = {
        **DeepseekV3.options, "index_topk": 3, "index_n_heads": 16, "index_head_dim": 8,
    }  # fmt: skip


class DeepseekV4(CachedDecoder):
    name = "DeepseekV4Model, compressed by 4"
    config = "DeepseekV4Config"
    options: ClassVar[dict[str, Any]] = {
        "num_attention_heads": 4, "head_dim": 16, "q_lora_rank": 8, "moe_intermediate_size": 24,
        "n_routed_experts": 4, "num_experts_per_tok": 2, "sliding_window": 4, "o_groups": 2, "o_lora_rank": 8,
        "index_n_heads": 16, "index_head_dim": 8, "index_topk": 2, "partial_rotary_factor": 0.5,
        "layer_types": ["heavily_compressed_attention", "compressed_sparse_attention"],
        "compress_rates": {"heavily_compressed_attention": 4, "compressed_sparse_attention": 4},
    }  # fmt: skip


class Bloom(CachedDecoder):
    name = "BloomModel"
    config = "BloomConfig"
    positions = False
    options: ClassVar[dict[str, Any]] = {"n_layer": 2, "n_head": 4}


class BloomFloat32(Bloom):
    name = "BloomModel, float32"
    dtype = torch.float32
    offers: ClassVar[Offers] = FLOAT32


class Mpt(CachedDecoder):
    name = "MptModel"
    config = "MptConfig"
    positions = False
    options: ClassVar[dict[str, Any]] = {"d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 64}


class MptFloat32(Mpt):
    name = "MptModel, float32"
    dtype = torch.float32
    offers: ClassVar[Offers] = FLOAT32


class Falcon(CachedDecoder):
    name = "FalconModel"
    config = "FalconConfig"
    options: ClassVar[dict[str, Any]] = HEADS


class FalconAlibi(CachedDecoder):
    name = "FalconModel, alibi"
    config = "FalconConfig"
    options: ClassVar[dict[str, Any]] = {**HEADS, "alibi": True}


class Opt(CachedDecoder):
    name = "OPTModel"
    config = "OPTConfig"
    options: ClassVar[dict[str, Any]] = {"num_attention_heads": 4, "ffn_dim": 48, "word_embed_proj_dim": 32}


class BioGpt(CachedDecoder):
    name = "BioGptModel"
    config = "BioGptConfig"
    options: ClassVar[dict[str, Any]] = HEADS


class Xglm(CachedDecoder):
    name = "XGLMModel, float32"
    config = "XGLMConfig"
    dtype = torch.float32  # in float64 every call raises: the least float64 is no float32
    offers: ClassVar[Offers] = FLOAT32
    options: ClassVar[dict[str, Any]] = {"d_model": 32, "num_layers": 2, "attention_heads": 4, "ffn_dim": 48}


class Bert(CachedDecoder):
    name = "BertModel, as a decoder"
    config = "BertConfig"
    options: ClassVar[dict[str, Any]] = {**HEADS, "is_decoder": True, "max_position_embeddings": 64}


class Roberta(CachedDecoder):
    name = "RobertaModel, as a decoder"
    config = "RobertaConfig"
    positions = False
    offers: ClassVar[Offers] = UNMASKED
    options: ClassVar[dict[str, Any]] = {**HEADS, "is_decoder": True, "max_position_embeddings": 64}


class RobertaEmbedded(Roberta):
    name = "RobertaModel, as a decoder, inputs_embeds"

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        cache, seen = state
        embedded = model.get_input_embeddings()(x)
        result = model(inputs_embeds=embedded, use_cache=True, cache=cache)
        return result.last_hidden_state, (result.cache, torch.cat([seen, torch.ones_like(x)], 1))


class RoFormer(CachedDecoder):
    name = "RoFormerModel, as a decoder"
    config = "RoFormerConfig"
    positions = False
    options: ClassVar[dict[str, Any]] = {
        **HEADS, "is_decoder": True, "max_position_embeddings": 64, "embedding_size": 32,
    }  # fmt: skip


class Xlm(CachedDecoder):
    """Each call brings all tokens so far, from which the model takes those that its cache does not have."""

    name = "XLMModel, causal"
    config = "XLMConfig"
    options: ClassVar[dict[str, Any]] = {
        "emb_dim": 32, "n_layers": 2, "n_heads": 4, "max_position_embeddings": 64, "causal": True,
    }  # fmt: skip

    def initial_state(self, model: Any, batch: int) -> Any:
        cache = EncoderDecoderCache(DynamicCache(config=model.config), DynamicCache(config=model.config))
        return cache, torch.ones(batch, 0, dtype=torch.long), torch.ones(batch, 0, dtype=torch.long)

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        cache, tokens, seen = state
        tokens = torch.cat([tokens, x], 1)
        seen = torch.cat([seen, torch.ones_like(x) if mask is None else mask.long()], 1)
        positions = (seen.cumsum(1) - 1).clamp(min=0)
        result = model(input_ids=tokens, attention_mask=seen, position_ids=positions, cache=cache)
        return result.last_hidden_state, (cache, tokens, seen)

    def select(self, model: Any, state: Any, rows: Tensor) -> Any:
        cache, tokens, seen = state
        cache.reorder_cache(rows)
        return cache, tokens[rows], seen[rows]


SUBJECTS = (
    Llama,
    Mistral,
    GPT2,
    GPTNeo,
    GPTJ,
    CodeGen,
    GPTNeoX,
    Gemma2,
    Gemma2Float32,
    Gemma3,
    Qwen2,
    Qwen3,
    Phi,
    Mixtral,
    GptOss,
    DeepseekV3,
    DeepseekV32,
    DeepseekV4,
    Bloom,
    BloomFloat32,
    Mpt,
    MptFloat32,
    Falcon,
    FalconAlibi,
    Opt,
    BioGpt,
    Xglm,
    Bert,
    Roberta,
    RobertaEmbedded,
    RoFormer,
    Xlm,
)
