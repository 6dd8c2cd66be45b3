"""Whole models, and the tables of named presets."""

from __future__ import annotations

from typing import Any

from sightline.models.attentive import AttentiveConfig
from sightline.models.config import ModelConfig, SizedConfig
from sightline.models.encoder_decoder import EncoderDecoderConfig
from sightline.models.encoder_model import EncoderConfig
from sightline.models.forecaster import ForecasterConfig
from sightline.models.language_model import LanguageModelConfig
from sightline.models.layers import SELF_MIXERS
from sightline.models.linear_forecasters import DLinearConfig, NLinearConfig
from sightline.models.match import count_parameters, match_parameters
from sightline.models.projection_encoder import ProjectionEncoderConfig
from sightline.models.recurrent import RecurrentConfig
from sightline.models.recurrent_encoder import RecurrentEncoderConfig
from sightline.models.recurrent_language_model import RecurrentLanguageModelConfig
from sightline.models.sequence_model import SequenceModel
from sightline.models.transformer import TransformerConfig

HYBRID = ("window", "gated_delta", "softmax")


def residual_models(mixers: tuple[str, ...], **sizes: Any) -> dict[str, Any]:
    """For each form the preset of residual layers of these mechanisms."""
    return {
        "encoder-decoder": EncoderDecoderConfig(mixers, **sizes),
        "decoder": LanguageModelConfig(mixers, **sizes),
        "encoder": EncoderConfig(mixers, **sizes),
        "forecaster": ForecasterConfig(mixers, dropout=0.2, **sizes),
    }


# Every mechanism that reads its own sequence makes an architecture of its name; softmax attention makes a Transformer.
_RESIDUAL = {"transformer" if name == "softmax" else name: residual_models((name,)) for name in SELF_MIXERS}
_RESIDUAL["hybrid"] = residual_models(HYBRID, layers=3)

ARCHITECTURES: dict[str, ModelConfig] = {
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
}
ARCHITECTURES |= {name: forms["encoder-decoder"] for name, forms in _RESIDUAL.items() if name not in ARCHITECTURES}
# Recurrent language models follow their papers: layers without residuals.
LANGUAGE_MODELS: dict[str, LanguageModelConfig | RecurrentLanguageModelConfig] = {
    "rnn": RecurrentLanguageModelConfig("rnn"),
    "lstm": RecurrentLanguageModelConfig("lstm"),
    "gru": RecurrentLanguageModelConfig("gru"),
}
LANGUAGE_MODELS |= {name: forms["decoder"] for name, forms in _RESIDUAL.items() if name not in LANGUAGE_MODELS}
ENCODERS: dict[str, EncoderConfig] = {name: forms["encoder"] for name, forms in _RESIDUAL.items()}
# Over patches of series, beside the linear maps that they are compared with.
FORECASTERS: dict[str, SizedConfig] = {
    "dlinear": DLinearConfig(),
    "nlinear": NLinearConfig(),
    **{name: forms["forecaster"] for name, forms in _RESIDUAL.items()},
}

# Encoders that are not a stack of residual layers.
NAMED_ENCODERS = {"bilstm_attention": RecurrentEncoderConfig(), "projection_attention": ProjectionEncoderConfig()}

# The forms of models, by the names that config.json stores: every preset builds from a source and outputs.
FORMS: dict[str, dict[str, Any]] = {
    "encoder-decoder": ARCHITECTURES,
    "decoder": LANGUAGE_MODELS,
    "encoder": {**ENCODERS, **NAMED_ENCODERS},
    "forecaster": FORECASTERS,
}

__all__ = [
    "ARCHITECTURES",
    "ENCODERS",
    "FORECASTERS",
    "FORMS",
    "LANGUAGE_MODELS",
    "NAMED_ENCODERS",
    "DLinearConfig",
    "EncoderConfig",
    "EncoderDecoderConfig",
    "ForecasterConfig",
    "LanguageModelConfig",
    "ModelConfig",
    "NLinearConfig",
    "ProjectionEncoderConfig",
    "RecurrentEncoderConfig",
    "RecurrentLanguageModelConfig",
    "SequenceModel",
    "SizedConfig",
    "count_parameters",
    "match_parameters",
    "residual_models",
]
