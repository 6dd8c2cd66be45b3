"""Softmax attention over keys: torch's fused kernel, or the plain form where somebody reads the weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from sightline.core.probe import Probe

BLOCK = 1024  # queries for which a mask or bias is formed at a time
CAPPED = 128  # queries for which weights are formed at a time on a CPU, whose caches hold so many
Relate = Callable[[int, int], tuple[Tensor | None, Tensor | None]]


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    visible: Tensor | None = None,
    bias: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
    softcap: float | None = None,
    probe: Probe | None = None,
) -> Tensor:
    """softmax(scale · q kᵀ + bias) v (Vaswani et al. 2017, eq. 1), shape (B, H, T, V).

    q (B, H, T, K); k (B, G, S, K) and v (B, G, S, V), where every key head serves H/G consecutive query heads;
    visible, bool, and bias, float, broadcast to (B, H, T, S); scale defaults to 1/√K. `causal` hides keys after the
    query, the last query standing at the last key (S >= T). A query that sees no key gets zeros and finite gradients.
    `softcap` c bounds the logits before the bias: c · tanh(scale · q kᵀ / c) (Gemma 2, arXiv:2408.00118, § 2). With it,
    or with a listener on `probe`, the weights (B, H, T, S) are formed, and pass through the probe.
    """
    groups = q.shape[1] // k.shape[1]
    steps, length = q.shape[2], k.shape[2]
    if length == 0 or q.numel() == 0:
        return q.new_zeros(*q.shape[:3], v.shape[3]) + 0.0 * (q.sum() + v.sum())
    scale = 1.0 / math.sqrt(q.shape[3]) if scale is None else scale
    listened = probe is not None and probe.attached
    plain = softcap is not None or listened
    if groups > 1 and steps == 1 and not listened:  # the queries of one key head side by side, so that it is read once
        rows = q.unflatten(1, (-1, groups)).squeeze(3)
        visible, bias = (_side_by_side(x, groups) for x in (visible, bias))
        y = attend(rows, k, v, visible=visible, bias=bias, scale=scale, softcap=softcap)
        return y.flatten(1, 2).unsqueeze(2)
    square = steps == length and visible is None and bias is None
    if causal and steps > 1 and (plain or not square):
        before = torch.ones(steps, length, dtype=torch.bool, device=q.device).tril(length - steps)
        visible = before if visible is None else visible & before
        causal = False
    seen = None
    if visible is not None:
        seen = visible.any(-1, keepdim=True)  # rows without a key see all of them, and are emptied afterwards
        allowed = visible | ~seen
        bias = allowed if bias is None else torch.where(allowed, bias, -math.inf)
    if plain:
        if groups > 1:
            k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
        weights = torch.softmax(_logits(q, k, bias, scale, softcap), -1)
        weights = weights if seen is None else weights.masked_fill(~seen, 0.0)
        y = (weights if probe is None else probe(weights)).to(v.dtype) @ v
    else:
        y = _fused(q, k, v, bias, causal and steps > 1, scale)
    return y if seen is None else y.masked_fill(~seen, 0.0)


def _side_by_side(x: Tensor | None, groups: int) -> Tensor | None:
    """What stands at the heads of one query, (B, H, 1, ·), as rows of groups of heads, (B, G, H/G, ·)."""
    return x if x is None or x.shape[1] == 1 else x.unflatten(1, (-1, groups)).squeeze(3)


def attend_in_blocks(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    relate: Relate,
    *,
    causal: bool = False,
    scale: float | None = None,
    softcap: float | None = None,
    probe: Probe | None = None,
) -> Tensor:
    """`attend` where visible and bias depend on pairs of positions: formed for at most `BLOCK` queries at a time.

    relate(first, last) gives visible and bias of the queries first..last-1, shapes (B, 1, last - first, S) and
    (B, H, last - first, S), or None. What is held of them at once grows with S, not T·S, while no gradients are
    recorded and nobody listens on `probe`; nor does it with `softcap`, whose weights are formed again in the backward.
    """
    steps, length = q.shape[2], k.shape[2]
    block = CAPPED if softcap is not None and q.device.type == "cpu" else BLOCK
    if steps <= block or (probe is not None and probe.attached):
        visible, bias = relate(0, steps)
        return attend(q, k, v, visible=visible, bias=bias, causal=causal, scale=scale, softcap=softcap, probe=probe)

    def part(q: Tensor, k: Tensor, v: Tensor, first: int, last: int) -> Tensor:
        visible, bias = (x if x is None else x[..., : k.shape[2]] for x in relate(first, last))
        return attend(q, k, v, visible=visible, bias=bias, causal=causal, scale=scale, softcap=softcap)

    if softcap is not None and steps > BLOCK and torch.is_grad_enabled():
        call = partial(checkpoint, part, use_reentrant=False, preserve_rng_state=False)
    else:
        call = part
    outputs = []
    for first in range(0, steps, block):
        last = min(first + block, steps)
        reach = length - steps + last if causal else length  # no query of the block sees a key from here on
        outputs.append(call(q[:, :, first:last], k[:, :, :reach], v[:, :, :reach], first, last))
    return torch.cat(outputs, 2)


def _fused(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, causal: bool, scale: float) -> Tensor:
    """torch's kernel, which reads shared keys where they lie; on a CPU in float32 even inside 16-bit code.

    The CPU kernel's bfloat16 products are slow: forward and backward at B·H 512, n 16, d 64 took 57 ms against 10 ms
    in float32 (AMD Zen 4), and no length up to 512 was faster.
    """
    named = {"is_causal": causal, "scale": scale, "enable_gqa": q.shape[1] != k.shape[1]}
    if q.device.type != "cpu" or q.dtype not in (torch.bfloat16, torch.float16):
        return F.scaled_dot_product_attention(q, k, v, bias, **named)
    with torch.autocast("cpu", enabled=False):
        if bias is not None and bias.dtype != torch.bool:
            bias = bias.float()
        y = F.scaled_dot_product_attention(q.float(), k.float(), v.float(), bias, **named)
    return y.to(q.dtype)


def _logits(q: Tensor, k: Tensor, bias: Tensor | None, scale: float, softcap: float | None) -> Tensor:
    """Logits (B, H, T, S) in float32 or better, as the fused kernel accumulates them."""
    wide = torch.promote_types(q.dtype, torch.float32)
    logits = (q.to(wide) @ k.to(wide).transpose(-1, -2)) * scale
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    if bias is None:
        return logits
    return logits.masked_fill(~bias, -math.inf) if bias.dtype == torch.bool else logits + bias


def alibi_bias(slopes: Tensor, distance: Tensor, dtype: torch.dtype) -> Tensor:
    """-slope · distance, (…, H, T, S), for slopes (H,) and distances (…, T, S)."""
    return -(slopes.to(dtype)[:, None, None] * distance.unsqueeze(-3).to(dtype))


def attend_scores(scores: Tensor, values: Tensor, mask: Tensor | None, probe: Probe) -> Tensor:
    """Σ_s softmax(scores)_s values_s, shape (B, T, D), for scores (B, T, M), values (B, M, D), mask (B, M).

    The weights pass through `probe`; a row whose memory is all masked, or empty, gets zeros.
    """
    if mask is None:
        weights = torch.softmax(scores, -1)
    else:
        hidden = ~mask.unsqueeze(1)
        lowest = torch.finfo(scores.dtype).min  # finite, so that a fully masked row has finite gradients
        weights = torch.softmax(scores.masked_fill(hidden, lowest), -1).masked_fill(hidden, 0.0)
    return probe(weights) @ values
