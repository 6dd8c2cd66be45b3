"""Recurrences as loops of a graph: ONNX has no length at which a loop in Python could be unrolled."""

from __future__ import annotations

from copy import deepcopy
from itertools import chain
from typing import Any, TypeVar, final

import torch
from torch import Tensor, nn

from sightline.core.mixer import Memory, SequenceMixer, keep
from sightline.core.shapes import Mask, MixedPosition, MixedSequences, Position, Sequences, Starts
from sightline.core.state import leaves
from sightline.export.onnx_state import filled
from sightline.ops.traced import TracedTensors, traced_scan

M = TypeVar("M", bound=nn.Module)


@final
class _Step(nn.Module):
    """A mixer's step as the call of a module, which takes other weights than its own."""

    def __init__(self, mixer: SequenceMixer[Any]) -> None:
        super().__init__()
        self.mixer = mixer

    def forward(self, x_t: Tensor, state: Any) -> tuple[Tensor, Any]:
        return self.mixer.step(x_t, state)


@final
class Looped(SequenceMixer[Any]):
    """A mixer whose state has a fixed size; in a graph it is a loop over steps, ONNX's Scan.

    Equal to the mixer by the contract: chunks of one position give what the whole gives, and padding changes no state.
    """

    def __init__(self, mixer: SequenceMixer[Any]) -> None:
        super().__init__()
        self.mixer = mixer
        self.d_model, self.d_out = mixer.d_model, mixer.d_out

    def initial_state(self, batch: int, memory: Memory | None = None) -> Any:
        return self.mixer.initial_state(batch, memory)

    def forward(
        self, x: Sequences, state: Any = None, mask: Mask | None = None, starts: Starts | None = None
    ) -> tuple[MixedSequences, Any]:
        if starts is not None or not torch.compiler.is_exporting():
            return self.mixer(x, state, mask, starts)
        state = self.initial_state(x.shape[0]) if state is None else state
        step = _Step(self.mixer)
        names, weights = zip(*chain(step.named_parameters(), step.named_buffers()), strict=True)

        def advance(
            before: TracedTensors, at: TracedTensors, constants: TracedTensors
        ) -> tuple[TracedTensors, TracedTensors]:
            x_t, *real = at
            values = dict(zip(names, constants, strict=True))
            y, after = torch.func.functional_call(step, values, (x_t, filled(state, before)))
            new = tuple(leaves(after))
            if not real:
                return new, (y,)
            return tuple(_where(real[0], *pair) for pair in zip(new, before, strict=True)), (_where(real[0], y, 0 * y),)

        inputs = [x] if mask is None else [keep(x, mask), mask]
        after, (y,) = traced_scan(advance, list(leaves(state)), inputs, weights)
        return y, filled(state, after)

    def step(self, x_t: Position, state: Any) -> tuple[MixedPosition, Any]:
        return self.mixer.step(x_t, state)


def with_loops(model: M) -> M:
    """A copy in evaluation mode and float32, whose mixers of fixed state size are `Looped`."""
    copy = deepcopy(model).cpu().float().eval().requires_grad_(False)
    for parent in list(copy.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, SequenceMixer) and _has_fixed_state(child):
                setattr(parent, name, Looped(child))
    return copy


@torch.no_grad()
def _has_fixed_state(mixer: SequenceMixer[Any]) -> bool:
    """Whether the mixer consists of no others, reads no memory, and carries numbers whose count never changes."""
    parts = any(isinstance(part, SequenceMixer) for part in mixer.modules() if part is not mixer)
    if parts or mixer.d_memory is not None or mixer.d_summary is not None:
        return False
    before = mixer.initial_state(1)
    _, after = mixer(torch.zeros(1, 1, mixer.d_model), before)
    shapes = [[leaf.shape for leaf in leaves(state)] for state in (before, after)]
    return shapes[0] == shapes[1] and any(leaf.is_floating_point() and leaf.numel() for leaf in leaves(before))


def _where(real: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """new where a row's position is real (B,), else old."""
    return torch.where(real.view(-1, *[1] * (new.dim() - 1)), new, old)
