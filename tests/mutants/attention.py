"""Bugs planted into attention: masks, positions, caches, scales, and what Bahdanau and Luong ask with."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch.nn import functional as F

import sightline.mixers.additive as additive
import sightline.mixers.cross as cross
import sightline.mixers.softmax as softmax
import sightline.ops.additive_recurrence as additive_recurrence
import sightline.ops.dense as ops_dense
import sightline.ops.execute as ops_execute
import sightline.ops.plan as ops_plan
import sightline.parts.attention_heads as heads
import sightline.parts.positions as positions
import sightline.parts.self_attention as self_attention
from sightline.core.caches import Shared
from sightline.core.state import Growing
from sightline.testing.laws import states

from .planting import mutant, wrap

BAHDANAU = additive.AdditiveConfig(d_hidden=5, d_memory=6, d_summary=7, d_attention=3)
LUONG = additive.AdditiveConfig(query="current", d_memory=6, d_summary=7)
SOFTMAX = softmax.SoftmaxConfig(heads=2)
GROUPED = softmax.SoftmaxConfig(heads=4, key_heads=2, d_head=3, positions="rotary")
ALIBI = softmax.SoftmaxConfig(heads=3, d_head=1, positions="alibi", bias=False)
SINUSOIDAL = softmax.SoftmaxConfig(heads=2, positions="sinusoidal")
FULL = softmax.SoftmaxConfig(heads=2, causal=False)
CROSS = cross.CrossConfig(heads=2)
NORMED = softmax.SoftmaxConfig(heads=2, positions="rotary", qk_norm="rms")
CAPPED = softmax.SoftmaxConfig(heads=3, softcap=1.5, positions="alibi")


def _everywhere(patch, attend):
    """Plants into attention with and without masks."""
    wrap(patch, ops_execute, "dense_attention", attend)


@mutant("cache written in place though a fork owns its tail", SOFTMAX, "purity of states")
def _(patch):
    def append(original, self, new):
        if not torch.is_grad_enabled():
            self._tail.length = self.length
        return original(self, new)

    wrap(patch, Growing, "append", append)


@mutant("self-attention's mask inverted", FULL, "padding", "equals the reference")
def _(patch):
    def attend(original, *qkv, visible=None, **named):
        return original(*qkv, visible=None if visible is None else ~visible, **named)

    _everywhere(patch, attend)


@mutant("memory mask inverted", CROSS, "padding", "equals the reference")
def _(patch):
    def initial_state(original, self, batch, memory=None):
        state = original(self, batch, memory)
        return state._replace(mask=None if state.mask is None else ~state.mask)

    wrap(patch, cross.CrossAttention, "initial_state", initial_state)


@mutant("pad content leaks through 0 · NaN", SOFTMAX, "content under the mask")
def _(patch):
    patch.setattr(self_attention, "keep", lambda x, mask: x if mask is None else x * mask.unsqueeze(-1).to(x.dtype))


@mutant("pad content reaches the keys of the memory", CROSS, "content under the mask")
def _(patch):
    wrap(patch, cross, "keep", lambda original, x, mask: x if x.shape[1] == 5 else original(x, mask))


@mutant("off-by-one causality: sees one position ahead", SOFTMAX, "causality", "equals the reference")
def _(patch):
    def attend(original, q, k, v, *, visible=None, causal=False, **named):
        steps, length = q.shape[2], k.shape[2]
        ahead = torch.ones(steps, length, dtype=torch.bool).tril(length - steps + 1)
        return original(q, k, v, visible=ahead if visible is None else visible & ahead, **named)

    _everywhere(patch, attend)


@mutant("off-by-one causality: does not see itself", SOFTMAX, "equals the reference")
def _(patch):
    def attend(original, q, k, v, *, visible=None, causal=False, **named):
        steps, length = q.shape[2], k.shape[2]
        before = torch.ones(steps, length, dtype=torch.bool).tril(length - steps - 1)
        return original(q, k, v, visible=before if visible is None else visible & before, **named)

    _everywhere(patch, attend)


@mutant("top-left causal alignment over a cache", SOFTMAX, "any chunks = whole", "step = parallel")
def _(patch):
    def attend(original, q, k, v, *, visible=None, causal=False, **named):
        corner = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril(0)
        return original(q, k, v, visible=corner if visible is None else visible & corner, **named)

    _everywhere(patch, attend)


@mutant("scale by d_model", SOFTMAX, "equals the reference")
def _(patch):
    def attend(original, q, k, v, *, scale=None, **named):
        return original(q, k, v, scale=1.0 / math.sqrt(q.shape[1] * q.shape[3]), **named)

    _everywhere(patch, attend)


def _by_steps(patch):
    """Lets a plant reach the loop of `additive.Additive` where gradients are recorded too."""
    patch.setattr(additive, "recorded", lambda weights: False)


@mutant("update gate keeps what it should replace", BAHDANAU, "equals the reference")
def _(patch):
    def flipped(original, *given):
        z, n = original(*given)
        return 1 - z, n

    _by_steps(patch)
    wrap(patch, additive, "gate_and_candidate", flipped)


@mutant("cross keys of the padded memory", CROSS, "padding", "content under the mask")
def _(patch):
    wrap(
        patch,
        cross.CrossAttention,
        "initial_state",
        lambda original, self, batch, memory=None: original(self, batch, memory and memory._replace(mask=None)),
    )


@mutant("reorder misses one leaf: the memory's mask", BAHDANAU, "select commutes")
def _(patch):
    def select(original, state, index):
        return original(state, index)._replace(mask=state.mask[:1].expand(len(index), -1))

    wrap(patch, states, "select", select)


@mutant("padding of joined rows taken for keys", SOFTMAX, "joined = alone")
def _(patch):
    wrap(patch, Growing, "ending", lambda original, self, length, fill=0: original(self, length, 0))


@mutant("padding of a joined memory visible", CROSS, "joined = alone")
def _(patch):
    wrap(
        patch,
        cross.CrossState,
        "stretched",
        lambda original, self, length: original(self._replace(mask=None), length)._replace(
            mask=Shared(torch.ones(len(self.keys.tensor), length, dtype=torch.bool))
        ),
    )


@mutant("a rollback that leaves what was given up in the cache", GROUPED, "rollback")
def _(patch):
    def retract(original, self, later):
        self.length = later.length

    wrap(patch, Growing, "retract", retract)


@mutant("document starts ignored", SOFTMAX, "packed = alone", "equals the reference")
def _(patch):
    wrap(
        patch,
        softmax.SoftmaxAttention,
        "forward",
        lambda original, self, x, state=None, mask=None, starts=None: original(self, x, state, mask, None),
    )


@mutant("documents isolated by positions alone", SINUSOIDAL, "packed = alone")
def _(patch):
    wrap(patch, self_attention, "extend_cache", lambda original, *given: original(*given[:-1], None))
    wrap(
        patch,
        self_attention,
        "attend_cache",
        lambda original, q, cache, mask, starts, *rest, **named: original(q, cache, mask, None, *rest, **named),
    )


@mutant("positions that do not restart with a document", SINUSOIDAL, "packed = alone")
def _(patch):
    wrap(
        patch,
        self_attention,
        "advance",
        lambda original, position, steps, mask=None, starts=None: original(position, steps, mask, None),
    )


@mutant("positions not continued from the state", SINUSOIDAL, "any chunks = whole", "step = parallel")
def _(patch):
    wrap(
        patch, self_attention, "advance", lambda original, position, *rest: original(torch.zeros_like(position), *rest)
    )


@mutant("padding counted as positions", SINUSOIDAL, "padding", "equals the reference")
def _(patch):
    wrap(
        patch,
        self_attention,
        "advance",
        lambda original, position, steps, mask=None, starts=None: original(position, steps, None, starts),
    )


@mutant("query is the current state instead of the previous one", BAHDANAU, "equals the reference")
def _(patch):
    def context(original, self, s, state):
        weights = additive.transposed_parts(self.weight_hidden)
        z, n = additive.gate_and_candidate(s.new_zeros(len(s), 3 * self.d_hidden), s[:, -1], *weights)
        return original(self, torch.lerp(s[:, -1], n, z).unsqueeze(1), state)

    _by_steps(patch)
    wrap(patch, additive.Additive, "_context", context)


@mutant("query is the previous state instead of the current one", LUONG, "equals the reference", "step = parallel")
def _(patch):
    def context(original, self, s, state):
        return original(self, torch.cat([state.first.unsqueeze(1), s[:, :-1]], 1), state)

    wrap(patch, additive.Additive, "_context", context)


@mutant("normaliser over the padding", BAHDANAU, "padding", "equals the reference")
def _(patch):
    def softmax_average(scores, values, mask, probe):
        weights = scores.softmax(-1)
        return probe(weights if mask is None else weights.masked_fill(~mask.unsqueeze(1), 0.0)) @ values

    def softmax(original, scores, padding, out):
        weights = original(scores, None, out)
        return weights if padding is None else weights.masked_fill_(padding, 0.0)

    patch.setattr(additive, "softmax_average", softmax_average)
    wrap(patch, additive_recurrence, "_softmax_", softmax)


@mutant("derivative of a state that padding passed on", BAHDANAU, "across blocks", "packed = alone")
def _(patch):
    def run(original, self, *grads):
        self.flags = self.flags._replace(mask=None, starts=None)
        return original(self, *grads)

    wrap(patch, additive_recurrence._BackwardLoop, "run", run)


@mutant("key heads tiled instead of repeated", GROUPED, "equals the reference")
def _(patch):
    def attend(original, q, k, v, **named):
        groups = q.shape[1] // k.shape[1]
        return original(q, k.repeat(1, groups, 1, 1), v.repeat(1, groups, 1, 1), **named)

    _everywhere(patch, attend)


@mutant("rotary pairs interleaved instead of half-split", GROUPED, "equals the reference")
def _(patch):
    def rotate(original, x, positions):
        width = x.shape[-1] // 2 * 2
        order = torch.cat([torch.arange(0, width, 2), torch.arange(1, width, 2), torch.arange(width, x.shape[-1])])
        return original(x[..., order], positions)[..., order.argsort()]

    wrap(patch, positions, "rotate", rotate)
    patch.setattr(softmax.SoftmaxConfig, "build", _wider_heads(softmax.SoftmaxConfig.build))


def _wider_heads(build):
    """Interleaving and splitting agree for the single pair of d_head = 3."""
    return lambda self, d_model: build(dataclasses.replace(self, d_head=4), d_model)


@mutant("ALiBi's penalty with the wrong sign", ALIBI, "equals the reference")
def _(patch):
    wrap(patch, ops_plan, "alibi_bias", lambda original, *given: -original(*given))


@mutant("listening to the weights drops the causal mask", SOFTMAX, "probe on = off")
def _(patch):
    def attend(original, q, k, v, *, causal=False, probe=None, **named):
        return original(q, k, v, causal=causal and not probe.attached, probe=probe, **named)

    _everywhere(patch, attend)


@mutant("a fully masked row divides by zero", CROSS, "content under the mask")
def _(patch):
    def fused(q, k, v, *, visible=None, probe=None, **named):
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[3])
        scores = scores if visible is None else scores.masked_fill(~visible, -math.inf)
        return probe(scores.softmax(-1)) @ v

    patch.setattr(cross, "dense_attention", fused)


@mutant("softmax without subtracting the maximum", SOFTMAX, "long and large")
def _(patch):
    def attend(q, k, v, *, visible=None, causal=False, probe=None, **named):
        before = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril(k.shape[2] - q.shape[2])
        powers = (q @ k.transpose(-1, -2)).exp() * (before if visible is None else visible & before)
        return probe(powers / powers.sum(-1, keepdim=True)) @ v

    _everywhere(patch, lambda original, *qkv, **named: attend(*qkv, **named))


@mutant("8-bit queries and keys in low precision", SOFTMAX, "low precision")
def _(patch):
    def attend(original, q, k, v, **named):
        if q.dtype == torch.bfloat16:
            q, k = (part.to(torch.float8_e4m3fn).to(part.dtype) for part in (q, k))
        return original(q, k, v, **named)

    _everywhere(patch, attend)


@mutant("input scaled in place", FULL, "sizes and strides")
def _(patch):
    wrap(
        patch,
        softmax.FullSoftmaxAttention,
        "forward",
        lambda original, self, x, *flags: original(
            self, x if x.requires_grad or 0 in x.stride() else x.mul_(1.5), *flags
        ),
    )


@mutant("storage read as if it were contiguous", FULL, "sizes and strides")
def _(patch):
    def forward(original, self, x, *flags):
        if x.numel() and not x.is_contiguous():
            x = torch.as_strided(x, x.shape, (x.shape[1] * x.shape[2], x.shape[2], 1))
        return original(self, x, *flags)

    wrap(patch, softmax.FullSoftmaxAttention, "forward", forward)


@mutant("another branch under the compiler", CROSS, "compiled = eager")
def _(patch):
    def attend(original, q, k, v, **named):
        return original(q, k, 2 * v if torch.compiler.is_compiling() else v, **named)

    wrap(patch, cross, "dense_attention", attend)


@mutant("attention weights not normalised in the fused path", SOFTMAX, "equals the reference", "probe on = off")
def _(patch):
    patch.setattr(
        ops_dense,
        "_fused",
        lambda q, k, v, bias, causal, scale: (
            1.01 * F.scaled_dot_product_attention(q, k, v, bias, is_causal=causal, scale=scale)
        ),
    )


@mutant("queries and keys normalised after they are turned", NORMED, "equals the reference")
def _(patch):
    def turn(original, self, x, positions):
        normed = original(self, x, positions)
        return torch.nn.functional.rms_norm(normed, normed.shape[-1:], eps=1e-6)

    patch.setattr(heads, "_normed", lambda norm, x: x)
    wrap(patch, positions.AttentionPositions, "turn", turn)


@mutant("soft-cap over the bias too", CAPPED, "equals the reference")
def _(patch):
    def logits(original, q, k, bias, scale, softcap):
        return softcap * torch.tanh(original(q, k, bias, scale, None) / softcap)

    wrap(patch, ops_dense, "_logits", logits)


@mutant("soft-cap forgotten while somebody listens", CAPPED, "probe on = off")
def _(patch):
    def attend(original, q, k, v, *, softcap=None, probe=None, **named):
        return original(q, k, v, softcap=None if probe and probe.attached else softcap, probe=probe, **named)

    _everywhere(patch, attend)
