"""The language models of `bench_training.py`: ours and those of other libraries, with the same weights where they can.

Ours, `transformers` Llama and the hand-written one are one function: RMS norms, rotary positions, SwiGLU, biases, and
output weights shared with the embeddings. Ours multiplies embeddings by the root of the width, so the others get them
multiplied, and the last norm divides by it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.lab.bench.peers import load
from sightline.models.language_model import LanguageModelConfig
from sightline.parts.token_embedding import Tokens

WIDTH, LAYERS, HEADS, HIDDEN = 256, 4, 4, 683


def ours(vocabulary: int) -> nn.Module:
    return LanguageModelConfig(
        d_model=WIDTH, layers=LAYERS, heads=HEADS, activation="swiglu", d_feed_forward=HIDDEN, dropout=0.0
    ).build(Tokens(vocabulary))


class HandWritten(nn.Module):
    """A decoder as one writes it in an afternoon: one projection for queries, keys and values, torch's attention."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.RMSNorm(WIDTH, eps=1e-6)
        self.head = nn.Linear(WIDTH, vocabulary, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        half = WIDTH // HEADS // 2
        rate = 10000.0 ** (-torch.arange(half, device=x.device) / half)
        angle = torch.arange(tokens.shape[1], device=x.device).unsqueeze(1) * rate
        cos, sin = angle.cos(), angle.sin()
        for block in self.blocks:
            x = block(x, cos, sin)
        return self.head(self.norm(x))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (nn.RMSNorm(WIDTH, eps=1e-6) for _ in range(2))
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.widen, self.narrow = nn.Linear(WIDTH, 2 * HIDDEN), nn.Linear(HIDDEN, WIDTH)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        q, k, v = self.qkv(self.first(x)).unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(turn(q, cos, sin), turn(k, cos, sin), v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).flatten(2))
        gate, wide = self.widen(self.second(x)).chunk(2, 2)
        return x + self.narrow(F.silu(gate) * wide)


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, 3)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], 3).to(x.dtype)


def hand_written(vocabulary: int, like: nn.Module) -> nn.Module:
    model = HandWritten(vocabulary)
    with torch.no_grad():
        fill_ends(model.embedding, model.norm, like)
        for block, (attention, forward) in zip(model.blocks, layers_of(like), strict=True):
            heads = attention.mixer.heads
            for parameter in ("weight", "bias"):
                parts = [getattr(part, parameter) for part in (heads.query, heads.key, heads.value)]
                getattr(block.qkv, parameter).copy_(torch.cat(parts))
            for theirs, own in (
                (block.first, attention.norm), (block.second, forward.norm), (block.out, heads.out),
                (block.widen, forward.mixer.module.widen), (block.narrow, forward.mixer.module.narrow),
            ):  # fmt: skip
                theirs.load_state_dict(own.state_dict())
    return model


def llama(vocabulary: int, like: nn.Module) -> nn.Module:
    library: Any = load("transformers", "transformers")
    config = library.LlamaConfig(
        vocab_size=vocabulary, hidden_size=WIDTH, intermediate_size=HIDDEN, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=HEADS, attention_bias=True, mlp_bias=True, rms_norm_eps=1e-6,
        tie_word_embeddings=True, use_cache=False, attn_implementation="sdpa", max_position_embeddings=4096,
    )  # fmt: skip
    model = library.LlamaForCausalLM(config)
    with torch.no_grad():
        fill_ends(model.model.embed_tokens, model.model.norm, like)
        for layer, (attention, forward) in zip(model.model.layers, layers_of(like), strict=True):
            heads, wide = attention.mixer.heads, forward.mixer.module
            names = {"q_proj": heads.query, "k_proj": heads.key, "v_proj": heads.value, "o_proj": heads.out}
            for name, own in names.items():
                getattr(layer.self_attn, name).load_state_dict(own.state_dict())
            layer.input_layernorm.weight.copy_(attention.norm.weight)
            layer.post_attention_layernorm.weight.copy_(forward.norm.weight)
            for parameter in ("weight", "bias"):
                gate, up = getattr(wide.widen, parameter).chunk(2)
                getattr(layer.mlp.gate_proj, parameter).copy_(gate)
                getattr(layer.mlp.up_proj, parameter).copy_(up)
            layer.mlp.down_proj.load_state_dict(wide.narrow.state_dict())
    return model


def x_transformers(vocabulary: int, like: nn.Module) -> nn.Module:
    """About as many weights (no biases), not the same ones."""
    library: Any = load("x-transformers", "x_transformers")
    decoder = library.Decoder(
        dim=WIDTH, depth=LAYERS, heads=HEADS, attn_dim_head=WIDTH // HEADS, ff_glu=True, ff_swish=True,
        ff_mult=HIDDEN / WIDTH, use_rmsnorm=True, rotary_pos_emb=True, attn_flash=True,
    )  # fmt: skip
    return library.TransformerWrapper(
        num_tokens=vocabulary, max_seq_len=4096, attn_layers=decoder, tie_embedding=True, use_abs_pos_emb=False
    )


def layers_of(model: Any) -> list[tuple[Any, Any]]:
    """The residual layers of ours, attention and feed-forward in pairs."""
    residuals = [mixer for mixer in model.mixer.mixers if hasattr(mixer, "norm")]
    return list(zip(residuals[::2], residuals[1::2], strict=True))


def fill_ends(embedding: nn.Embedding, norm: Any, like: Any) -> None:
    root = math.sqrt(WIDTH)
    embedding.weight.copy_(like.embedding.weight * root)
    norm.weight.copy_(like.mixer.mixers[-1].module.weight / root)


# Name -> model from a vocabulary and ours, and its logits of tokens.
PEERS: dict[str, tuple[Callable[[int, nn.Module], nn.Module], Callable[[Any], Tensor]]] = {
    "transformers Llama": (llama, lambda output: output.logits),
    "hand-written": (hand_written, lambda output: output),
    "x-transformers": (x_transformers, lambda output: output),
}
EQUAL = ("transformers Llama", "hand-written")  # the same function
