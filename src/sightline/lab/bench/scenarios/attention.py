"""Softmax attention over all positions, windows and block patterns; 8 heads of 64, forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.lab.bench.equality import training
from sightline.lab.bench.peers import load
from sightline.lab.bench.scenario import Aim, Case, Scenario, Unavailable
from sightline.ops import BlockMask, attention, block_pattern

HEADS, WIDTH, WINDOW, BLOCK = 8, 64, 256, 64
HIDDEN = -1e30  # added to hidden logits by the kernel; finite, so that no block of 512 keys is all -inf
TRAINING = 3.5  # products of forward and backward, which recomputes the logits, relative to forward alone
Call = Callable[[Tensor, Tensor, Tensor], Tensor]


def inputs_of(size: int, device: torch.device, rows: int = 1) -> tuple[list[Tensor], Tensor]:
    """Queries, keys and values (B, H, T, K), and the gradient of the output."""
    towards, *inputs = torch.randn(4, rows, HEADS, size, WIDTH, device=device)
    return [x.clone().requires_grad_() for x in inputs], towards


def flattened(size: int, device: torch.device) -> tuple[list[Tensor], Tensor]:
    """The same in the layout of modules, (B, T, H·K)."""
    towards, *inputs = torch.randn(4, 1, size, HEADS * WIDTH, device=device)
    return [x.clone().requires_grad_() for x in inputs], towards


def by_head(x: Tensor) -> Tensor:
    """(B, T, H·K) as (B, H, T, K), a view."""
    return x.unflatten(2, (HEADS, WIDTH)).transpose(1, 2)


def joined(y: Tensor) -> Tensor:
    """(B, H, T, K) as (B, T, H·K)."""
    return y.transpose(1, 2).flatten(2)


def compared(ours: Call, other: Call, inputs: list[Tensor], towards: Tensor, pairs: int) -> Case:
    """Forward and backward of both on the same inputs; `pairs` counts the visible query-key pairs of one row.

    Twelve tensors move: q, k, v, y in forward; the same, dy, dq, dk and dv in backward.
    """
    flops = TRAINING * 4 * len(towards) * HEADS * WIDTH * pairs
    run, peer = (training(partial(call, *inputs), inputs, towards) for call in (ours, other))
    return Case(run, peer, None, flops, 12 * towards.nbytes)


def window_pairs(size: int, window: int, both: bool = False) -> int:
    """Number of query-key pairs within a window, causal or on both sides."""
    window = min(window, size)
    one = window * size - window * (window - 1) // 2
    return 2 * one - size if both else one


def added(seen: Tensor) -> Tensor:
    """A mask as the additive tensor of torch's kernel, which would recompute it from a bool mask at every call."""
    return torch.zeros(seen.shape, device=seen.device).masked_fill_(~seen, HIDDEN)


def sdpa_with_mask(seen: Tensor) -> Call:
    """torch's kernel with a mask (T, S)."""
    return partial(F.scaled_dot_product_attention, attn_mask=added(seen))


def window_seen(size: int, device: torch.device) -> Tensor:
    """Whether a query sees a key in a causal window, (T, T) bool."""
    at = torch.arange(size, device=device)
    distance = at.unsqueeze(1) - at
    return (distance >= 0) & (distance < WINDOW)


def window_sdpa(size: int, device: torch.device) -> Case:
    """The additive mask is computed beforehand."""
    other = sdpa_with_mask(window_seen(size, device))
    ours = partial(attention, causal=True, window=WINDOW)
    return compared(ours, other, *inputs_of(size, device), window_pairs(size, WINDOW))


def window_local_attention(size: int, device: torch.device) -> Case:
    """A window w of the peer covers the position itself and w before it: ours is one wider."""
    module = load("local-attention", "local_attention")
    other = module.LocalAttention(WINDOW, causal=True, exact_windowsize=True, use_rotary_pos_emb=False, autopad=True)
    ours = partial(attention, causal=True, window=WINDOW + 1)
    return compared(ours, other.to(device), *inputs_of(size, device), window_pairs(size, WINDOW + 1))


@final
class Fixed(nn.Module):
    """Replaces a projection: returns the tensor `output` (B, T, ·) for any input."""

    def __init__(self) -> None:
        super().__init__()
        self.output: Tensor | None = None

    def forward(self, hidden: Tensor) -> Tensor:
        if self.output is None:
            raise ValueError("output is not set")
        return self.output.transpose(0, 1) * 1.0  # a copy: the caller divides it in place


def window_longformer(size: int, device: torch.device) -> Case:
    """Longformer's attention without its projections: both sides get q, k and v as (B, T, H·K)."""
    module = load("transformers", "transformers.models.longformer.modeling_longformer")
    config = load("transformers", "transformers.models.longformer.configuration_longformer").LongformerConfig(
        hidden_size=HEADS * WIDTH,
        num_attention_heads=HEADS,
        attention_window=[2 * WINDOW],
        attention_probs_dropout_prob=0.0,
    )
    peer = module.LongformerSelfAttention(config, 0).to(device)
    peer.query, peer.key, peer.value = projections = [Fixed() for _ in range(3)]
    inputs, towards = flattened(size, device)
    unmasked = torch.zeros(1, size, device=device)
    flags = {"attention_mask": unmasked, "is_index_masked": unmasked.bool(), "is_index_global_attn": unmasked.bool()}

    def other(*qkv: Tensor) -> Tensor:
        for projection, x in zip(projections, qkv):
            projection.output = x
        return peer(qkv[0], is_global_attn=False, **flags)[0]

    def ours(*qkv: Tensor) -> Tensor:
        return joined(attention(*map(by_head, qkv), causal=False, window=WINDOW + 1))

    return compared(ours, other, inputs, towards, window_pairs(size, WINDOW + 1, both=True))


def window_flex(size: int, device: torch.device) -> Case:
    """Forward alone: FlexAttention has no backward on a CPU."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    q, k, v = torch.randn(3, 1, HEADS, size, WIDTH, device=device)
    mask = create_block_mask(
        lambda row, head, at, key: (at >= key) & (at - key < WINDOW), 1, 1, size, size, device=device.type
    )
    other = partial(torch.compile(flex_attention), q, k, v, block_mask=mask)
    ours = partial(attention, q, k, v, causal=True, window=WINDOW)
    try:
        other()
    except Exception as error:
        raise Unavailable(f"FlexAttention does not compile here: {str(error).strip().splitlines()[0]}") from error
    flops = 4 * HEADS * WIDTH * window_pairs(size, WINDOW)
    return Case(lambda: [ours()], lambda: [other()], None, flops, 4 * q.nbytes)


def growing(short: int, device: torch.device, factor: int, **options: Any) -> Case:
    """Causal attention at `short` positions and at `factor` times as many; the first outputs must agree."""
    inputs, towards = inputs_of(factor * short, device)
    few, towards_few = [x.detach()[:, :, :short].clone().requires_grad_() for x in inputs], towards[:, :, :short]
    call = partial(attention, causal=True, **options)
    check = (lambda: [call(*few).detach()], lambda: [call(*inputs).detach()[:, :, :short]])
    return Case(training(lambda: call(*few), few, towards_few), training(lambda: call(*inputs), inputs, towards), check)


def window_growth(size: int, device: torch.device) -> Case:
    """`size` positions, and four times as many."""
    return growing(size, device, 4, window=WINDOW)


def window_long(size: int, device: torch.device) -> Case:
    """Ours alone; the last 1,000 positions are checked against torch's kernel."""
    inputs, towards = inputs_of(size, device)
    call = partial(attention, causal=True, window=WINDOW)
    last = min(size, 1000 + WINDOW)

    def expected() -> list[Tensor]:
        ends = [x.detach()[:, :, -last:] for x in inputs]
        return [sdpa_with_mask(window_seen(last, device))(*ends)[:, :, WINDOW:]]

    def tail() -> list[Tensor]:
        return [call(*inputs).detach()[:, :, -last + WINDOW :]]

    flops = TRAINING * 4 * HEADS * WIDTH * window_pairs(size, WINDOW)
    return Case(training(lambda: call(*inputs), inputs, towards), None, (tail, expected), flops, 12 * towards.nbytes)


def bigbird_blocks(size: int, device: torch.device, causal: bool) -> BlockMask:
    """BigBird's pattern with the defaults of `block_pattern`."""
    return BlockMask(block_pattern("bigbird", -(-size // BLOCK), causal=causal).to(device), BLOCK)


def block_sparse_sdpa(size: int, device: torch.device) -> Case:
    """On both sides; the additive mask is computed beforehand."""
    blocks = bigbird_blocks(size, device, causal=False)
    block = torch.arange(size, device=device) // BLOCK
    seen = blocks.visible[block.unsqueeze(1), block]
    ours = partial(attention, causal=False, blocks=blocks)
    return compared(ours, sdpa_with_mask(seen), *inputs_of(size, device), int(seen.sum()))


def block_sparse_growth(size: int, device: torch.device) -> Case:
    """`size` positions, and four times as many."""
    return growing(size, device, 4, blocks=bigbird_blocks(4 * size, device, causal=True))


def block_sparse_bigbird(size: int, device: torch.device) -> Case:
    """BigBird's kernel without projections. It samples random blocks per head and call; here they are fixed.

    A block sees itself, one block on either side, the first, the last and three random ones; the first and the last see
    all. The kernel also computes and returns the matrix of all weights.
    """
    module = load("transformers", "transformers.models.big_bird.modeling_big_bird")
    config = load("transformers", "transformers.models.big_bird.configuration_big_bird").BigBirdConfig(
        hidden_size=HEADS * WIDTH, num_attention_heads=HEADS, block_size=BLOCK, num_random_blocks=3
    )
    config.max_position_embeddings = size
    peer = module.BigBirdBlockSparseAttention(config).to(device)
    number = size // BLOCK
    at = torch.arange(number)
    local = (at.unsqueeze(1) - at).abs() <= 1
    common = local | (at == 0) | (at == number - 1)
    scores = torch.rand(number, number).masked_fill_(common, -1.0)
    random = scores.topk(3, 1).indices[1:-1]  # (N - 2, 3)
    visible = common.scatter(1, torch.cat([random[:1], random, random[-1:]]), True)
    visible[0] = visible[-1] = True
    peer._bigbird_block_rand_mask = lambda *_, **__: random.numpy()
    peer._bigbird_block_rand_mask_with_head = lambda *_, **__: [random.numpy()] * HEADS
    ones = torch.ones(1, size, device=device)
    blocked, band, of_query, of_key = module.BigBirdModel.create_masks_for_block_sparse_attn(ones, BLOCK)

    def other(*qkv: Tensor) -> Tensor:
        y, _ = peer.bigbird_block_sparse_attention(
            *qkv, band, of_query, of_key, blocked, blocked, HEADS, 3, WIDTH, BLOCK, BLOCK, 1, size, size,
            seed=0, plan_from_length=None, plan_num_rand_blocks=None,
        )  # fmt: skip
        return y.transpose(1, 2)

    ours = partial(attention, causal=False, blocks=BlockMask(visible.to(device), BLOCK))
    return compared(ours, other, *inputs_of(size, device), int(visible.sum()) * BLOCK**2)


def causal_sdpa(size: int, device: torch.device) -> Case:
    """Rows of `size` positions, 4,096 in all."""
    other = partial(F.scaled_dot_product_attention, is_causal=True)
    rows = max(1, 4096 // size)
    return compared(partial(attention, causal=True), other, *inputs_of(size, device, rows), size * (size + 1) // 2)


MASKED = "torch's scaled_dot_product_attention with a mask"
PREFIX = "the same positions of the longer call (outputs)"
SCENARIOS = (
    Scenario(
        "causal_sdpa", "causal", "ratio", "causal attention, 4,096 positions in rows of the given length",
        "torch's scaled_dot_product_attention, is_causal", (128, 256, 512, 1024), causal_sdpa, 500,
        aims=dict.fromkeys((128, 256, 512, 1024), Aim(1.0)),
    ),
    Scenario(
        "window_sdpa", "window", "ratio", "a causal window of 256", MASKED, (4096, 16384), window_sdpa, 700,
        aims={4096: Aim(6.0), 16384: Aim(20.0)},
    ),
    Scenario(
        "window_local_attention", "window", "ratio", "a causal window of 257", "local-attention, exact windows",
        (4096, 16384), window_local_attention, 1024, package="local-attention",
        aims={4096: Aim(3.0), 16384: Aim(3.0)},
    ),
    Scenario(
        "window_longformer", "window", "ratio", "a window of 256 positions to either side",
        "Longformer's sliding chunks in transformers", (4096, 16384), window_longformer, 1024, package="transformers",
        aims={4096: Aim(3.0), 16384: Aim(3.0)},
    ),
    Scenario(
        "window_flex", "window", "ratio", "a causal window of 256, forward alone", "torch's FlexAttention, compiled",
        (4096,), window_flex, 1024, checked="the peer, outputs",
    ),
    Scenario(
        "window_growth", "window", "growth", "a causal window of 256: time over four times as many positions",
        "itself", (8192,), window_growth, 300, checked=PREFIX, aims={8192: Aim(4.6, relation="at most")},
    ),
    Scenario(
        "window_long", "window", "curve", "a causal window of 256", "nothing", (131072,), window_long, 1500,
        checked="torch's kernel with a mask over the last 1,000 positions (outputs)",
        aims={131072: Aim(8 * 2.0**30, "peak_bytes", "at most")},
    ),
    Scenario(
        "block_sparse_sdpa", "block_sparse", "ratio", "BigBird's pattern, blocks of 64", MASKED, (4096,),
        block_sparse_sdpa, 700, aims={4096: Aim(3.0)},
    ),
    Scenario(
        "block_sparse_bigbird", "block_sparse", "ratio", "BigBird's pattern as transformers has it",
        "BigBird's kernel in transformers", (4096,), block_sparse_bigbird, 1024, package="transformers",
        aims={4096: Aim(2.0)},
    ),
    Scenario(
        "block_sparse_growth", "block_sparse", "growth",
        "BigBird's pattern, causal: time over four times as many positions", "itself", (4096,), block_sparse_growth,
        300, checked=PREFIX, aims={4096: Aim(4.6, relation="at most")},
    ),
)  # fmt: skip
