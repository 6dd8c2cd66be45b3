"""Bugs planted into linear attention: normalisers, decay, documents, convolutions, the delta rule, gradients."""

from __future__ import annotations

import torch

import sightline.mixers.gated_delta as gated_delta
import sightline.mixers.gated_linear as gated_linear
import sightline.mixers.linear as linear
import sightline.mixers.retention as retention
import sightline.ops.chunked_delta as chunked_delta
import sightline.ops.chunked_linear as chunked_linear
import sightline.ops.chunked_shared as chunked_shared
import sightline.parts.feature_maps as feature_maps
import sightline.parts.short_convolution as short_convolution

from .planting import mutant, wrap

LINEAR = linear.LinearConfig(heads=2)
PERFORMER = linear.LinearConfig(heads=2, features="performer")
FULL_LINEAR = linear.LinearConfig(heads=2, causal=False)
RETENTION = retention.RetentionConfig(heads=2)
GLA = gated_linear.GatedLinearConfig(heads=2)
SSD = gated_linear.GatedLinearConfig("ssd", heads=2)
DELTA = gated_delta.GatedDeltaConfig(heads=2)


@mutant("linear attention without its normaliser", LINEAR, "equals the reference", "step = parallel")
def _(patch):
    patch.setattr(chunked_linear, "reciprocal", torch.ones_like)


@mutant("padding writes its keys into the state", LINEAR, "padding", "equals the reference")
def _(patch):
    patch.setattr(linear, "hide", lambda x, mask: x)


@mutant("the sum of keys continues into the next document", LINEAR, "packed = alone")
def _(patch):
    def attend(original, q, k, v, *, starts, **named):
        y, state = original(q, k, v, starts=starts, **named)
        _, in_all = original(q, k, v, **named)
        return y, state._replace(keys=in_all.keys)

    wrap(patch, linear, "linear_attention", attend)


@mutant("the full form sees the past only", FULL_LINEAR, "equals the reference")
def _(patch):
    patch.setattr(
        linear,
        "full_linear_attention",
        lambda q, k, v, normaliser, starts: linear.linear_attention(q, k, v, normaliser=normaliser, starts=starts)[0],
    )


@mutant("random features stabilised by a maximum over the future", PERFORMER, "any chunks = whole", "causality")
def _(patch):
    def keys(original, self, x):
        features = original(self, x)
        return features / features.amax((2, 3), keepdim=True) if x.shape[2] else features

    wrap(patch, feature_maps.FeatureMap, "keys", keys)


@mutant("retention forgets over padding", RETENTION, "padding", "equals the reference")
def _(patch):
    wrap(patch, retention, "hide", lambda original, x, mask: x if x.dim() == 3 else original(x, mask))


@mutant("all heads retain at one rate", RETENTION, "equals the reference")
def _(patch):
    def log_decay(original, self, device=None):
        return original(self, device)[:1].expand(self.heads)

    wrap(patch, retention.Retention, "log_decay", log_decay)


@mutant("a position's decay reaches its own key", GLA, "equals the reference", "step = parallel")
def _(patch):
    def attend(original, q, k, v, *, decay, **named):
        return original(q, k * decay.exp(), v, decay=decay, **named)

    wrap(patch, gated_linear, "linear_attention", attend)


@mutant("no gradient into the decay", GLA, "gradcheck")
def _(patch):
    def attend(original, q, k, v, *, decay, **named):
        return original(q, k, v, decay=decay.detach(), **named)

    wrap(patch, gated_linear, "linear_attention", attend)


@mutant("the decay's gradient forgets the state that is handed on", SSD, "gradcheck", "any chunks = whole")
def _(patch):
    wrap(patch, chunked_shared, "end_products", lambda original, *given: 0.0 * original(*given))


@mutant("a channel's gradient of the decay forgets the state that is handed on", GLA, "gradcheck", "any chunks = whole")
def _(patch):
    wrap(patch, chunked_linear, "end_products", lambda original, *given: 0.0 * original(*given))


@mutant("the convolution reads the document before", SSD, "packed = alone", "equals the reference")
def _(patch):
    def convolve(original, x, weight, tail, positions, mask, starts):
        return original(x, weight, tail, positions + x.shape[1], mask, starts)

    wrap(patch, short_convolution, "convolve", convolve)


@mutant("the convolution counts padding", SSD, "padding", "equals the reference")
def _(patch):
    def convolve(original, x, weight, tail, positions, mask, starts):
        return original(x, weight, tail, positions, None, starts)

    wrap(patch, short_convolution, "convolve", convolve)


@mutant("the convolution forgets at a call", DELTA, "any chunks = whole", "step = parallel")
def _(patch):
    def convolve(original, x, weight, tail, *given):
        return original(x, weight, torch.zeros_like(tail), *given)

    wrap(patch, short_convolution, "convolve", convolve)


@mutant("the delta rule takes away all that a key holds", DELTA, "equals the reference")
def _(patch):
    def attend(original, q, k, v, *, beta, **named):
        whole = torch.where(beta == 0, beta, torch.ones_like(beta))
        return original(q, k, v * beta.unsqueeze(3).to(v.dtype), beta=whole, **named)

    wrap(patch, gated_delta, "linear_attention", attend)


@mutant("keys of any length in the delta rule", DELTA, "equals the reference")
def _(patch):
    patch.setattr(gated_delta, "unit", lambda x: x)


@mutant("the gradient skips the triangular system", DELTA, "gradcheck")
def _(patch):
    def kept(original, states, errors, inverse, *others):
        return original(states, errors, torch.eye(inverse.shape[3]).to(inverse).expand_as(inverse), *others)

    wrap(patch, chunked_delta, "DeltaKept", kept)
