"""Decoders of `transformers` with the states of a recurrence or a convolution in their cache, hybrids among them."""

from __future__ import annotations

from typing import Any, ClassVar

from transformers import DynamicCache

from conformance.subjects._transformers import GROUPED, HEADS, UNMASKED, CachedDecoder
from sightline.testing.foreign import Offers

REQUIREMENTS = ("transformers==5.24.0",)
MAMBA: dict[str, Any] = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_n_groups": 1}
DELTA: dict[str, Any] = {
    "head_dim": 8, "linear_key_head_dim": 8, "linear_value_head_dim": 8, "linear_num_key_heads": 2,
    "linear_num_value_heads": 4, "num_hidden_layers": 4,
}  # fmt: skip
LATENT: dict[str, Any] = {
    "num_key_value_heads": 4, "q_lora_rank": None, "kv_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 4,
    "v_head_dim": 8,
}  # fmt: skip


class Mamba(CachedDecoder):
    name = "MambaModel"
    config = "MambaConfig"
    positions = False
    masked = "first call"
    options: ClassVar[dict[str, Any]] = {"state_size": 8}


class MambaMasked(Mamba):
    name = "MambaModel, the mask in every call"
    masked = "every call"


class FalconMamba(CachedDecoder):
    name = "FalconMambaModel"
    config = "FalconMambaConfig"
    positions = False
    masked = "first call"
    options: ClassVar[dict[str, Any]] = {"state_size": 8}


class FalconMambaMasked(FalconMamba):
    name = "FalconMambaModel, the mask in every call"
    masked = "every call"


class Mamba2(CachedDecoder):
    name = "Mamba2Model"
    config = "Mamba2Config"
    positions = False
    masked = "first call"
    options: ClassVar[dict[str, Any]] = {
        "num_heads": 8, "head_dim": 8, "state_size": 8, "n_groups": 1, "chunk_size": 8,
    }  # fmt: skip


class Mamba2Masked(Mamba2):
    name = "Mamba2Model, the mask in every call"
    masked = "every call"


class Rwkv(CachedDecoder):
    name = "RwkvModel"
    config = "RwkvConfig"
    cache = "state"
    positions = False
    offers: ClassVar[Offers] = UNMASKED
    options: ClassVar[dict[str, Any]] = {"attention_hidden_size": 32}


class XLSTM(CachedDecoder):
    name = "xLSTMModel"
    config = "xLSTMConfig"
    positions = False
    offers: ClassVar[Offers] = UNMASKED
    options: ClassVar[dict[str, Any]] = {"hidden_size": 64, "num_heads": 4, "qk_dim_factor": 1.0, "chunk_size": 8}


class RecurrentGemma(CachedDecoder):
    name = "RecurrentGemmaModel"
    config = "RecurrentGemmaConfig"
    options: ClassVar[dict[str, Any]] = {
        **HEADS, "num_hidden_layers": 3, "lru_width": 32, "attention_window_size": 64, "num_key_value_heads": 1,
    }  # fmt: skip

    def new_cache(self, model: Any) -> Any:  # its output does not have the cache
        return DynamicCache(config=model.config)


class Jamba(CachedDecoder):
    name = "JambaModel"
    config = "JambaConfig"
    options: ClassVar[dict[str, Any]] = {
        **GROUPED, "use_mamba_kernels": False, "num_experts": 2, "attn_layer_period": 2, "attn_layer_offset": 1,
        "mamba_d_state": 8,
    }  # fmt: skip


class Bamba(CachedDecoder):
    name = "BambaModel"
    config = "BambaConfig"
    options: ClassVar[dict[str, Any]] = {**GROUPED, **MAMBA, "attn_layer_indices": [1], "mamba_chunk_size": 8}


class BambaUnplaced(Bamba):
    name = "BambaModel, without position_ids"
    positions = False


class GraniteHybrid(CachedDecoder):
    name = "GraniteMoeHybridModel"
    config = "GraniteMoeHybridConfig"
    options: ClassVar[dict[str, Any]] = {
        **GROUPED, **MAMBA, "layers_block_type": ["mamba", "attention"], "mamba_chunk_size": 8, "num_local_experts": 4,
    }  # fmt: skip


class FalconH1(CachedDecoder):
    name = "FalconH1Model"
    config = "FalconH1Config"
    options: ClassVar[dict[str, Any]] = {**GROUPED, **MAMBA, "mamba_d_ssm": 64, "mamba_chunk_size": 8, "head_dim": 8}


class Zamba(CachedDecoder):
    name = "ZambaModel"
    config = "ZambaConfig"
    options: ClassVar[dict[str, Any]] = {
        **HEADS, "num_key_value_heads": 4, "layers_block_type": ["mamba", "hybrid", "mamba", "hybrid"],
        "num_hidden_layers": 4, "mamba_d_state": 8, "n_mamba_heads": 2, "use_mamba_kernels": False,
    }  # fmt: skip


class Zamba2(CachedDecoder):
    name = "Zamba2Model"
    config = "Zamba2Config"
    options: ClassVar[dict[str, Any]] = {
        **HEADS, "layers_block_type": ["mamba", "hybrid", "mamba"], "num_hidden_layers": 3, "n_mamba_heads": 8,
        "mamba_d_state": 8, "mamba_ngroups": 1, "chunk_size": 8,
    }  # fmt: skip


class NemotronH(CachedDecoder):
    name = "NemotronHModel"
    config = "NemotronHConfig"
    options: ClassVar[dict[str, Any]] = {
        **GROUPED, "layers_block_type": ["mamba", "attention", "mamba"], "num_hidden_layers": 3, "mamba_num_heads": 8,
        "mamba_head_dim": 8, "ssm_state_size": 8, "n_groups": 1, "chunk_size": 8, "head_dim": 8,
    }  # fmt: skip


class MiniMax(CachedDecoder):
    name = "MiniMaxModel"
    config = "MiniMaxConfig"
    options: ClassVar[dict[str, Any]] = {
        **GROUPED, "layer_types": ["linear_attention", "full_attention"], "num_local_experts": 2, "head_dim": 8,
        "block_size": 4,
    }  # fmt: skip


class MiniMaxAttentionFirst(MiniMax):
    name = "MiniMaxModel, attention in its first layer"
    options: ClassVar[dict[str, Any]] = {**MiniMax.options, "layer_types": ["full_attention", "linear_attention"]}


class MiniMaxUnplaced(MiniMax):
    name = "MiniMaxModel, without position_ids"
    positions = False


class Qwen3Next(CachedDecoder):
    name = "Qwen3NextModel"
    config = "Qwen3NextConfig"
    options: ClassVar[dict[str, Any]] = {**GROUPED, **DELTA, "num_experts": 0, "mlp_only_layers": [0, 1, 2, 3]}


class Qwen35(CachedDecoder):
    name = "Qwen3_5TextModel"
    config = "Qwen3_5TextConfig"
    options: ClassVar[dict[str, Any]] = {**GROUPED, **DELTA}


class OlmoHybrid(CachedDecoder):
    name = "OlmoHybridModel"
    config = "OlmoHybridConfig"
    options: ClassVar[dict[str, Any]] = {**GROUPED, **DELTA, "max_position_embeddings": 64}


class KimiLinear(CachedDecoder):
    name = "KimiLinearModel"
    config = "KimiLinearConfig"
    options: ClassVar[dict[str, Any]] = {
        **HEADS, **LATENT, "layer_types": ["linear_attention", "full_attention"], "num_local_experts": 4,
        "num_experts_per_tok": 2, "moe_intermediate_size": 24, "linear_head_dim": 8,
        "linear_num_heads": 4,
    }  # fmt: skip


class BailingHybrid(CachedDecoder):
    name = "BailingHybridModel"
    config = "BailingHybridConfig"
    options: ClassVar[dict[str, Any]] = {
        **HEADS, **LATENT, "layer_types": ["linear_attention", "full_attention"], "num_experts": 4,
        "num_experts_per_tok": 2, "moe_intermediate_size": 24, "n_group": 1, "topk_group": 1, "head_dim": 8,
    }  # fmt: skip


class Lfm2(CachedDecoder):
    name = "Lfm2Model"
    config = "Lfm2Config"
    options: ClassVar[dict[str, Any]] = {**GROUPED, "layer_types": ["conv", "full_attention"]}


SUBJECTS = (
    Mamba,
    MambaMasked,
    FalconMamba,
    FalconMambaMasked,
    Mamba2,
    Mamba2Masked,
    Rwkv,
    XLSTM,
    RecurrentGemma,
    Jamba,
    Bamba,
    BambaUnplaced,
    GraniteHybrid,
    FalconH1,
    Zamba,
    Zamba2,
    NemotronH,
    MiniMax,
    MiniMaxAttentionFirst,
    MiniMaxUnplaced,
    Qwen3Next,
    Qwen35,
    OlmoHybrid,
    KimiLinear,
    BailingHybrid,
    Lfm2,
)
