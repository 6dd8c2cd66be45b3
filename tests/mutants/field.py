"""Bugs of other libraries (`findings/`), planted into the mechanisms here; `test_field.py` says which is whose."""

from __future__ import annotations

import torch

import sightline.mixers.gated_linear as gated_linear
import sightline.mixers.gru as gru
import sightline.mixers.lstm as lstm
import sightline.mixers.min_lstm as min_lstm
import sightline.mixers.softmax as softmax
import sightline.mixers.window as window
import sightline.ops.execute as ops_execute
import sightline.parts.recurrent as recurrent
import sightline.parts.self_attention as self_attention
import sightline.parts.short_convolution as short_convolution
from sightline.core.state import Growing, replaced

from .planting import mutant, wrap

LSTM = lstm.LSTMConfig()
GRU = gru.GRUConfig()
MIN_LSTM = min_lstm.MinLSTMConfig(candidate="positive")
SSD = gated_linear.GatedLinearConfig("ssd", heads=2)
SOFTMAX = softmax.SoftmaxConfig(heads=2)
ROTARY = softmax.SoftmaxConfig(heads=2, positions="rotary")
FULL = softmax.SoftmaxConfig(heads=2, causal=False)
SINUSOIDAL = softmax.SoftmaxConfig(heads=2, positions="sinusoidal")
ALIBI = softmax.SoftmaxConfig(heads=3, d_head=1, positions="alibi", bias=False)
WINDOW = window.WindowConfig(window=4, heads=2)
CAPPED = softmax.SoftmaxConfig(heads=3, softcap=1.5, positions="alibi")


@mutant("rows mixed in a step of one position", LSTM, "step = parallel", "padding")
def _(patch):
    wrap(patch, lstm.LSTM, "step", lambda original, self, x_t, state: original(self, x_t + 0.1 * x_t.mean(0), state))


@mutant("heads take the values of another row", ALIBI, "batch order and size")
def _(patch):
    def attend(original, q, k, v, *rest, **named):
        return original(q, k, v.transpose(0, 1).reshape(v.shape), *rest, **named)

    wrap(patch, ops_execute, "dense_attention", attend)


@mutant("the most active queries are chosen among later ones too", ALIBI, "causality", "step = parallel")
def _(patch):
    def attend(original, q, k, v, *rest, **named):
        y, active = original(q, k, v, *rest, **named), q.norm(dim=3, keepdim=True)
        return torch.where(active >= active.median(2, keepdim=True).values, y, 0.5 * y)

    wrap(patch, ops_execute, "dense_attention", attend)


@mutant("a bound from the smallest number of all rows", GRU, "batch order and size")
def _(patch):
    def forward(original, self, x, state=None, mask=None, starts=None):
        y, after = original(self, x, state, mask, starts)
        return (y.clamp_min(0.05 * x.amin()) if x.numel() else y), after

    wrap(patch, recurrent.Recurrent, "forward", forward)


@mutant("half of the state kept on the module", SSD, "purity of states", "any chunks = whole")
def _(patch):
    def convolve(original, self, x, state, mask=None, starts=None):
        begun = state.position is not None and bool(state.position.any())
        kept = self.__dict__.get("kept")
        if begun and kept is not None and kept.shape == state.tail.shape and kept.dtype == state.tail.dtype:
            state = state._replace(tail=kept)
        y, after = original(self, x, state, mask, starts)
        if not torch.is_inference_mode_enabled():
            self.__dict__["kept"] = after.tail.detach()
        return y, after

    wrap(patch, short_convolution.ShortConvolution, "forward", convolve)


@mutant("keys of the cache turned again at every call", ROTARY, "step = parallel", "any chunks = whole")
def _(patch):
    def forward(original, self, x, state=None, mask=None, starts=None):
        if state is not None and state.keys.length:
            keys = state.keys.tensor
            _, again = self.positions.turn(keys, keys, torch.arange(keys.shape[2]).expand(len(keys), -1))
            state = replaced(state, keys=Growing(again, 2))
        return original(self, x, state, mask, starts)

    wrap(patch, self_attention.CausalAttention, "forward", forward)


@mutant("the memory of each head passed to the next at every call", SOFTMAX, "step = parallel", "any chunks = whole")
def _(patch):
    def forward(original, self, x, state=None, mask=None, starts=None):
        if state is not None and state.keys.length:
            state = replaced(state, keys=Growing(state.keys.tensor.roll(1, 1), 2))
        return original(self, x, state, mask, starts)

    wrap(patch, softmax.SoftmaxAttention, "forward", forward)


@mutant("documents leak into each other where a cache has keys", SOFTMAX, "any chunks = whole", "packed = alone")
def _(patch):
    def forward(original, self, x, state=None, mask=None, starts=None):
        return original(self, x, state, mask, None if state is not None and state.keys.length else starts)

    wrap(patch, softmax.SoftmaxAttention, "forward", forward)


@mutant("a cache that forgets the mask of its prompt", SOFTMAX, "padding", "any chunks = whole")
def _(patch):
    def extend(original, cache, keys, values, positions, after, mask, starts):
        return original(cache, keys, values, positions, after, None, starts)

    wrap(patch, self_attention, "extend_cache", extend)


@mutant("the second token after a padded prompt is one position late", SINUSOIDAL, "padding")
def _(patch):
    def forward(original, self, x, state=None, mask=None, starts=None):
        y, after = original(self, x, state, mask, starts)
        padded = after.labels is not None and (after.labels.tensor[:, : -x.shape[1]] < 0).any(1)
        return y, after if padded is False or x.shape[1] > 1 else after._replace(
            position=after.position + padded.long()
        )

    wrap(patch, self_attention.CausalAttention, "forward", forward)


@mutant("a mask beside a state that has begun erases real tokens", GRU, "any chunks = whole")
def _(patch):
    def forward(original, self, x, state=None, mask=None, starts=None):
        begun = state is not None and bool((state.carried[0] != 0).any())
        return original(self, x, state, mask[:, :1].expand_as(mask) if begun and mask is not None else mask, starts)

    wrap(patch, recurrent.Recurrent, "forward", forward)


@mutant("a bound on numbers that a step leaves out", CAPPED, "step = parallel")
def _(patch):
    def step(self, x_t, state):
        softcap, self.softcap = self.softcap, None
        y, state = self(x_t.unsqueeze(1), state)
        self.softcap = softcap
        return y.squeeze(1), state

    patch.setattr(softmax.SoftmaxAttention, "step", step)


@mutant("a call of several positions continues from g(h) instead of h", MIN_LSTM, "any chunks = whole")
def _(patch):
    def scan(original, self, u, initial, *rest):
        return original(self, u, self.activate(initial) if u.shape[1] > 1 else initial, *rest)

    wrap(patch, min_lstm.MinLSTM, "scan", scan)


@mutant("a bias taken for a mask where no gradients are recorded", ALIBI, "purity of states")
def _(patch):
    def attend(original, *qkv, visible=None, bias=None, **named):
        if bias is not None and not torch.is_grad_enabled():
            near = bias == 0
            visible, bias = near if visible is None else near & visible, None
        return original(*qkv, visible=visible, bias=bias, **named)

    wrap(patch, ops_execute, "dense_attention", attend)


@mutant("a state that is given decays once more", LSTM, "any chunks = whole")
def _(patch):
    def forward(original, self, x, state=None, mask=None, starts=None):
        return original(self, x, None if state is None else _scaled(state), mask, starts)

    wrap(patch, recurrent.Recurrent, "forward", forward)


def _scaled(state):
    return state._replace(carried=tuple(0.9 * part for part in state.carried))


@mutant("a state rounded to bfloat16 between calls", GRU, "any chunks = whole", "step = parallel")
def _(patch):
    def forward(original, self, x, state=None, mask=None, starts=None):
        y, after = original(self, x, state, mask, starts)
        return y, after._replace(carried=tuple(part.bfloat16().to(part.dtype) for part in after.carried))

    wrap(patch, recurrent.Recurrent, "forward", forward)


@mutant("steps see another part of the past than the whole call", WINDOW, "step = parallel")
def _(patch):
    def step(self, x_t, state):
        self.window -= 1
        y, state = self(x_t.unsqueeze(1), state)
        self.window += 1
        return y.squeeze(1), state

    patch.setattr(window.WindowAttention, "step", step)


@mutant("places counted on together for all rows", SINUSOIDAL, "padding")
def _(patch):
    def forward(original, self, x, state=None, mask=None, starts=None):
        y, after = original(self, x, state, mask, starts)
        return y, after._replace(position=after.position.amax().expand_as(after.position))

    wrap(patch, self_attention.CausalAttention, "forward", forward)


@mutant("keys read in place of values", FULL, "equals the reference")
def _(patch):
    wrap(patch, ops_execute, "dense_attention", lambda original, q, k, v, **named: original(q, k, k, **named))
