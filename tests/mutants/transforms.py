"""Bugs planted where torch compiles or transforms a mechanism, and where a batch is empty."""

from __future__ import annotations

import torch
from torch.autograd import forward_ad

import sightline.core.transforms as core_transforms
import sightline.mixers.gru as gru
import sightline.mixers.lru as lru
import sightline.mixers.lstm as lstm
import sightline.mixers.min_gru as min_gru
import sightline.mixers.rnn as rnn
import sightline.mixers.softmax as softmax
import sightline.ops.execute as ops_execute
import sightline.ops.linear as ops_linear
import sightline.ops.packed as ops_packed
import sightline.ops.scan as ops_scan
import sightline.parts.minimal as minimal
import sightline.parts.recurrent as recurrent
from sightline.core.state import detach
from sightline.mixers.retention import RetentionConfig

from .planting import mutant, wrap

SOFTMAX = softmax.SoftmaxConfig(heads=2)
GRU = gru.GRUConfig()


@mutant("a compiled state without its gradient", min_gru.MinGRUConfig(), "compiled = eager")
def _(patch):
    def forward(original, self, x, state=None, mask=None, starts=None):
        y, after = original(self, x, state, mask, starts)
        return y, detach(after) if torch.compiler.is_compiling() else after

    wrap(patch, minimal.MinimalRecurrence, "forward", forward)


@mutant("a scan that forgets its initial state under torch.func", lru.LRUConfig(), "torch.func = autograd")
def _(patch):
    wrap(
        patch,
        ops_scan,
        "scan_by_doubling",
        lambda original, a, b, initial: original(a, b, torch.zeros_like(initial)),
    )


@mutant("documents of a recurrence run into each other under torch.func", rnn.RNNConfig(), "torch.func = autograd")
def _(patch):
    def recur(original, self, x, carried, fresh, mask, starts):
        return original(self, x, carried, fresh, mask, None)

    wrap(patch, recurrent.Recurrent, "_recur_by_steps", recur)


@mutant("a weight without a forward-mode derivative", SOFTMAX, "torch.func = autograd")
def _(patch):
    def attend(original, q, k, v, **named):
        if core_transforms.forward_mode():
            v = forward_ad.unpack_dual(v).primal
        return original(q, k, v, **named)

    wrap(patch, ops_execute, "dense_attention", attend)


@mutant("decay left out where rows are transformed", RetentionConfig(heads=2), "torch.func = autograd")
def _(patch):
    def plain(original, inputs, chunk):
        return original(inputs._replace(decay=None), chunk)

    wrap(patch, ops_linear, "forward_plain", plain)


@mutant("an empty batch of a recurrence has no graph", lstm.LSTMConfig(), "empty keeps its graph")
def _(patch):
    patch.setattr(recurrent, "connected_zeros", lambda shape, like, *_: like.new_zeros(shape))


@mutant("rows of padding alone leave the weights out of the graph", GRU, "empty keeps its graph")
def _(patch):
    patch.setattr(ops_packed, "connected_zeros", lambda shape, like, *_: like.new_zeros(shape).requires_grad_())
