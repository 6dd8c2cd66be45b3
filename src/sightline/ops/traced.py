"""The operations that `torch.export` records instead of loops and branches that depend on a length or on values.

A trace has one path for all inputs. A Python loop over positions would write the example's length into it, and a branch
on values cannot be traced at all. So a loop becomes torch's operator `scan`; code asks `torch.compiler.is_exporting`
before it looks at values, and `any_length` before it looks at a length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sightline.core.shapes import AnyTensor

TracedTensors = tuple[AnyTensor, ...]


def any_length(*sizes: int | torch.SymInt) -> bool:
    """Whether `torch.export` traces and leaves one of these sizes open: no loop or choice may then depend on it."""
    return torch.compiler.is_exporting() and any(isinstance(size, torch.SymInt) for size in sizes)


def traced_scan(
    step: Callable[[TracedTensors, TracedTensors, TracedTensors], tuple[TracedTensors, TracedTensors]],
    carried: Sequence[AnyTensor],
    inputs: Sequence[AnyTensor],
    constants: Sequence[AnyTensor] = (),
) -> tuple[TracedTensors, TracedTensors]:
    """The carried tensors after a loop over axis 1 of the inputs (B, T, …), T >= 1, and its outputs (B, T, …).

    step(carried, inputs at one position, constants) returns the next carried tensors, in the shapes and dtypes of those
    before, and the outputs at that position. It may use no other tensors than these three. The operator runs
    position by position, in Python where nothing compiles the exported program.
    """
    # The function `scan` beside the operator would trace `step` with torch's compiler, which cannot read checked types.
    from torch._higher_order_ops.scan import scan_op

    sizes = len(carried), len(carried) + len(inputs)

    def flat(*tensors: Tensor) -> list[Tensor]:
        before, here, fixed = tensors[: sizes[0]], tensors[sizes[0] : sizes[1]], tensors[sizes[1] :]
        after, outputs = step(before, here, fixed)
        return [_contiguous(part) for part in (*after, *outputs)]  # no two may share memory

    first = [_contiguous(part) for part in carried]  # a tensor that is passed twice would be one input of the trace
    along = [part.movedim(1, 0) for part in inputs]
    results = scan_op(flat, first, along, tuple(constants))
    after, outputs = results[: sizes[0]], results[sizes[0] :]
    return tuple(after), tuple(part.movedim(0, 1) for part in outputs)


def _contiguous(x: Tensor) -> Tensor:
    """A copy in the memory format that is the same before and after a step."""
    return x.clone(memory_format=torch.contiguous_format)
