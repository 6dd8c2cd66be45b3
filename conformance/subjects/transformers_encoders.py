"""Encoders of `transformers`: every position sees its whole row, and a mask hides padding on the right."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from conformance.subjects._transformers import FLOAT32_TOLERANCE, HEADS, SIZE, TOLERANCE, PaddedEncoder
from sightline.testing.foreign import Offers

REQUIREMENTS = ("transformers==5.24.0",)
PLACES: dict[str, Any] = {**HEADS, "max_position_embeddings": 64}
FOURS = Offers(
    "tokens", SIZE, first=3, causal=False, state="none", chunk=4, mask=("right",), gradients=False, tolerance=TOLERANCE
)
UNMASKED = Offers("tokens", SIZE, first=3, causal=False, state="none", gradients=False, tolerance=TOLERANCE)
FLOAT32 = Offers(
    "tokens", SIZE, first=3, causal=False, state="none", mask=("right",), gradients=False, tolerance=FLOAT32_TOLERANCE
)


class Bert(PaddedEncoder):
    name = "BertModel"
    config = "BertConfig"
    options: ClassVar[dict[str, Any]] = PLACES


class BertEager(Bert):
    name = "BertModel, eager attention"
    attention = "eager"


class Roberta(PaddedEncoder):
    name = "RobertaModel"
    config = "RobertaConfig"
    options: ClassVar[dict[str, Any]] = PLACES


class Deberta(PaddedEncoder):
    name = "DebertaV2Model, relative attention"
    config = "DebertaV2Config"
    options: ClassVar[dict[str, Any]] = {**PLACES, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]}


class ModernBert(PaddedEncoder):
    name = "ModernBertModel, window of 4"
    config = "ModernBertConfig"
    options: ClassVar[dict[str, Any]] = {**PLACES, "num_hidden_layers": 4, "local_attention": 4}


class Electra(PaddedEncoder):
    name = "ElectraModel"
    config = "ElectraConfig"
    options: ClassVar[dict[str, Any]] = {**PLACES, "embedding_size": 32}


class MPNet(PaddedEncoder):
    name = "MPNetModel"
    config = "MPNetConfig"
    options: ClassVar[dict[str, Any]] = PLACES


class Longformer(PaddedEncoder):
    name = "LongformerModel, window of 4"
    config = "LongformerConfig"
    options: ClassVar[dict[str, Any]] = {**PLACES, "attention_window": [4, 4]}


class BigBirdFull(PaddedEncoder):
    name = "BigBirdModel, full attention"
    config = "BigBirdConfig"
    options: ClassVar[dict[str, Any]] = {**PLACES, "attention_type": "original_full"}


class BigBird(PaddedEncoder):
    name = "BigBirdModel, blocks of 2"
    config = "BigBirdConfig"
    options: ClassVar[dict[str, Any]] = {
        **PLACES, "max_position_embeddings": 128, "attention_type": "block_sparse", "block_size": 2,
        "num_random_blocks": 1,
    }  # fmt: skip


class Reformer(PaddedEncoder):
    name = "ReformerModel, local attention"
    config = "ReformerConfig"
    options: ClassVar[dict[str, Any]] = {
        "num_attention_heads": 4, "attention_head_size": 8, "feed_forward_size": 48, "attn_layers": ["local", "local"],
        "local_attn_chunk_length": 4, "axial_pos_embds": False, "max_position_embeddings": 64, "is_decoder": False,
        "local_num_chunks_after": 1,
    }  # fmt: skip


class ReformerHashed(PaddedEncoder):
    name = "ReformerModel, hashed attention"
    config = "ReformerConfig"
    options: ClassVar[dict[str, Any]] = {
        "num_attention_heads": 4, "attention_head_size": 8, "feed_forward_size": 48, "attn_layers": ["lsh", "lsh"],
        "lsh_attn_chunk_length": 4, "axial_pos_embds": False, "max_position_embeddings": 64, "is_decoder": False,
        "num_buckets": 4, "hash_seed": 0, "lsh_num_chunks_after": 1,
    }  # fmt: skip


class Nystromformer(PaddedEncoder):
    name = "NystromformerModel"
    config = "NystromformerConfig"
    offers: ClassVar[Offers] = FOURS
    options: ClassVar[dict[str, Any]] = {**PLACES, "num_landmarks": 4, "segment_means_seq_len": 52}


class Yoso(PaddedEncoder):
    name = "YosoModel, expectation"
    config = "YosoConfig"
    options: ClassVar[dict[str, Any]] = {**PLACES, "use_expectation": True}


class Mra(PaddedEncoder):
    name = "MraModel, float32"
    config = "MraConfig"
    dtype = torch.float32  # its attention is in float32 whatever the dtype, and raises in float64
    offers: ClassVar[Offers] = FLOAT32
    options: ClassVar[dict[str, Any]] = {**PLACES, "block_per_row": 4}


class FNet(PaddedEncoder):
    name = "FNetModel"
    config = "FNetConfig"
    offers: ClassVar[Offers] = UNMASKED
    options: ClassVar[dict[str, Any]] = {"intermediate_size": 48, "max_position_embeddings": 64}


class Xlm(PaddedEncoder):
    name = "XLMModel"
    config = "XLMConfig"
    options: ClassVar[dict[str, Any]] = {"emb_dim": 32, "n_layers": 2, "n_heads": 4, "max_position_embeddings": 64}


class XLNet(PaddedEncoder):
    name = "XLNetModel"
    config = "XLNetConfig"
    options: ClassVar[dict[str, Any]] = {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48}


class SqueezeBert(PaddedEncoder):
    name = "SqueezeBertModel"
    config = "SqueezeBertConfig"
    options: ClassVar[dict[str, Any]] = {**PLACES, "embedding_size": 32}


class ConvBert(PaddedEncoder):
    name = "ConvBertModel"
    config = "ConvBertConfig"
    options: ClassVar[dict[str, Any]] = {**PLACES, "embedding_size": 32, "conv_kernel_size": 3, "head_ratio": 2}


class RoFormer(PaddedEncoder):
    name = "RoFormerModel"
    config = "RoFormerConfig"
    options: ClassVar[dict[str, Any]] = {**PLACES, "embedding_size": 32}


SUBJECTS = (
    Bert,
    BertEager,
    Roberta,
    Deberta,
    ModernBert,
    Electra,
    MPNet,
    Longformer,
    BigBirdFull,
    BigBird,
    Reformer,
    ReformerHashed,
    Nystromformer,
    Yoso,
    Mra,
    FNet,
    Xlm,
    XLNet,
    SqueezeBert,
    ConvBert,
    RoFormer,
)
