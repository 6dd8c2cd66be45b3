"""Configurations of mechanisms through `torch.export`, at other sizes than the example has.

`python -m tests.mixers.exported_mixers window:0 window:1 gru:0` prints a line of JSON for each of them. The process has
no checked types: sizes that are left open are no Python integers.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from sightline.core.mixer import Memory
from sightline.export.equality import TOLERANCE
from sightline.export.torch_state import StateForm
from sightline.mixers import MIXERS
from sightline.testing import Subject

OPEN: Any = torch.export.Dim.DYNAMIC
EXAMPLE = (3, 11, 5)  # rows, positions, positions of the memory
SIZES = (EXAMPLE, (2, 29, 7), (1, 1, 1), (5, 3, 2), (2, 150, 9))
STEPS = 3


class Whole(nn.Module):
    """A whole sequence from the initial state; the outputs, and the tensors of the state after it."""

    def __init__(self, module: Any, form: StateForm | None) -> None:
        super().__init__()
        self.module, self.form = module, form

    def forward(self, x: Tensor, mask: Tensor | None, memory: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if self.form is None:
            return (self.module(x, mask),)
        state = self.module.initial_state(x.shape[0], Memory(*memory) if memory else None)
        if mask is None and StateForm.unsettled(state):  # as exports do: with a mask a window has its full size
            mask = torch.ones(x.shape[:2], dtype=torch.bool)
        y, state = self.module(x, state, mask)
        return (y, *self.form.take(state))


class Step(nn.Module):
    """One position."""

    def __init__(self, module: Any, form: StateForm) -> None:
        super().__init__()
        self.module, self.form = module, form

    def forward(self, x_t: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        y, after = self.module.step(x_t, self.form.fill(state))
        return (y, *self.form.take(after))


def inputs_of(subject: Subject, sizes: tuple[int, int, int], *, masked: bool) -> tuple[Any, ...]:
    """Sequences, a mask with padding on both sides and in between, and a memory."""
    rows, length, positions = sizes
    mask = torch.ones(rows, length, dtype=torch.bool)
    for row in range(rows):
        mask[row, length - row % length :] = False
        mask[row, : row % 2 if length > 3 else 0] = False
        mask[row, length // 2 : length // 2 + row % 2 if length > 5 else 0] = False
    memory = subject.memory(rows, torch.float32, positions)
    x = subject.x(rows, length, torch.float32)
    return x, mask if masked else None, () if memory is None else tuple(memory)


def export(module: nn.Module, inputs: tuple[Any, ...], sizes: Any) -> Any:
    """The exported module, a program that is called as it is."""
    return torch.export.export(module, inputs, dynamic_shapes=sizes)


def leave_open(tensor: Tensor | None, axes: tuple[int, ...]) -> dict[int, Any] | None:
    return None if tensor is None else dict.fromkeys(axes, OPEN)


@torch.no_grad()
def check(config: Any, *, masked: bool) -> str:
    """ "holds", or what does not."""
    subject = Subject(config)
    module = subject.module(torch.float32)
    form = StateForm() if subject.is_mixer else None
    x, mask, memory = inputs = inputs_of(subject, EXAMPLE, masked=masked)
    of_memory = tuple(leave_open(part, (0, 1) if place < 2 else (0,)) for place, part in enumerate(memory))
    sizes = leave_open(x, (0, 1)), leave_open(mask, (0, 1)), of_memory
    whole = export(Whole(module, form), inputs, sizes)
    begin, step = whole.module(), None
    if form is not None:
        state, axes = form.example(whole, begin(*inputs)[1:])
        open_axes = {0: OPEN}, tuple(leave_open(state[name], tuple(axes[name])) for name in form.names)
        step = export(Step(module, form), (x[:, 0], *state.values()), open_axes).module()
    for sizes in SIZES:
        x, mask, memory = inputs = inputs_of(subject, sizes, masked=masked)
        y, *state = begin(*inputs)
        if step is None:
            if not close(y, module(x, mask)):
                return f"differs as a whole at {sizes}"
            continue
        expected, carried = module(x, module.initial_state(len(x), Memory(*memory) if memory else None), mask)
        if not close(y, expected):
            return f"differs as a whole at {sizes}"
        for place, x_t in enumerate(subject.x(len(x), STEPS, torch.float32, "next").unbind(1)):
            expected, carried = module.step(x_t, carried)
            y, *state = step(x_t, *state)
            if not close(y, expected):
                return f"differs at step {place} after {sizes}"
    return "holds"


def close(ours: Tensor, theirs: Tensor) -> bool:
    """Equal up to 1e-5 for values around 1; in a sum of many terms single numbers may lose more digits."""
    if ours.shape != theirs.shape:
        return False
    return float((ours - theirs).abs().max()) <= TOLERANCE * max(1.0, float(theirs.abs().max()))


def outcome(config: Any, *, masked: bool) -> str:
    try:
        return check(config, masked=masked)
    except ValueError as error:  # a refusal of our own; others are failures
        return f"refused: {error}"


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of torch's exporter, about itself
    torch.set_num_threads(1)
    for each in sys.argv[1:]:
        name, number = each.split(":")[0], int(each.split(":")[1])
        config = tuple(dict.fromkeys((MIXERS[name](), *MIXERS[name].examples())))[number]
        masked = outcome(config, masked=True)
        # Without a mask fewer operations are recorded, but attention has another path.
        plain = outcome(config, masked=False) if number < 2 else masked
        print(json.dumps({"name": name, "number": number, "masked": masked, "plain": plain}), flush=True)
