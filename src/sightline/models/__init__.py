"""Whole models, and the tables of named presets."""

from __future__ import annotations

from sightline.models.attentive import AttentiveConfig
from sightline.models.encoder_decoder import EncoderDecoderConfig
from sightline.models.language_model import LanguageModelConfig
from sightline.models.layers import SELF_MIXERS
from sightline.models.match import ModelConfig, count_parameters, match_parameters
from sightline.models.recurrent import RecurrentConfig
from sightline.models.sequence_model import SequenceModel
from sightline.models.token_encoder import TokenEncoderConfig
from sightline.models.transformer import TransformerConfig

HYBRID = ("window", "gated_delta", "softmax")

ARCHITECTURES = {
    "rnn": RecurrentConfig("rnn"),
    "lstm": RecurrentConfig("lstm", reverse_source=True),
    "gru": RecurrentConfig("gru", context="every_step"),
    "bahdanau": AttentiveConfig("previous"),
    "luong": AttentiveConfig("current", "general", input_feeding=True),
    "transformer": TransformerConfig(),
    "transformer-2017": TransformerConfig(
        d_model=512,
        heads=8,
        layers=6,
        d_feed_forward=2048,
        positions="sinusoidal",
        order="post",
        activation="relu",
        tie="all",
    ),
    "window": EncoderDecoderConfig(("window",)),
    "block_sparse": EncoderDecoderConfig(("block_sparse",)),
    "linear": EncoderDecoderConfig(("linear",)),
    "lru": EncoderDecoderConfig(("lru",)),
    "retention": EncoderDecoderConfig(("retention",)),
    "gated_linear": EncoderDecoderConfig(("gated_linear",)),
    "min_gru": EncoderDecoderConfig(("min_gru",)),
    "min_lstm": EncoderDecoderConfig(("min_lstm",)),
    "gated_delta": EncoderDecoderConfig(("gated_delta",)),
    "hybrid": EncoderDecoderConfig(HYBRID, layers=3),
}

# Every mechanism that reads its own sequence, alone and in the hybrid, decoder-only and encoder-only.
LANGUAGE_MODELS = {name: LanguageModelConfig((name,)) for name in SELF_MIXERS}
LANGUAGE_MODELS["hybrid"] = LanguageModelConfig(HYBRID, layers=3)
TOKEN_ENCODERS = {name: TokenEncoderConfig((name,)) for name in SELF_MIXERS}
TOKEN_ENCODERS["hybrid"] = TokenEncoderConfig(HYBRID, layers=3)

__all__ = [
    "ARCHITECTURES",
    "LANGUAGE_MODELS",
    "TOKEN_ENCODERS",
    "EncoderDecoderConfig",
    "LanguageModelConfig",
    "ModelConfig",
    "SequenceModel",
    "TokenEncoderConfig",
    "count_parameters",
    "match_parameters",
]
