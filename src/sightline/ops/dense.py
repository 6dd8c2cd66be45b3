"""The dense kernel of softmax attention: every query against every key, fused by torch or by plain operations."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.core.modes import without_autocast
from sightline.core.probe import Probe
from sightline.core.shapes import (
    Attended,
    Bool,
    Float,
    Keys,
    MemoryMask,
    MemoryValues,
    Queries,
    Scores,
    ScoreSums,
    Values,
)
from sightline.core.transforms import composed, transformed
from sightline.ops.derivatives import connected_zeros

MANY, WIDE = 128, 32  # heads of all rows, and numbers of a key, from which two products gain (AMD Zen 4)

VisibleKeys = Bool[Tensor, "#B #H #T #S"]
LogitBias = Float[Tensor, "#B #H #T #S"]


def dense_attention(
    q: Queries,
    k: Keys,
    v: Values,
    *,
    visible: VisibleKeys | None = None,
    bias: LogitBias | None = None,
    causal: bool = False,
    scale: float | None = None,
    softcap: float | None = None,
    probe: Probe | None = None,
) -> Attended:
    """softmax(scale · q kᵀ + bias) v (Vaswani et al. 2017), shape (B, H, T, V).

    Every key head serves H/G consecutive query heads. `visible`, bool, and `bias`, float, broadcast to (B, H, T, S);
    scale defaults to 1/√K. `causal` hides later keys; the last of the T queries is at the last of S >= T keys. A query
    that sees no key gets zeros and finite gradients. `softcap` c bounds the logits before the bias: c · tanh(scale · q
    kᵀ / c) (Gemma 2, arXiv:2408.00118). With a soft cap or a listener on `probe`, the weights pass through the probe.
    """
    if k.shape[2] == 0 or q.numel() == 0:
        return connected_zeros((*q.shape[:3], v.shape[3]), q, k, v)
    groups, steps, length = q.shape[1] // k.shape[1], q.shape[2], k.shape[2]
    scale = 1.0 / math.sqrt(q.shape[3]) if scale is None else scale
    listened = probe is not None and probe.attached
    plain = softcap is not None or listened or transformed()  # of which the fused kernel of a CPU knows nothing
    grouped = groups > 1 and steps == 1 and not listened
    if grouped:  # the queries of one key head become consecutive positions, so that each key is read once
        q, groups, causal, probe = q.unflatten(1, (-1, groups)).squeeze(3), 1, False, None
        visible, bias = (_group_heads(x, q.shape[1]) for x in (visible, bias))
    if bias is None and not plain and _products_pay(q, k, v):
        return _by_products(q, k, v, visible, scale)
    # An exported graph has any lengths, and the kernel's own limit needs a Python bool.
    square = not torch.compiler.is_exporting() and steps == length and visible is None and bias is None
    if causal and steps > 1 and (plain or not square):
        before = torch.ones(steps, length, dtype=torch.bool, device=q.device).tril(length - steps)
        visible = before if visible is None else visible & before
        causal = False
    seen = None
    if visible is not None:
        seen = visible.any(-1, keepdim=True)  # rows without a key see all keys, and become zero afterwards
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
    y = y if seen is None else y.masked_fill(~seen, 0.0)
    return y.flatten(1, 2).unsqueeze(2) if grouped else y


def softmax_average(scores: Scores, values: MemoryValues, mask: MemoryMask | None, probe: Probe) -> ScoreSums:
    """Σ_s softmax(scores)_s values_s, shape (B, T, E), for scores (B, T, M), values (B, M, E), mask (B, M).

    The weights pass through `probe`. A row whose memory is empty or fully masked gets zeros.
    """
    if mask is None:
        weights = torch.softmax(scores, -1)
    else:
        hidden = ~mask.unsqueeze(1)
        lowest = torch.finfo(scores.dtype).min  # finite, so that a fully masked row has finite gradients
        weights = torch.softmax(scores.masked_fill(hidden, lowest), -1).masked_fill(hidden, 0.0)
    return probe(weights) @ values


def _group_heads(x: Tensor | None, key_heads: int) -> Tensor | None:
    """A mask or bias (B, H, 1, S) as (B, G, H/G, S); one for all heads (B, 1, 1, S) stays."""
    return x if x is None or x.shape[1] == 1 else x.unflatten(1, (key_heads, -1)).squeeze(3)


def _products_pay(q: Tensor, k: Tensor, v: Tensor) -> bool:
    """Whether two products are faster than torch's kernel: for one query of each of many rows, over keys without gaps.

    The kernel starts again for each head of each row. One query a head at 32 rows of 8 heads of 64, 20 keys that caches
    do not hold: 178 µs against 352; with gaps between the heads, as in a cache with room, memory decides.
    """
    if torch.is_grad_enabled() or composed():
        return False
    return (
        q.shape[2] == 1
        and q.shape[1] == k.shape[1]
        and q.shape[0] * q.shape[1] >= MANY
        and q.shape[3] >= WIDE
        and q.dtype == torch.float32
        and q.device.type == "cpu"
        and k.is_contiguous()
        and v.is_contiguous()
    )


def _by_products(q: Tensor, k: Tensor, v: Tensor, visible: Tensor | None, scale: float) -> Tensor:
    """The logits as one product, and the average of the values as another."""
    logits = (q * scale) @ k.transpose(-1, -2)
    if visible is None:
        return torch.softmax(logits, -1) @ v
    hidden = ~visible
    logits.masked_fill_(hidden, torch.finfo(logits.dtype).min)  # finite: a query without a key gets zeros below
    return torch.softmax(logits, -1).masked_fill_(hidden, 0.0) @ v


def _fused(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, causal: bool, scale: float) -> Tensor:
    """torch's kernel, which reads shared keys in place; on a CPU it computes 16-bit inputs in float32.

    The CPU kernel's bfloat16 products are slow: forward and backward at B·H 512, T 16, K 64 took 57 ms against 10 ms
    in float32 (AMD Zen 4), and no length up to 512 was faster.
    """
    named = {"is_causal": causal, "scale": scale, "enable_gqa": bool(q.shape[1] != k.shape[1])}
    if q.device.type != "cpu" or q.dtype not in (torch.bfloat16, torch.float16):
        return F.scaled_dot_product_attention(q, k, v, bias, **named)
    with without_autocast(q.device):
        if bias is not None and bias.dtype != torch.bool:
            bias = bias.float()
        y = F.scaled_dot_product_attention(q.float(), k.float(), v.float(), bias, **named)
    return y.to(q.dtype)


def _logits(q: Tensor, k: Tensor, bias: Tensor | None, scale: float, softcap: float | None) -> Tensor:
    """Logits (B, H, T, S) in float32 or wider, as the fused kernel accumulates them."""
    wide = torch.promote_types(q.dtype, torch.float32)
    with without_autocast(q.device):
        logits = (q.to(wide) @ k.to(wide).transpose(-1, -2)) * scale
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    if bias is None:
        return logits
    return logits.masked_fill(~bias, -math.inf) if bias.dtype == torch.bool else logits + bias
