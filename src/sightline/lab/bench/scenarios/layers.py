"""Layers of width 256 with 4 heads compared with other libraries, with equal weights, forward and backward."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from sightline.lab.bench.equality import training
from sightline.lab.bench.peers import load
from sightline.lab.bench.scenario import Case, Scenario
from sightline.mixers.softmax import FullSoftmaxAttention, SoftmaxAttention
from sightline.models.stack import AsEncoder, EncoderStack, Pointwise, ResidualEncoder
from sightline.parts.feed_forward import FeedForward

WIDTH, HEADS, WIDE = 256, 4, 1024
LENGTHS = (128, 512, 2048, 8192)


def inputs_of(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Inputs (1, T, D), and the gradient of the output."""
    x, towards = torch.randn(2, 1, size, WIDTH, device=device)
    return x.requires_grad_(), towards


def flops(size: int, weights: int, pairs: float) -> float:
    """Operations of training: products with all weights at each position, q·k, and weights·values."""
    return 3.0 * 2 * size * weights + 3.5 * 4 * WIDTH * pairs


def softmax_x_transformers(size: int, device: torch.device) -> Case:
    """Both sides without biases in the projections."""
    module = load("x-transformers", "x_transformers.x_transformers")
    ours = SoftmaxAttention(WIDTH, HEADS, bias=False).to(device)
    theirs = module.Attention(WIDTH, dim_head=WIDTH // HEADS, heads=HEADS, causal=True, flash=True).to(device)
    own = [part.weight for part in (ours.heads.query, ours.heads.key, ours.heads.value, ours.heads.out)]
    copied = [part.weight for part in (theirs.to_q, theirs.to_k, theirs.to_v, theirs.to_out)]
    with torch.no_grad():
        for mine, weight in zip(own, copied):
            weight.copy_(mine)
    x, towards = inputs_of(size, device)

    def attended() -> Tensor:
        y = theirs(x)
        return y[0] if isinstance(y, tuple) else y

    run, other = training(lambda: ours(x)[0], [x, *own], towards), training(attended, [x, *copied], towards)
    return Case(run, other, None, flops(size, 4 * WIDTH**2, size * (size + 1) / 2), 6.0 * x.nbytes)


def transformer_layer(size: int, device: torch.device) -> Case:
    """Self-attention and feed-forward with pre-norm, without dropout."""
    attention = FullSoftmaxAttention(WIDTH, HEADS)
    forward = FeedForward(WIDTH, WIDE, "relu")
    norms = [nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)]
    ours = EncoderStack(
        [
            ResidualEncoder(attention, norms[0], "pre"),
            ResidualEncoder(AsEncoder(Pointwise(forward, WIDTH)), norms[1], "pre"),
        ]
    ).to(device)
    theirs = nn.TransformerEncoderLayer(WIDTH, HEADS, WIDE, 0.0, batch_first=True, norm_first=True).to(device)
    heads = attention.heads
    with torch.no_grad():
        theirs.self_attn.in_proj_weight.copy_(torch.cat([p.weight for p in (heads.query, heads.key, heads.value)]))
        theirs.self_attn.out_proj.load_state_dict(heads.out.state_dict())
        theirs.linear1.load_state_dict(forward.widen.state_dict())
        theirs.linear2.load_state_dict(forward.narrow.state_dict())
    x, towards = inputs_of(size, device)
    run, other = (training(partial(module, x), [x, *module.parameters()], towards) for module in (ours, theirs))
    check = (lambda: run()[:2], lambda: other()[:2])  # output and input: the weights are partitioned differently
    return Case(run, other, check, flops(size, 4 * WIDTH**2 + 2 * WIDTH * WIDE, float(size**2)), 6.0 * x.nbytes)


SCENARIOS = (
    Scenario(
        "softmax_x_transformers", "layers", "ratio", "causal softmax attention with its projections",
        "Attention of x-transformers, flash", LENGTHS, softmax_x_transformers, 130, package="x-transformers",
    ),
    Scenario(
        "transformer_layer", "layers", "ratio", "a Transformer encoder layer, feed-forward width 1,024",
        "torch.nn.TransformerEncoderLayer", LENGTHS, transformer_layer, 130,
        checked="the peer, outputs and the input's gradient",
    ),
)  # fmt: skip
