"""Bugs planted into recurrences and into the code that carries their states."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

import sightline.mixers.bidirectional as bidirectional
import sightline.mixers.gru as gru
import sightline.mixers.lru as lru
import sightline.mixers.lstm as lstm
import sightline.mixers.min_gru as min_gru
import sightline.mixers.min_lstm as min_lstm
import sightline.mixers.rnn as rnn
import sightline.ops.minimal as ops_minimal
import sightline.ops.packed as ops_packed
import sightline.ops.scan as ops_scan
import sightline.parts.minimal as minimal
import sightline.parts.recurrent as recurrent
from sightline.testing.laws import states

from .planting import mutant, wrap

RNN = rnn.RNNConfig()
LSTM = lstm.LSTMConfig()
GRU = gru.GRUConfig()
HEADS = lstm.LSTMConfig(heads=4)
CHO = gru.GRUConfig(reset="before")
BIDIRECTIONAL = bidirectional.BidirectionalConfig()
MIN_GRU = min_gru.MinGRUConfig()
MIN_SUMMARY = min_gru.MinGRUConfig(d_hidden=5, d_summary=7)
MIN_LSTM = min_lstm.MinLSTMConfig()
APART = min_lstm.MinLSTMConfig(normalise=False)
LRU = lru.LRUConfig()


@mutant("state ignored when more than one token is fed", LSTM, "any chunks = whole")
def _(patch):
    def forward(original, self, x, state=None, mask=None, starts=None):
        return original(self, x, state if x.shape[1] == 1 else None, mask, starts)

    wrap(patch, recurrent.Recurrent, "forward", forward)


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


@mutant("heads of an LSTM read each other's hidden state", HEADS, "equals the reference", "step = parallel")
def _(patch):
    def by_head(original, self, weights):
        parts = original(self, weights)
        return parts[1:] + parts[:1] if weights.shape[1:] == (self.d_head,) else parts

    wrap(patch, lstm.LSTM, "_by_head", by_head)


@mutant("padding closes the forget gate instead of holding it open", LSTM, "padding", "any chunks = whole")
def _(patch):
    wrap(patch, lstm.LSTM, "_holding", lambda original, self, like: original(self, like).clamp(max=0))


@mutant("reset gate after the product instead of before", CHO, "equals the reference")
def _(patch):
    def after(from_input, hidden, gates, candidate):
        width = hidden.shape[1]
        r, z = (from_input[:, : 2 * width] + hidden @ gates).sigmoid().chunk(2, 1)
        return z, torch.tanh(from_input[:, 2 * width :] + r * (hidden @ candidate))

    patch.setattr(gru, "gate_and_candidate", after)


@mutant("reorder misses one leaf: the cell", LSTM, "select commutes")
def _(patch):
    def select(original, state, index):
        moved = original(state, index)
        width = len(index)
        return moved._replace(carried=(moved.carried[0], state.carried[1][:1].expand(width, -1)))

    wrap(patch, states, "select", select)


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


@mutant("packed rows: weights' gradients from the states after a step", GRU, "gradcheck")
def _(patch):
    patch.setattr(ops_packed, "_before", lambda trace, sizes: trace.after[0])


@mutant("packed rows: the state taken at a row's first position", RNN, "padding", "any chunks = whole")
def _(patch):
    wrap(patch, ops_packed, "pack", lambda original, given: original(given)._replace(last=original(given).order * 0))


@mutant("packed rows: no gradient from the state at a row's end", RNN, "any chunks = whole")
def _(patch):
    def backward(original, ctx, of_y, *of_carried):
        return original(ctx, of_y, *(torch.zeros_like(part) for part in of_carried))

    patch.setattr(ops_packed._Packed, "backward", staticmethod(partial(backward, ops_packed._Packed.backward)))


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
    def forward(original, self, x, state=None, mask=None, starts=None):
        return original(self, x - x.mean((0, 1), keepdim=True) if x.numel() else x, state, mask, starts)

    wrap(patch, recurrent.Recurrent, "forward", forward)


@mutant("a weight that is not a parameter", GRU, "config and weights round trip")
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


@mutant("documents of a row share their length", LSTM, "packed = alone", "padding")
def _(patch):
    def split(original, mask, starts):
        documents = original(mask, starts)
        return documents._replace(length=documents.length.max().expand_as(documents.length))

    wrap(patch, recurrent, "split_documents", split)


@mutant("minGRU's gate keeps what it should take", MIN_GRU, "equals the reference")
def _(patch):
    def scan(original, u, *rest):
        k, c = u.chunk(2, 2)
        return original(torch.cat([-k, c], 2), *rest)

    wrap(patch, min_gru, "min_gru_scan", scan)


@mutant("a document of minGRU begins at 0 instead of g(0)", MIN_GRU, "packed = alone", "equals the reference")
def _(patch):
    wrap(patch, minimal.MinimalRecurrence, "_first", lambda original, self, batch: 0.0 * original(self, batch))
    patch.setattr(
        minimal.MinimalRecurrence,
        "initial_state",
        lambda self, batch, memory=None: recurrent.RecurrentState((self.bias.new_full((batch, self.d_hidden), 0.5),)),
    )


@mutant("a scan's last positions, short of a chunk, left as they were", MIN_GRU, "equals the reference")
def _(patch):
    def fill(original, h, *rest, **named):
        original(h, *rest, **named)
        h[:, h.shape[1] // 4 * 4 :] = 0.0

    wrap(patch, ops_minimal, "fill", fill)


@mutant("gradient of a scan not shifted by one", MIN_LSTM, "gradcheck", "any chunks = whole")
def _(patch):
    wrap(patch, ops_scan, "_suffix_sums", lambda original, a, grad: original(a.roll(1, 1), grad))


@mutant("minGRU's candidate always has slope 1", MIN_GRU, "gradcheck")
def _(patch):
    wrap(patch, ops_minimal, "_backward", lambda original, *given: original(*given[:-1], True))


@mutant("no gradient from a document of minGRU to what it begins with", MIN_SUMMARY, "gradcheck")
def _(patch):
    def backward(original, *given):
        of_u, of_initial, of_first = original(*given)
        return of_u, of_initial, torch.zeros_like(of_first)

    wrap(patch, ops_minimal, "_backward", backward)


@mutant("minLSTM's gates not normalised", MIN_LSTM, "equals the reference")
def _(patch):
    patch.setattr(min_lstm.MinLSTM, "_gates", lambda self, f, i: (f.sigmoid(), i.sigmoid()))


@mutant("minLSTM forgets at padding", APART, "padding", "equals the reference")
def _(patch):
    def scan(original, forget, taken, initial):
        return original(torch.where(taken == 0, 0.5, forget), taken, initial)

    wrap(patch, ops_minimal, "linear_scan", scan)


@mutant("LRU without γ", LRU, "equals the reference")
def _(patch):
    def driven(original, self, x):
        return original(self, x) / torch.exp(self.gamma)

    wrap(patch, lru.LRU, "_driven", driven)


@mutant("LRU's γ starts at 1", LRU, "equals the reference")
def _(patch):
    def build(original, self, d_model):
        module = original(self, d_model)
        nn.init.zeros_(module.gamma)
        return module

    wrap(patch, lru.LRUConfig, "build", build)


@mutant("LRU's step turns the other way", LRU, "step = parallel")
def _(patch):
    def step(original, self, x_t, state):
        with pytest.MonkeyPatch.context() as inner:
            wrap(inner, lru.LRU, "_eigenvalues", lambda inside, module: inside(module).conj())
            return original(self, x_t, state)

    wrap(patch, lru.LRU, "step", step)


@mutant("gradient of a complex scan not conjugated", LRU, "gradcheck")
def _(patch):
    def backward(ctx, grad):
        a, initial, h = ctx.saved_tensors
        g = ops_scan._suffix_sums(a, grad)
        return g * ops_scan._previous(h, initial).conj(), g, a[:, 0] * g[:, 0]

    patch.setattr(ops_scan._LinearScan, "backward", backward)


@mutant("documents of an LRU continue the one before", LRU, "packed = alone", "equals the reference")
def _(patch):
    wrap(
        patch,
        lru.LRU,
        "forward",
        lambda original, self, x, state=None, mask=None, starts=None: original(self, x, state, mask, None),
    )
