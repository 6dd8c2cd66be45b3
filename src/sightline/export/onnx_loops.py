"""Recurrences as loops of a graph: ONNX has no length at which a loop in Python could be unrolled."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, TypeVar, final

import torch
from torch import Tensor, nn

from sightline.core.mixer import Memory, SequenceMixer
from sightline.core.shapes import Mask, MixedPosition, MixedSequences, Position, Sequences, Starts
from sightline.core.state import leaves, map_state

M = TypeVar("M", bound=nn.Module)


@final
class Looped(SequenceMixer[Any]):
    """A mixer whose state has a fixed size, position by position: `torch.scan`, which becomes ONNX's Scan.

    Equal to the mixer by the contract: chunks of one position give what the whole gives, and padding changes no state.
    """

    def __init__(self, mixer: SequenceMixer[Any]) -> None:
        super().__init__()
        self.mixer = mixer
        self.d_model, self.d_out = mixer.d_model, mixer.d_out
        self.d_memory, self.d_summary = mixer.d_memory, mixer.d_summary

    def initial_state(self, batch: int, memory: Memory | None = None) -> Any:
        return self.mixer.initial_state(batch, memory)

    def forward(
        self, x: Sequences, state: Any = None, mask: Mask | None = None, starts: Starts | None = None
    ) -> tuple[MixedSequences, Any]:
        from torch._higher_order_ops.scan import scan

        state = self.initial_state(x.shape[0]) if state is None else state
        inputs = (x.transpose(0, 1),) if mask is None else (x.transpose(0, 1), mask.transpose(0, 1))

        def step(before: list[Tensor], at: tuple[Tensor, ...]) -> tuple[list[Tensor], Tensor]:
            y, after = self.mixer.step(at[0], _filled(state, before))
            new = list(leaves(after))
            if len(at) == 1:
                return [leaf.clone() for leaf in new], y.clone()  # no output of a scan may be one of its inputs
            return [_where(at[1], *pair) for pair in zip(new, before, strict=True)], _where(at[1], y, 0.0 * y)

        after, y = scan(step, [leaf.clone() for leaf in leaves(state)], inputs)
        return y.transpose(0, 1), _filled(state, after)

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


def _filled(state: Any, tensors: list[Tensor]) -> Any:
    """The state with these tensors for its leaves."""
    each = iter(tensors)
    return map_state(lambda _: next(each), state)


def _where(real: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """new where a row's position is real (B,), else old."""
    return torch.where(real.view(-1, *[1] * (new.dim() - 1)), new, old)
