"""Chunked linear attention tile by tile, so that the intermediate results of a tile stay in the processor's cache.

A tile is some rows over some chunks. Tiles of the same rows pass the state on; in the backward they pass its gradient
in the opposite direction. The memory of a call does not grow with the length, apart from inputs, outputs and the
tensors that are kept for the backward: one state for each chunk, and the solved systems of the delta rule.
"""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor

from sightline.core.shapes import AnyFloat
from sightline.ops.chunked_delta import DeltaKept, delta_backward, delta_forward, delta_plain
from sightline.ops.chunked_linear import LinearKept, linear_backward, linear_forward
from sightline.ops.chunked_shared import SharedKept, shared_backward, shared_forward
from sightline.ops.chunks import LinearInputs, LinearOutputs, join
from sightline.ops.derivatives import differentiable_gradients

TILE = 2048  # positions in a tile, all its rows and heads together
ROWS = 4  # rows in a tile, more where they are short
DELTA_ROWS = 8  # the same for the delta rule, whose products chunk by chunk two threads then share better


def forward_plain(inputs: LinearInputs, chunk: int) -> LinearOutputs:
    """All chunks at once, by operations that autograd records."""
    if inputs.beta is not None:
        return delta_plain(inputs, chunk)
    return (linear_forward if _shared(inputs) == 1 else shared_forward)(inputs, chunk)[0]


def forward_tiled(inputs: LinearInputs, chunk: int) -> LinearOutputs:
    """The same without a graph."""
    with torch.no_grad():
        return _forward(inputs, chunk, None)


@final
class Tiled(torch.autograd.Function):
    """`forward_tiled` with an explicit backward: `Tiled.apply(chunk, *inputs)`."""

    @staticmethod
    def forward(ctx: Any, chunk: int, *inputs: Any) -> tuple[AnyFloat, AnyFloat, AnyFloat | None]:
        kept: list[Any] = []
        outputs = _forward(LinearInputs(*inputs), chunk, kept)
        ctx.chunk = chunk
        needed = outputs.keys is not None or _shared(LinearInputs(*inputs)) > 1
        ctx.save_for_backward(*inputs, outputs.y if needed else None, *kept)
        return tuple(outputs)  # type: ignore[return-value]

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[AnyFloat | None, ...]:
        saved, count = ctx.saved_tensors, len(LinearInputs._fields)
        inputs, to = LinearInputs(*saved[:count]), LinearOutputs(*gradients)
        with torch.autocast(inputs.q.device.type, enabled=False):
            if torch.is_grad_enabled():  # for a derivative of the derivative
                outputs, needed = forward_plain(inputs, ctx.chunk), ctx.needs_input_grad[1:]
                return None, *differentiable_gradients(outputs, inputs, to, needed)
            return None, *_backward(inputs, ctx.chunk, saved[count], list(saved[count + 1 :]), to)


def _tiles(inputs: LinearInputs, chunk: int) -> tuple[list[slice], list[slice]]:
    """The rows and the spans of positions that tiles are made of."""
    rows, length = inputs.q.shape[:2]
    size, most = TILE // _shared(inputs), ROWS if inputs.beta is None else DELTA_ROWS
    span = max(1, size // (min(rows, max(1, most // _shared(inputs))) * chunk)) * chunk
    high = max(1, size // min(span, length))
    return _cuts(rows, high), _cuts(length, span)


def _shared(inputs: LinearInputs) -> int:
    """The heads that share a row's queries and keys."""
    return inputs.v.shape[2] if inputs.v.dim() == 4 else 1


def _form(inputs: LinearInputs) -> Any:
    """The forward, the type of what it keeps, and the backward."""
    if inputs.beta is not None:
        return delta_forward, DeltaKept, delta_backward
    if _shared(inputs) > 1:
        return shared_forward, SharedKept, shared_backward
    return linear_forward, LinearKept, linear_backward


def _cuts(size: int, step: int) -> list[slice]:
    return [slice(first, min(first + step, size)) for first in range(0, size, step)]


def _forward(inputs: LinearInputs, chunk: int, kept: list[Any] | None) -> LinearOutputs:
    """The outputs; the tensors that the backward reads of each tile are added to `kept`."""
    run = _form(inputs)[0]
    y, memories = torch.empty_like(inputs.v), torch.empty_like(inputs.memory)
    sums = None if inputs.keys is None else torch.empty_like(inputs.keys)
    of_rows, of_spans = _tiles(inputs, chunk)
    for rows in of_rows:
        memory, keys = inputs.memory[rows], None if inputs.keys is None else inputs.keys[rows]
        for span in of_spans:
            (of_y, memory, keys), of_tile = run(inputs.cut(rows, span, memory, keys), chunk)
            _write(y[rows, span], of_y)
            if kept is not None:
                kept += [memory, keys, *of_tile]
        memories[rows] = memory
        if sums is not None and keys is not None:
            sums[rows] = keys
    return LinearOutputs(y, memories, sums)


def _backward(inputs: LinearInputs, chunk: int, y: Tensor | None, kept: list[Any], to: LinearOutputs) -> LinearInputs:
    """Gradients of the inputs, tiles in the reverse order."""
    _, kind, back = _form(inputs)
    size = 2 + len(kind._fields)
    gradients: Any = LinearInputs(*(_gradient_buffer(x) for x in inputs))
    of_rows, of_spans = _tiles(inputs, chunk)
    for rows in reversed(of_rows):
        to_memory, to_keys = to.memory[rows], None if to.keys is None else to.keys[rows]
        for span in reversed(of_spans):
            memory, keys, *of_tile = kept[-size:]
            del kept[-size:]
            tile = inputs.cut(rows, span, inputs.memory[rows], None)
            outputs = LinearOutputs(to.y if y is None else y[rows, span], memory, keys)
            here = back(tile, chunk, outputs, kind(*of_tile), LinearOutputs(to.y[rows, span], to_memory, to_keys))
            to_memory, to_keys = here.memory, here.keys
            _put(gradients, rows, span, here)
        gradients.memory[rows] = to_memory
        if gradients.keys is not None and to_keys is not None:
            gradients.keys[rows] = to_keys
    return gradients


def _gradient_buffer(x: Any) -> Any:
    """Memory for the gradient of an input: tiles write every number, but sum the gradients of a constant decay."""
    if x is None or x.dtype == torch.bool:
        return None
    return torch.zeros_like(x) if x.dim() == 1 else torch.empty_like(x)


def _put(gradients: LinearInputs, rows: slice, span: slice, here: LinearInputs) -> None:
    """Write a tile's gradients into those of all tiles; gradients of a constant decay are summed."""
    for name in ("q", "k", "v", "beta", "decay"):
        whole, part = getattr(gradients, name), getattr(here, name)
        if part is None:
            continue
        if whole.dim() == 1:
            whole[rows] += part
        else:
            _write(whole[rows, span], part)


def _write(place: Tensor, part: Tensor) -> None:
    """Copy rows (R, T, …), or chunks of them (R, N, C, …) of which the last may be filled up, into `place`."""
    if part.dim() > place.dim() and place.shape[1] == part.shape[1] * part.shape[2]:
        place = place.unflatten(1, part.shape[1:3])
    elif part.dim() > place.dim():
        part = join(part, place.shape[1])
    place.copy_(part)
