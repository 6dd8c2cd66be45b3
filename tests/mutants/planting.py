"""Real bugs of this class of software, ready to be planted into the mechanisms, each with the laws that must see it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import sightline.mixers.additive as additive
import sightline.mixers.bidirectional as bidirectional
import sightline.mixers.cross as cross
import sightline.mixers.gru as gru
import sightline.mixers.lstm as lstm
import sightline.mixers.rnn as rnn
import sightline.mixers.softmax as softmax
import sightline.ops.attend as ops_attend
import sightline.ops.documents as ops_documents
import sightline.parts.recurrent as recurrent
from sightline.core.state import Growing
from sightline.testing.laws import states


class Mutant(NamedTuple):
    bug: str
    config: Any
    plant: Callable[[pytest.MonkeyPatch], None]
    laws: tuple[str, ...]  # each of these must fail


RNN = rnn.RNNConfig()
LSTM = lstm.LSTMConfig()
GRU = gru.GRUConfig()
CHO = gru.GRUConfig(reset="before")
BIDIRECTIONAL = bidirectional.BidirectionalConfig()
BAHDANAU = additive.AdditiveConfig(d_hidden=5, d_memory=6, d_summary=7, d_attention=3)
LUONG = additive.AdditiveConfig(query="current", d_memory=6, d_summary=7)
SOFTMAX = softmax.SoftmaxConfig(heads=2)
GROUPED = softmax.SoftmaxConfig(heads=4, key_heads=2, d_head=3, positions="rotary")
ALIBI = softmax.SoftmaxConfig(heads=3, d_head=1, positions="alibi", bias=False)
SINUSOIDAL = softmax.SoftmaxConfig(heads=2, positions="sinusoidal")
FULL = softmax.SoftmaxConfig(heads=2, causal=False)
CROSS = cross.CrossConfig(heads=2)

MUTANTS: list[Mutant] = []


def mutant(bug: str, config: Any, *laws: str) -> Callable[[Callable[[pytest.MonkeyPatch], None]], None]:
    def register(plant: Callable[[pytest.MonkeyPatch], None]) -> None:
        MUTANTS.append(Mutant(bug, config, plant, laws))

    return register


def wrap(patch: pytest.MonkeyPatch, owner: Any, name: str, around: Callable[..., Any]) -> None:
    """Replace owner.name by around(original, *arguments)."""
    original = getattr(owner, name)
    patch.setattr(owner, name, lambda *given, **named: around(original, *given, **named))


@mutant("state ignored when more than one token is fed", LSTM, "any chunks = whole")
def _(patch):
    def forward(original, self, x, state=None, mask=None, starts=None):
        return original(self, x, state if x.shape[1] == 1 else None, mask, starts)

    wrap(patch, recurrent.Recurrent, "forward", forward)


@mutant("cache written in place though a fork owns its tail", SOFTMAX, "purity of states")
def _(patch):
    def append(original, self, new):
        if not torch.is_grad_enabled():
            self._tail.length = self.length
        return original(self, new)

    wrap(patch, Growing, "append", append)


@mutant("state kept on the module", GRU, "purity of states", "any chunks = whole")
def _(patch):
    def forward(original, self, x, state=None, mask=None, starts=None):
        kept = self.__dict__.get("kept")
        if kept is not None and kept.carried[0].shape[0] == x.shape[0] and kept.carried[0].dtype == x.dtype:
            state = kept
        y, state = original(self, x, state, mask, starts)
        if not torch.is_inference_mode_enabled():
            self.__dict__["kept"] = recurrent.RecurrentState(
                tuple(part.detach() for part in state.carried), state.first
            )
        return y, state

    wrap(patch, recurrent.Recurrent, "forward", forward)


@mutant("self-attention's mask inverted", FULL, "padding", "equals the reference")
def _(patch):
    def attend(original, *qkv, visible=None, **named):
        return original(*qkv, visible=None if visible is None else ~visible, **named)

    wrap(patch, softmax, "attend", attend)


@mutant("memory mask inverted", CROSS, "padding", "equals the reference")
def _(patch):
    def initial_state(original, self, batch, memory=None):
        state = original(self, batch, memory)
        return state._replace(mask=None if state.mask is None else ~state.mask)

    wrap(patch, cross.CrossAttention, "initial_state", initial_state)


@mutant("pad content leaks through 0 · NaN", SOFTMAX, "content under the mask")
def _(patch):
    patch.setattr(softmax, "keep", lambda x, mask: x if mask is None else x * mask.unsqueeze(-1).to(x.dtype))


@mutant("pad content reaches the keys of the memory", CROSS, "content under the mask")
def _(patch):
    wrap(patch, cross, "keep", lambda original, x, mask: x if x.shape[1] == 5 else original(x, mask))


@mutant("off-by-one causality: sees one position ahead", SOFTMAX, "causality", "equals the reference")
def _(patch):
    def attend(original, q, k, v, *, visible=None, causal=False, **named):
        steps, length = q.shape[2], k.shape[2]
        ahead = torch.ones(steps, length, dtype=torch.bool).tril(length - steps + 1)
        return original(q, k, v, visible=ahead if visible is None else visible & ahead, **named)

    wrap(patch, softmax, "attend", attend)


@mutant("off-by-one causality: does not see itself", SOFTMAX, "equals the reference")
def _(patch):
    def attend(original, q, k, v, *, visible=None, causal=False, **named):
        steps, length = q.shape[2], k.shape[2]
        before = torch.ones(steps, length, dtype=torch.bool).tril(length - steps - 1)
        return original(q, k, v, visible=before if visible is None else visible & before, **named)

    wrap(patch, softmax, "attend", attend)


@mutant("top-left causal alignment over a cache", SOFTMAX, "any chunks = whole", "step = parallel")
def _(patch):
    def attend(original, q, k, v, *, visible=None, causal=False, **named):
        corner = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril(0)
        return original(q, k, v, visible=corner if visible is None else visible & corner, **named)

    wrap(patch, softmax, "attend", attend)


@mutant("backward direction reads the padding first", BIDIRECTIONAL, "padding", "equals the reference")
def _(patch):
    def forward(self, x, mask=None, starts=None):
        ahead, _ = self.forwards(x, mask=mask, starts=starts)
        back, _ = self.backwards(x.flip(1), starts=None if starts is None else bidirectional._mirrored(starts))
        return bidirectional.keep_both(torch.cat([ahead, back.flip(1)], 2), mask)

    patch.setattr(
        bidirectional, "keep_both", lambda y, mask: y if mask is None else y * mask.unsqueeze(-1), raising=False
    )
    patch.setattr(bidirectional.Bidirectional, "forward", forward)


@mutant("backward documents begin one position late", BIDIRECTIONAL, "packed = alone", "equals the reference")
def _(patch):
    patch.setattr(bidirectional, "_mirrored", lambda starts: starts.flip(1))


@mutant("final state taken behind the padding", LSTM, "padding", "any chunks = whole")
def _(patch):
    patch.setattr(lstm, "at_length", lambda first, y, length: y[:, -1])


@mutant("scale by d_model", SOFTMAX, "equals the reference")
def _(patch):
    def attend(original, q, k, v, **named):
        return original(q, k, v, scale=1.0 / math.sqrt(q.shape[1] * q.shape[3]), **named)

    wrap(patch, softmax, "attend", attend)


@mutant("forget-gate bias forgotten", LSTM, "equals the reference")
def _(patch):
    def build(original, self, d_model):
        module = original(self, d_model)
        nn.init.zeros_(module.bias)
        return module

    wrap(patch, lstm.LSTMConfig, "build", build)


@mutant("forget gate's bias on the input gate", LSTM, "step = parallel")
def _(patch):
    def step(original, self, x_t, state):
        swapped = torch.cat([self.bias.chunk(4)[i] for i in (1, 0, 2, 3)])
        (before, _), width = state.carried, len(self.bias) // 4
        gates = (x_t @ self.weight_input.T + before @ self.weight_hidden.T + swapped).split(width, 1)
        cell = gates[1].sigmoid() * state.carried[1] + gates[0].sigmoid() * gates[2].tanh()
        hidden = gates[3].sigmoid() * cell.tanh()
        return hidden, state._replace(carried=(hidden, cell))

    wrap(patch, lstm.LSTM, "step", step)


@mutant("reset gate after the product instead of before", CHO, "equals the reference")
def _(patch):
    def after(from_input, hidden, gates, candidate):
        width = hidden.shape[1]
        r, z = (from_input[:, : 2 * width] + hidden @ gates).sigmoid().chunk(2, 1)
        return z, torch.tanh(from_input[:, 2 * width :] + r * (hidden @ candidate))

    patch.setattr(gru, "gate_and_candidate", after)


@mutant("update gate keeps what it should replace", BAHDANAU, "equals the reference")
def _(patch):
    def flipped(original, *given):
        z, n = original(*given)
        return 1 - z, n

    wrap(patch, additive, "gate_and_candidate", flipped)


@mutant("cross keys of the padded memory", CROSS, "padding", "content under the mask")
def _(patch):
    wrap(
        patch,
        cross.CrossAttention,
        "initial_state",
        lambda original, self, batch, memory=None: original(self, batch, memory and memory._replace(mask=None)),
    )


@mutant("reorder misses one leaf: the cell", LSTM, "select commutes")
def _(patch):
    def select(original, state, index):
        moved = original(state, index)
        width = len(index)
        return moved._replace(carried=(moved.carried[0], state.carried[1][:1].expand(width, -1)))

    wrap(patch, states, "select", select)


@mutant("reorder misses one leaf: the memory's mask", BAHDANAU, "select commutes")
def _(patch):
    def select(original, state, index):
        return original(state, index)._replace(mask=state.mask[:1].expand(len(index), -1))

    wrap(patch, states, "select", select)


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
    def label(original, self, state, positions, mask, starts):
        return original(self, state, positions, mask, None)

    wrap(patch, softmax.SoftmaxAttention, "_label", label)


@mutant("positions not begun anew with a document", SINUSOIDAL, "packed = alone")
def _(patch):
    wrap(
        patch,
        softmax,
        "advance",
        lambda original, position, steps, mask=None, starts=None: original(position, steps, mask, None),
    )


@mutant("positions not continued from the state", SINUSOIDAL, "any chunks = whole", "step = parallel")
def _(patch):
    wrap(patch, softmax, "advance", lambda original, position, *rest: original(torch.zeros_like(position), *rest))


@mutant("padding counted as positions", SINUSOIDAL, "padding", "equals the reference")
def _(patch):
    wrap(
        patch,
        softmax,
        "advance",
        lambda original, position, steps, mask=None, starts=None: original(position, steps, None, starts),
    )


@mutant("query is the current state instead of the previous one", BAHDANAU, "equals the reference")
def _(patch):
    def context(original, self, s, state):
        weights = additive.transposed_parts(self.weight_hidden)
        z, n = additive.gate_and_candidate(s.new_zeros(len(s), 3 * self.d_hidden), s[:, -1], *weights)
        return original(self, torch.lerp(s[:, -1], n, z).unsqueeze(1), state)

    wrap(patch, additive.Additive, "_context", context)


@mutant("query is the previous state instead of the current one", LUONG, "equals the reference", "step = parallel")
def _(patch):
    def context(original, self, s, state):
        return original(self, torch.cat([state.first.unsqueeze(1), s[:, :-1]], 1), state)

    wrap(patch, additive.Additive, "_context", context)


@mutant("normaliser over the padding", BAHDANAU, "padding", "equals the reference")
def _(patch):
    def attend_scores(scores, values, mask, probe):
        weights = scores.softmax(-1)
        return probe(weights if mask is None else weights.masked_fill(~mask.unsqueeze(1), 0.0)) @ values

    patch.setattr(additive, "attend_scores", attend_scores)


@mutant("key heads tiled instead of repeated", GROUPED, "equals the reference")
def _(patch):
    def attend(original, q, k, v, **named):
        groups = q.shape[1] // k.shape[1]
        return original(q, k.repeat(1, groups, 1, 1), v.repeat(1, groups, 1, 1), **named)

    wrap(patch, softmax, "attend", attend)


@mutant("rotary pairs interleaved instead of half-split", GROUPED, "equals the reference")
def _(patch):
    def rotate(original, x, positions):
        width = x.shape[-1] // 2 * 2
        order = torch.cat([torch.arange(0, width, 2), torch.arange(1, width, 2), torch.arange(width, x.shape[-1])])
        return original(x[..., order], positions)[..., order.argsort()]

    wrap(patch, softmax, "rotate", rotate)
    patch.setattr(softmax.SoftmaxConfig, "build", _wider_heads(softmax.SoftmaxConfig.build))


def _wider_heads(build):
    """Interleaving and splitting agree for the single pair of d_head = 3."""
    return lambda self, d_model: build(dataclasses.replace(self, d_head=4), d_model)


@mutant("ALiBi's penalty with the wrong sign", ALIBI, "equals the reference")
def _(patch):
    wrap(patch, softmax, "alibi_bias", lambda original, *given: -original(*given))


@mutant("listening to the weights drops the causal mask", SOFTMAX, "probe on = off")
def _(patch):
    def attend(original, q, k, v, *, causal=False, probe=None, **named):
        return original(q, k, v, causal=causal and not probe.attached, probe=probe, **named)

    wrap(patch, softmax, "attend", attend)


@mutant("a fully masked row divides by zero", CROSS, "content under the mask")
def _(patch):
    def fused(q, k, v, *, visible=None, probe=None, **named):
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[3])
        scores = scores if visible is None else scores.masked_fill(~visible, -math.inf)
        return probe(scores.softmax(-1)) @ v

    patch.setattr(cross, "attend", fused)


@mutant("softmax without subtracting the maximum", SOFTMAX, "long and large")
def _(patch):
    def attend(q, k, v, *, visible=None, causal=False, probe=None, **named):
        before = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril(k.shape[2] - q.shape[2])
        powers = (q @ k.transpose(-1, -2)).exp() * (before if visible is None else visible & before)
        return probe(powers / powers.sum(-1, keepdim=True)) @ v

    patch.setattr(softmax, "attend", attend)


@mutant("gradient cut between chunks", CHO, "any chunks = whole")
def _(patch):
    def forward(original, self, x, state=None, mask=None, starts=None):
        y, state = original(self, x, state, mask, starts)
        return y, state._replace(carried=tuple(part.detach() for part in state.carried))

    wrap(patch, recurrent.Recurrent, "forward", forward)


@mutant("gradient of the reset gate missing", CHO, "gradcheck")
def _(patch):
    def cut(original, from_input, hidden, gates, candidate):
        z, _ = original(from_input, hidden, gates, candidate)
        width = hidden.shape[1]
        r = (from_input[:, :width] + hidden @ gates[:, :width]).sigmoid().detach()
        return z, torch.tanh(from_input[:, 2 * width :] + (r * hidden) @ candidate)

    wrap(patch, gru, "gate_and_candidate", cut)


@mutant("8-bit queries and keys in low precision", SOFTMAX, "low precision")
def _(patch):
    def attend(original, q, k, v, **named):
        if q.dtype == torch.bfloat16:
            q, k = (part.to(torch.float8_e4m3fn).to(part.dtype) for part in (q, k))
        return original(q, k, v, **named)

    wrap(patch, softmax, "attend", attend)


@mutant("outputs always in float32", RNN, "shape and dtype")
def _(patch):
    def forward(original, self, x, state=None, mask=None, starts=None):
        y, state = original(self, x, state, mask, starts)
        return y.float(), state

    wrap(patch, recurrent.Recurrent, "forward", forward)


@mutant("initial state from uninitialised memory", RNN, "equals the reference")
def _(patch):
    def zeros(self, batch):
        return tuple(torch.empty(batch, self.d_hidden, dtype=self.like.dtype) for _ in range(self.carries))

    patch.setattr(recurrent.Recurrent, "_zeros", zeros)


@mutant("rows coupled through a batch mean", GRU, "batch order and size")
def _(patch):
    wrap(
        patch,
        gru.GRU,
        "run",
        lambda original, self, x, carried, length: original(self, x - x.mean((0, 1), keepdim=True), carried, length),
    )


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


@mutant("a weight that is no parameter", GRU, "config and weights round trip")
def _(patch):
    def build(original, self, d_model):
        module = original(self, d_model)
        bias = 0.1 * torch.randn(3 * module.d_hidden)
        del module._parameters["bias"]
        module._apply = lambda change, *rest: (
            setattr(module, "bias", change(module.bias)),
            nn.Module._apply(module, change, *rest),
        )[1]
        module.bias = bias
        return module

    wrap(patch, gru.GRUConfig, "build", build)


@mutant("another branch under the compiler", CROSS, "compiled = eager")
def _(patch):
    def attend(original, q, k, v, **named):
        return original(q, k, 2 * v if torch.compiler.is_compiling() else v, **named)

    wrap(patch, cross, "attend", attend)


@mutant("documents of a row share their length", RNN, "packed = alone", "padding")
def _(patch):
    def split(original, mask, starts):
        documents = original(mask, starts)
        return documents._replace(length=documents.length.max().expand_as(documents.length))

    wrap(patch, ops_documents, "split_documents", split)


@mutant("attention weights not normalised in the fused path", SOFTMAX, "equals the reference", "probe on = off")
def _(patch):
    patch.setattr(
        ops_attend,
        "_fused",
        lambda q, k, v, bias, causal, scale: (
            1.01 * F.scaled_dot_product_attention(q, k, v, bias, is_causal=causal, scale=scale)
        ),
    )
