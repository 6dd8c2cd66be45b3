"""The models of `bench_decoding.py` in other libraries: the same weights, copied from ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sightline.data.tokens.tokenizer import SPECIALS
from sightline.export.ctranslate2 import save
from sightline.export.transformer_spec import encoder_decoder_spec
from sightline.lab.bench.peers import load
from sightline.models.language_model import LanguageModelConfig
from sightline.models.transformer import TransformerConfig
from sightline.parts.positions import sinusoid

PAD, BOS, EOS = 0, 1, 2
LONGEST = 512  # positions of the peers' table of encodings


def copy(target: nn.Module, **sources: nn.Module) -> None:
    """Copy the weights and biases of `sources` to the parts of the same name of `target`."""
    for name, source in sources.items():
        part: Any = target.get_submodule(name)
        part.weight.copy_(source.weight)
        if getattr(source, "bias", None) is not None:
            part.bias.copy_(source.bias)


def _copy_attention(target: Any, heads: Any) -> None:
    copy(target, q_proj=heads.query, k_proj=heads.key, v_proj=heads.value, out_proj=heads.out)


@torch.no_grad()
def marian(ours: Any, config: TransformerConfig, vocabulary: int) -> Any:
    """`MarianMTModel` of transformers with the weights of our Transformer as published (order "post", tie "none")."""
    library = load("transformers", "transformers")
    model = library.MarianMTModel(
        library.MarianConfig(
            vocab_size=vocabulary, d_model=config.d_model, encoder_layers=config.layers, decoder_layers=config.layers,
            encoder_attention_heads=config.heads, decoder_attention_heads=config.heads,
            encoder_ffn_dim=config.d_feed_forward, decoder_ffn_dim=config.d_feed_forward,
            activation_function="relu", scale_embedding=True, dropout=0.0, max_position_embeddings=LONGEST,
            pad_token_id=PAD, bos_token_id=BOS, eos_token_id=EOS, decoder_start_token_id=BOS, forced_eos_token_id=None,
            share_encoder_decoder_embeddings=False, tie_word_embeddings=False,
        )
    ).eval()  # fmt: skip
    table = sinusoid(torch.arange(LONGEST), config.d_model, torch.float32)
    model.lm_head.weight.copy_(ours.decoder.head.linear.weight)
    model.final_logits_bias.copy_(ours.decoder.head.linear.bias)
    sides = [
        (model.model.encoder, ours.encoder.front_end.embedding, ours.encoder.encoder.encoders),
        (model.model.decoder, ours.decoder.embedding, ours.decoder.mixer.mixers),
    ]
    for side, embedding, parts in sides:
        side.embed_tokens.weight.copy_(embedding.weight)
        side.embed_positions.weight.copy_(table)
        residuals = [part for part in parts if hasattr(part, "norm")]
        each = len(residuals) // len(side.layers)
        for number, layer in enumerate(side.layers):
            attention, *cross, narrow = residuals[number * each : (number + 1) * each]
            _copy_attention(layer.self_attn, _inner(attention).heads)
            copy(layer, self_attn_layer_norm=attention.norm)
            for one in cross:
                _copy_attention(layer.encoder_attn, one.mixer.heads)
                copy(layer, encoder_attn_layer_norm=one.norm)
            feed = _inner(narrow)
            copy(layer, fc1=feed.widen, fc2=feed.narrow, final_layer_norm=narrow.norm)
    return model


def _inner(residual: Any) -> Any:
    """What a residual is around, without the wrappers of pointwise modules."""
    inner = residual.mixer if hasattr(residual, "mixer") else residual.encoder
    inner = getattr(inner, "mixer", inner)  # AsEncoder
    return getattr(inner, "module", inner)  # Pointwise


def marian_generate(model: Any, sources: Tensor, beam: int, length: int) -> list[list[int]]:
    """The best output of each source, without the start token, always `length` tokens."""
    outputs = model.generate(
        sources, attention_mask=torch.ones_like(sources), num_beams=beam, do_sample=False, max_new_tokens=length
    )
    return outputs[:, 1:].tolist()


class CTranslate2:
    """Our Transformer in CTranslate2, as `sightline export` writes it."""

    def __init__(self, model: Any, config: TransformerConfig, vocabulary: int, directory: Path, threads: int) -> None:
        self._library = load("ctranslate2", "ctranslate2")
        self._directory, self._threads = directory, threads
        spec = encoder_decoder_spec(model, config)
        self.tokens = [*SPECIALS, *(f"t{number}" for number in range(len(SPECIALS), vocabulary))]
        spec.register_source_vocabulary(self.tokens)
        spec.register_target_vocabulary(self.tokens)
        directory.mkdir(parents=True)
        save(spec, directory)

    def translator(self, kind: str) -> Any:
        """A translator in `float32` or `int8`."""
        return self._library.Translator(
            str(self._directory), device="cpu", compute_type=kind, inter_threads=1, intra_threads=self._threads
        )

    def generate(self, translator: Any, sources: Tensor, beam: int, length: int) -> list[list[int]]:
        """As `marian_generate`; the sources have no special tokens."""
        tokens = [[self.tokens[number] for number in row] for row in sources.tolist()]
        results = translator.translate_batch(tokens, beam_size=beam, max_decoding_length=length)
        return [[int(token[1:]) for token in result.hypotheses[0]] for result in results]


@torch.no_grad()
def llama(ours: Any, config: LanguageModelConfig, vocabulary: int, positions: int) -> Any:
    """`LlamaForCausalLM` with the weights of our language model of softmax attention, rotary positions and SwiGLU."""
    library = load("transformers", "transformers")
    layers = [part for part in ours.mixer.mixers if hasattr(part, "norm")]
    d_hidden = layers[1].mixer.module.narrow.in_features
    model = library.LlamaForCausalLM(
        library.LlamaConfig(
            vocab_size=vocabulary, hidden_size=config.d_model, num_hidden_layers=config.layers,
            num_attention_heads=config.heads, num_key_value_heads=config.heads, intermediate_size=d_hidden,
            hidden_act="silu", rms_norm_eps=1e-6, attention_bias=True, mlp_bias=True, tie_word_embeddings=False,
            max_position_embeddings=positions, pad_token_id=PAD, bos_token_id=BOS, eos_token_id=EOS,
        )
    ).eval()  # fmt: skip
    model.model.embed_tokens.weight.copy_(ours.embedding.weight * ours.embedding.factor)
    model.lm_head.weight.copy_(ours.head.linear.weight)
    model.model.norm.weight.copy_(ours.mixer.mixers[-1].module.weight)
    for number, layer in enumerate(model.model.layers):
        attention, feed = layers[2 * number : 2 * number + 2]
        heads, inner = attention.mixer.heads, feed.mixer.module
        copy(layer.self_attn, q_proj=heads.query, k_proj=heads.key, v_proj=heads.value, o_proj=heads.out)
        copy(layer, input_layernorm=attention.norm, post_attention_layernorm=feed.norm)
        gate, wide = inner.widen.weight.chunk(2)
        layer.mlp.gate_proj.weight.copy_(gate)
        layer.mlp.up_proj.weight.copy_(wide)
        gate_bias, wide_bias = inner.widen.bias.chunk(2)
        layer.mlp.gate_proj.bias.copy_(gate_bias)
        layer.mlp.up_proj.bias.copy_(wide_bias)
        copy(layer.mlp, down_proj=inner.narrow)
    return model
