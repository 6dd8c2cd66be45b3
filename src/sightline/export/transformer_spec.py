"""Our Transformers as CTranslate2's specifications: which of them have one, and where each weight belongs.

The specifications are CTranslate2's own (`ctranslate2.specs`), as its converters fill them. Their positions are added
from a table of `LONGEST` rows, where ours are computed: the engine raises an error beyond it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sightline.mixers.softmax import SoftmaxConfig
from sightline.models.encoder_decoder import EncoderDecoderConfig
from sightline.models.language_model import LanguageModelConfig
from sightline.models.layers import LayersConfig
from sightline.models.transformer import TransformerConfig
from sightline.parts.positions import sinusoid

LONGEST = 4096  # positions of the table of encodings that are added to embeddings
SOFTMAX = "softmax"
ROTATED, LOWERED = "rotary", "alibi"
EPSILON = {"layer": 1e-5, "rms": 1e-6}  # of our norms (`parts.norm`)

Stacks = Mapping[str, LayersConfig]


def stacks(config: Any) -> Stacks | None:
    """The options of the layers of a model's encoder and decoder, or decoder; None for other kinds of models."""
    if isinstance(config, TransformerConfig):
        return {"encoder": config.layer_options(), "decoder": config.layer_options()}
    if isinstance(config, EncoderDecoderConfig):
        return {"encoder": config.encoder_layers(), "decoder": config}
    return {"decoder": config} if isinstance(config, LanguageModelConfig) else None


def unlike(layers: Stacks) -> str | None:
    """The parts of these layers that no specification can express, in a sentence without a full stop; None = none."""
    for side, options in layers.items():
        others = [name for name in options.layer_mixers if name != SOFTMAX]
        if others:
            return f"its layers are softmax attention, and this model has {', '.join(dict.fromkeys(others))}"
        if options.convolution:
            return f"it has no convolution before attention, and this {side} has one over {options.convolution}"
        if options.d_feed_forward == 0:
            return f"its layers have a feed-forward network, and those of this {side} have none"
        reason = _unlike_attention(side, options, _attention(options))
        if reason:
            return reason
    return None


def _unlike_attention(side: str, options: LayersConfig, attention: SoftmaxConfig) -> str | None:
    positions = attention.positions
    if positions in ("sinusoidal", "learned"):
        return f"it adds positions once, below the layers, and this {side} adds {positions} positions in each layer"
    if positions == LOWERED and side == "encoder":
        return "its encoder has no ALiBi"
    if positions == ROTATED and (attention.d_head or options.d_model // attention.heads) < 2:
        return f"it rotates pairs of numbers, and the heads of this {side} have one number"
    if positions != "none" and options.input_positions != "none":
        return f"it has one kind of positions, and this {side} has {positions} and {options.input_positions} positions"
    if attention.softcap is not None:
        return f"its attention has no softcap, and that of this {side} is {attention.softcap}"
    if attention.qk_norm != "none" and attention.qk_norm != options.norm:
        kinds = f"{options.norm} and, of queries, {attention.qk_norm}"
        return f"its norms have one epsilon, and those of this {side} are {kinds}"
    if attention.kept is not None:
        return f"its layers have equally many heads, and some of this {side} are removed"
    return None


def reads_table(config: Any) -> bool:
    """Whether the exported model adds positions from a table, which limits its length."""
    return not any(_attention(options).positions in (ROTATED, LOWERED) for options in (stacks(config) or {}).values())


def _attention(options: LayersConfig) -> SoftmaxConfig:
    return options.mixer_config(SOFTMAX)


def encoder_decoder_spec(model: Any, config: Any) -> Any:
    """A `TransformerSpec` with the weights of a `SequenceModel` of this config; `unlike` must have nothing against it.

    The vocabularies are the caller's to register.
    """
    from ctranslate2.specs import transformer_spec

    layers: Any = stacks(config)
    reader, writer = layers["encoder"], layers["decoder"]
    encoder = transformer_spec.TransformerEncoderSpec(reader.layers, _attention(reader).heads, **_common(reader))
    _fill(encoder, list(model.encoder.encoder.encoders), reader)
    _embed(encoder.embeddings[0], encoder, model.encoder.front_end.embedding)
    decoder = transformer_spec.TransformerDecoderSpec(writer.layers, _attention(writer).heads, **_common(writer))
    _fill_decoder(decoder, model.decoder, writer, reads_memory=True)
    spec = transformer_spec.TransformerSpec(encoder, decoder)
    spec.config.add_source_bos = spec.config.add_source_eos = False
    spec.config.layer_norm_epsilon = EPSILON[writer.norm]
    return spec


def decoder_spec(model: Any, config: LanguageModelConfig) -> Any:
    """A `TransformerDecoderModelSpec` with the weights of a `Decoder`; as `encoder_decoder_spec` otherwise."""
    from ctranslate2.specs import transformer_spec

    options = {**_common(config), "with_encoder_attention": False, "alibi": _attention(config).positions == LOWERED}
    decoder = transformer_spec.TransformerDecoderSpec(config.layers, _attention(config).heads, **options)
    _fill_decoder(decoder, model, config, reads_memory=False)
    spec = transformer_spec.TransformerDecoderModelSpec(decoder)
    spec.config.layer_norm_epsilon = EPSILON[config.norm]
    return spec


def _common(options: LayersConfig) -> dict[str, Any]:
    from ctranslate2.specs.common_spec import Activation

    kinds = {"relu": Activation.RELU, "gelu": Activation.GELU, "swiglu": Activation.SWISH}
    return {
        "pre_norm": options.order == "pre",
        "activation": kinds[options.activation],
        "ffn_glu": options.activation == "swiglu",
        "rms_norm": options.norm == "rms",
        "rotary_dim": 0 if _attention(options).positions == ROTATED else None,  # then there is no table of positions
    }


def _fill_decoder(spec: Any, decoder: Any, options: LayersConfig, *, reads_memory: bool) -> None:
    _fill(spec, list(decoder.mixer.mixers), options, reads_memory=reads_memory)
    _embed(spec.embeddings, spec, decoder.embedding)
    _linear(spec.projection, decoder.head.linear)


def _fill(spec: Any, parts: Sequence[nn.Module], options: LayersConfig, *, reads_memory: bool = False) -> None:
    """Positions, layers and last norm of an encoder or a decoder."""
    if hasattr(spec, "position_encodings"):
        spec.position_encodings.encodings = _positions(_inner(parts[0]), options)
    for layer, place in zip(spec.layer, options.layer_places(reads_memory=reads_memory), strict=True):
        attention, *cross, feed_forward = parts[place : place + 2 + reads_memory]
        layer.self_attention = _self_attention(attention, options)
        for one in cross:
            layer.attention = _cross_attention(one, options)
        _feed_forward(layer.ffn, feed_forward)
    if options.order == "pre":
        _norm(spec.layer_norm, _inner(parts[-1]))


def _inner(part: Any) -> Any:
    """The module inside residuals and wrappers."""
    for name in ("mixer", "encoder", "module"):
        if hasattr(part, name):
            return _inner(getattr(part, name))
    return part


def _positions(lowest: Any, options: LayersConfig) -> Tensor:
    """The encodings that are added to embeddings, (S, D); zeros where a model has no positions, or in its attention."""
    if options.input_positions == "learned":
        return _single(lowest.table)
    if options.input_positions == "sinusoidal":
        return sinusoid(torch.arange(LONGEST), options.d_model, torch.float32)
    return torch.zeros(LONGEST, options.d_model)


def _self_attention(residual: Any, options: LayersConfig) -> Any:
    from ctranslate2.converters.utils import fuse_linear
    from ctranslate2.specs.attention_spec import MultiHeadAttentionSpec
    from ctranslate2.specs.common_spec import LinearSpec

    config, heads = _attention(options), _inner(residual).heads
    # The engine pairs dimension i with i + rotary_dim / 2; an odd last one stays as it is.
    rotary = {"rotary_dim": heads.d_head // 2 * 2, "rotary_interleave": False} if config.positions == ROTATED else {}
    spec = MultiHeadAttentionSpec(
        self_attention=True,
        rms_norm=options.norm == "rms",
        num_heads_kv=None if heads.key_heads == heads.heads else heads.key_heads,
        head_dim=heads.d_head,
        qk_norm=config.qk_norm != "none",
        qk_norm_rms=config.qk_norm == "rms",
        **rotary,
    )
    _norm(spec.layer_norm, residual.norm)
    projections = [LinearSpec() for _ in range(3)]
    for one, linear in zip(projections, (heads.query, heads.key, heads.value), strict=True):
        _linear(one, linear)
    fuse_linear(spec.linear[0], projections)
    _linear(spec.linear[1], heads.out)
    if config.qk_norm != "none":
        _norm(spec.q_norm, heads.query_norm)
        _norm(spec.k_norm, heads.key_norm)
    return spec


def _cross_attention(residual: Any, options: LayersConfig) -> Any:
    from ctranslate2.converters.utils import fuse_linear
    from ctranslate2.specs.attention_spec import MultiHeadAttentionSpec
    from ctranslate2.specs.common_spec import LinearSpec

    heads = _inner(residual).heads
    spec = MultiHeadAttentionSpec(rms_norm=options.norm == "rms", head_dim=heads.d_head)
    _norm(spec.layer_norm, residual.norm)
    _linear(spec.linear[0], heads.query)
    of_memory = [LinearSpec() for _ in range(2)]
    for one, linear in zip(of_memory, (heads.key, heads.value), strict=True):
        _linear(one, linear)
    fuse_linear(spec.linear[1], of_memory)
    _linear(spec.linear[2], heads.out)
    return spec


def _feed_forward(spec: Any, residual: Any) -> None:
    _norm(spec.layer_norm, residual.norm)
    inner = _inner(residual)
    _linear(spec.linear_1, inner.narrow)
    if hasattr(spec, "linear_0_noact"):
        for part, weight, bias in zip(
            (spec.linear_0, spec.linear_0_noact), inner.widen.weight.chunk(2), inner.widen.bias.chunk(2), strict=True
        ):
            part.weight, part.bias = _single(weight), _single(bias)
    else:
        _linear(spec.linear_0, inner.widen)


def _embed(spec: Any, side: Any, embedding: Any) -> None:
    spec.weight = _single(embedding.weight)
    side.scale_embeddings = embedding.factor != 1.0  # by √D


def _linear(spec: Any, linear: nn.Linear) -> None:
    spec.weight = _single(linear.weight)
    if linear.bias is not None:
        spec.bias = _single(linear.bias)


def _norm(spec: Any, norm: Any) -> None:
    spec.gamma = _single(norm.weight)
    if hasattr(spec, "beta"):
        spec.beta = _single(norm.bias)


def _single(tensor: Tensor) -> Tensor:
    """A copy in float32 on the processor: the engine knows no float64, and chooses its precision when it loads."""
    return tensor.detach().to("cpu", torch.float32, copy=True)
