"""Chunked linear attention tile by tile, so that what one tile forms stays in the processor's cache.

A tile is some rows over some chunks. Tiles of the same rows hand the state on, backwards its gradient. What a call
needs beside inputs, outputs and what it keeps for the backward (one state a chunk, and for the delta rule what solved
its systems) does not grow with the length.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sightline.ops.chunked_delta import DeltaKept, delta_backward, delta_forward, delta_plain
from sightline.ops.chunked_linear import LinearKept, linear_backward, linear_forward
from sightline.ops.chunked_shared import SharedKept, shared_backward, shared_forward
from sightline.ops.chunks import Inputs, Outputs, join

TILE = 2048  # positions in a tile, all its rows and heads together
ROWS = 4  # rows in a tile, more where they are short
DELTA_ROWS = 8  # the same for the delta rule, whose products chunk by chunk two threads then share better


def forward_plain(given: Inputs, chunk: int) -> Outputs:
    """All in one, by operations that autograd records."""
    if given.beta is not None:
        return delta_plain(given, chunk)
    return (linear_forward if _shared(given) == 1 else shared_forward)(given, chunk)[0]


def forward_tiled(given: Inputs, chunk: int) -> Outputs:
    """The same without a graph."""
    with torch.no_grad():
        return _forward(given, chunk, None)


class Tiled(torch.autograd.Function):
    """`forward_tiled` with its backward written out, `Tiled.apply(chunk, *inputs)`."""

    @staticmethod
    def forward(ctx: Any, chunk: int, *given: Any) -> tuple[Tensor, Tensor, Tensor | None]:
        kept: list[Any] = []
        outputs = _forward(Inputs(*given), chunk, kept)
        ctx.chunk = chunk
        wanted = outputs.keys is not None or _shared(Inputs(*given)) > 1
        ctx.save_for_backward(*given, outputs.y if wanted else None, *kept)
        return tuple(outputs)  # type: ignore[return-value]

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        saved, inputs = ctx.saved_tensors, len(Inputs._fields)
        given, to = Inputs(*saved[:inputs]), Outputs(*gradients)
        with torch.autocast(given.q.device.type, enabled=False):
            if torch.is_grad_enabled():  # the caller wants to differentiate this gradient
                return None, *_backward_plain(given, ctx.chunk, to)
            return None, *_backward(given, ctx.chunk, saved[inputs], list(saved[inputs + 1 :]), to)


def _tiles(given: Inputs, chunk: int) -> tuple[list[slice], list[slice]]:
    """The rows and the spans of positions that tiles are made of."""
    rows, length = given.q.shape[:2]
    size, most = TILE // _shared(given), ROWS if given.beta is None else DELTA_ROWS
    span = max(1, size // (min(rows, max(1, most // _shared(given))) * chunk)) * chunk
    high = max(1, size // min(span, length))
    return _cuts(rows, high), _cuts(length, span)


def _shared(given: Inputs) -> int:
    """The heads that share a row's queries and keys."""
    return given.v.shape[2] if given.v.dim() == 4 else 1


def _form(given: Inputs) -> Any:
    """Forward, what it keeps, and backward."""
    if given.beta is not None:
        return delta_forward, DeltaKept, delta_backward
    if _shared(given) > 1:
        return shared_forward, SharedKept, shared_backward
    return linear_forward, LinearKept, linear_backward


def _cuts(size: int, step: int) -> list[slice]:
    return [slice(first, min(first + step, size)) for first in range(0, size, step)]


def _forward(given: Inputs, chunk: int, kept: list[Any] | None) -> Outputs:
    """The outputs; what the backward wants of each tile is added to `kept`."""
    run = _form(given)[0]
    y, memories = torch.empty_like(given.v), torch.empty_like(given.memory)
    sums = None if given.keys is None else torch.empty_like(given.keys)
    of_rows, of_spans = _tiles(given, chunk)
    for rows in of_rows:
        memory, keys = given.memory[rows], None if given.keys is None else given.keys[rows]
        for span in of_spans:
            (of_y, memory, keys), of_tile = run(given.cut(rows, span, memory, keys), chunk)
            _write(y[rows, span], of_y)
            if kept is not None:
                kept += [memory, keys, *of_tile]
        memories[rows] = memory
        if sums is not None and keys is not None:
            sums[rows] = keys
    return Outputs(y, memories, sums)


def _backward(given: Inputs, chunk: int, y: Tensor | None, kept: list[Any], to: Outputs) -> Inputs:
    """Gradients of the inputs, tiles in the reverse order."""
    _, kind, back = _form(given)
    size = 2 + len(kind._fields)
    found: Any = Inputs(*(_place(x) for x in given))
    of_rows, of_spans = _tiles(given, chunk)
    for rows in reversed(of_rows):
        to_memory, to_keys = to.memory[rows], None if to.keys is None else to.keys[rows]
        for span in reversed(of_spans):
            memory, keys, *of_tile = kept[-size:]
            del kept[-size:]
            given_here = given.cut(rows, span, given.memory[rows], None)
            outputs = Outputs(to.y if y is None else y[rows, span], memory, keys)
            here = back(given_here, chunk, outputs, kind(*of_tile), Outputs(to.y[rows, span], to_memory, to_keys))
            to_memory, to_keys = here.memory, here.keys
            _put(found, rows, span, here)
        found.memory[rows] = to_memory
        if found.keys is not None and to_keys is not None:
            found.keys[rows] = to_keys
    return found


def _place(x: Any) -> Any:
    """Where the gradient of an input goes: tiles write every number, but add up those of a constant decay."""
    if x is None or x.dtype == torch.bool:
        return None
    return torch.zeros_like(x) if x.dim() == 1 else torch.empty_like(x)


def _put(found: Inputs, rows: slice, span: slice, here: Inputs) -> None:
    """Write a tile's gradients to their places; those of a constant decay add up."""
    for name in ("q", "k", "v", "beta", "decay"):
        whole, part = getattr(found, name), getattr(here, name)
        if part is None:
            continue
        if whole.dim() == 1:
            whole[rows] += part
        else:
            _write(whole[rows, span], part)


def _write(place: Tensor, part: Tensor) -> None:
    """Copy rows (R, T, …), or chunks of them (R, N, C, …) of which the last may be filled up, to their place."""
    if part.dim() > place.dim() and place.shape[1] == part.shape[1] * part.shape[2]:
        place = place.unflatten(1, part.shape[1:3])
    elif part.dim() > place.dim():
        part = join(part, place.shape[1])
    place.copy_(part)


def _backward_plain(given: Inputs, chunk: int, to: Outputs) -> tuple[Tensor | None, ...]:
    """Gradients of the inputs that can be differentiated in turn."""
    pairs = [(y, g) for y, g in zip(forward_plain(given, chunk), to, strict=True) if y is not None and y.requires_grad]
    wanted = [x for x in given if x is not None and x.requires_grad]
    outputs, gradients = [y for y, _ in pairs], [g for _, g in pairs]
    found = iter(torch.autograd.grad(outputs, wanted, gradients, create_graph=True, materialize_grads=True))
    return tuple(next(found) if x is not None and x.requires_grad else None for x in given)
