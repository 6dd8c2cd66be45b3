"""Bugs at the borders of blocks that kernels compute by, and in training mode: short runs in evaluation have none."""

from __future__ import annotations

from collections.abc import Callable

import torch

import sightline.mixers.gated_delta as gated_delta
import sightline.mixers.retention as retention
import sightline.parts.positions as positions
import sightline.parts.recurrent as recurrent
from sightline.core.state import detach, map_state
from sightline.ops.linear import LinearState
from sightline.testing.subject import rows

from .attention import GROUPED
from .linear_family import DELTA, RETENTION
from .planting import mutant, wrap
from .recurrences import BIDIRECTIONAL, GRU

BLOCK = 32


def _blocks(length: int) -> list[slice]:
    return [slice(at, at + BLOCK) for at in range(0, max(1, length), BLOCK)]


def _by_blocks(between: Callable[[LinearState], LinearState]) -> Callable:
    """Linear attention block by block; the state that a block hands to the next one is `between` of it."""

    def attend(original, q, k, v, *, state, decay=None, beta=None, starts=None, **named):
        outputs = []
        for part in _blocks(q.shape[2]):
            y, state = original(
                q[:, :, part],
                k[:, :, part],
                v[:, :, part],
                state=between(state) if outputs else state,
                decay=decay if decay is None or decay.dim() < 3 else decay[:, :, part],
                beta=None if beta is None else beta[:, :, part],
                starts=None if starts is None else starts[:, part],
                **named,
            )
            outputs.append(y)
        return torch.cat(outputs, 2), state

    return attend


@mutant("no state is carried between blocks of 32", DELTA, "across blocks")
def _(patch):
    wrap(patch, gated_delta, "linear_attention", _by_blocks(lambda state: map_state(torch.zeros_like, state)))


@mutant("no gradient is carried between blocks of 32", RETENTION, "across blocks")
def _(patch):
    wrap(patch, retention, "linear_attention", _by_blocks(detach))


@mutant("either direction forgets after 32 positions", BIDIRECTIONAL, "across blocks")
def _(patch):
    def forward(original, self, x, state=None, mask=None, starts=None):
        outputs = []
        for part in _blocks(x.shape[1]):
            flags = rows((mask, starts), (slice(None), part))
            y, after = original(self, x[:, part], None if outputs else state, *flags)
            outputs.append(y)
        return torch.cat(outputs, 1), after

    wrap(patch, recurrent.Recurrent, "forward", forward)


@mutant("positions begin again after 64", GROUPED, "across blocks")
def _(patch):
    wrap(patch, positions, "_turns", lambda original, at, *sizes: original(at % 64, *sizes))


@mutant("batch normalisation over rows and positions in training", GRU, "training mode")
def _(patch):
    def forward(original, self, x, state=None, mask=None, starts=None):
        if self.training and x.numel():
            x = (x - x.mean((0, 1))) / (x.var((0, 1), correction=0) + 1e-5).sqrt()
        return original(self, x, state, mask, starts)

    wrap(patch, recurrent.Recurrent, "forward", forward)
