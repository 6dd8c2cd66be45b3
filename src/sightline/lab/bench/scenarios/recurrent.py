"""Recurrences of width 256: batches of mixed lengths, and the parallel form against the sequential one."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from sightline.core.mixer import SequenceMixer
from sightline.lab.bench.equality import training
from sightline.lab.bench.scenario import Aim, Case, Computation, Scenario
from sightline.mixers import MIXERS
from sightline.testing.subject import steps

WIDTH, ROWS, SHORTEST = 256, 64, 8


def packed(kind: Literal["lstm", "gru"], size: int, device: torch.device) -> Case:
    """A batch of 64 rows of 8 to `size` positions; ours gets a mask, torch's module a packed sequence."""
    ours = MIXERS[kind]().build(WIDTH).to(device)
    theirs: Any = {"lstm": nn.LSTM, "gru": nn.GRU}[kind](WIDTH, WIDTH, batch_first=True).to(device)
    gates = {"lstm": 4, "gru": 3}[kind]
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(ours.weight_input)
        theirs.weight_hh_l0.copy_(ours.weight_hidden)
        theirs.bias_ih_l0.copy_(ours.bias)
        theirs.bias_hh_l0.zero_()
    lengths = torch.randint(SHORTEST, size + 1, (ROWS,))
    lengths[0] = size
    mask = torch.arange(size, device=device) < lengths.to(device).unsqueeze(1)
    x, towards = torch.randn(2, ROWS, size, WIDTH, device=device)
    x = (x * mask.unsqueeze(2)).requires_grad_()
    inputs = [x, ours.weight_input, ours.weight_hidden, ours.bias]
    inputs_of_theirs = [x, theirs.weight_ih_l0, theirs.weight_hh_l0, theirs.bias_ih_l0]

    def other() -> Tensor:
        sequence = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(theirs(sequence)[0], batch_first=True)[0]

    both = training(lambda: ours(x, mask=mask)[0], inputs, towards), training(other, inputs_of_theirs, towards)
    flops = 3.0 * 2 * int(lengths.sum()) * gates * 2 * WIDTH**2
    weights = sum(p.nbytes for p in theirs.parameters())
    return Case(*both, None, flops, 3.0 * (2 * x.nbytes + weights))


def min_gru(rows: int, device: torch.device) -> Case:
    """2,048 positions of a minGRU and of our GRU, a different model, each with the gradients of its own weights."""
    size = 2048
    parallel, sequential = (MIXERS[name]().build(WIDTH).to(device) for name in ("min_gru", "gru"))
    x, towards = torch.randn(2, rows, size, WIDTH, device=device)
    x.requires_grad_()
    wide = MIXERS["min_gru"]().build(WIDTH).double().to(device)
    wide.load_state_dict(parallel.state_dict())
    few = x.detach()[:1, :100].clone().requires_grad_()
    few_wide = few.detach().double().requires_grad_()
    pull = towards[:1, :100]

    def run(mixer: SequenceMixer, x: Tensor, towards: Tensor, by_steps: bool = False) -> Computation:
        call = partial(steps, mixer, x, mixer.initial_state(1)) if by_steps else partial(mixer, x)
        return training(lambda: call()[0], [x, *mixer.parameters()], towards)

    flops = 3.0 * 2 * rows * size * 2 * WIDTH**2
    check = (run(parallel, few, pull), run(wide, few_wide, pull.double(), by_steps=True))
    return Case(run(parallel, x, towards), run(sequential, x, towards), check, flops, 6.0 * x.nbytes)


SCENARIOS = (
    Scenario(
        "lstm_packed", "recurrent", "ratio", "LSTM, 64 rows of 8 positions or more", "torch.nn.LSTM, packed", (48,),
        partial(packed, "lstm"), 12, size="positions at most", aims={48: Aim(1.4)},
    ),
    Scenario(
        "gru_packed", "recurrent", "ratio", "GRU, 64 rows of 8 positions or more", "torch.nn.GRU, packed", (48,),
        partial(packed, "gru"), 12, size="positions at most", aims={48: Aim(1.3)},
    ),
    Scenario(
        "min_gru_gru", "recurrent", "ratio", "minGRU, rows of 2,048 positions", "our GRU, another model", (1, 8),
        min_gru, 1, checked="its own steps in float64, outputs and gradients, at 100 positions", size="rows",
        aims={1: Aim(10.0), 8: Aim(10.0)},
    ),
)  # fmt: skip
