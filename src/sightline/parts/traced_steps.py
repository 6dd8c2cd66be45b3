"""A sequential mechanism over rows of any length, as `torch.export` records it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from sightline.core.mixer import SequenceMixer
from sightline.core.shapes import Mask, MixedSequences, Sequences, Starts
from sightline.core.state import leaves, map_state, replaced
from sightline.ops.traced import traced_scan

S = TypeVar("S")


def step_by_step(
    mixer: SequenceMixer[S], x: Sequences, state: S, mask: Mask | None, starts: Starts | None, fixed: Sequence[str] = ()
) -> tuple[MixedSequences, S]:
    """`mixer(x, state, mask, starts)`, one position a call, for lengths that `torch.export` leaves open.

    fixed: the fields of the state that no position changes
    """
    names, weights = zip(*mixer.named_parameters(), strict=True)
    kept = {name: getattr(state, name) for name in fixed}
    moving = replaced(state, **dict.fromkeys(fixed))
    flags = [flag for flag in (mask, starts) if flag is not None]

    def step(carried: Any, inputs: Any, constants: Any) -> Any:
        x_t, *flags_t = (part.unsqueeze(1) for part in inputs)
        flags_t = iter(flags_t)
        parameters = dict(zip(names, constants[: len(names)], strict=True))
        before = _filled(moving, carried)
        fields = _filled(tuple(kept.values()), constants[len(names) :])
        before = replaced(before, **dict(zip(kept, fields, strict=True)))
        arguments = (x_t, before, *(None if flag is None else next(flags_t) for flag in (mask, starts)))
        y, after = torch.func.functional_call(mixer, parameters, arguments)
        return tuple(leaves(replaced(after, **dict.fromkeys(fixed)))), (y.squeeze(1),)

    constants = [*weights, *leaves(tuple(kept.values()))]
    after, (y,) = traced_scan(step, list(leaves(moving)), [x, *flags], constants)
    return y, replaced(_filled(moving, after), **kept)


def _filled(like: S, tensors: Sequence[Tensor]) -> S:
    """A state like `like` with these tensors as its leaves."""
    remaining = iter(tensors)
    return map_state(lambda _: next(remaining), like)
