"""Shapes and dtypes, and every size that a caller may come with."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from sightline.core.mixer import Memory
from sightline.core.state import leaves, map_state
from sightline.testing.findings import Finding, close, refused, same, true, zero
from sightline.testing.subject import BATCH, LENGTH, Subject, packed, ragged, rows


def shape_and_dtype(subject: Subject) -> Iterator[Finding]:
    """Outputs are (B, T, d_out) in the input's dtype, state leaves have the batch first, bad arguments are refused.

    A state is in the input's dtype, or in float32 where 16 bits are too few to sum up in.
    """
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        module = subject.module(dtype)
        x, memory = subject.x(dtype=dtype), subject.memory(dtype=dtype)
        y, state = subject.whole(module, x, memory)
        expected = (BATCH, LENGTH, module.d_out)
        yield true(y.shape == expected, f"output of shape {expected}, got {tuple(y.shape)}")
        yield true(y.dtype == dtype, f"output in {dtype}, got {y.dtype}")
        yield same(subject.whole(module, x, memory)[0], y, "the same call twice")
        mask = ragged()
        masked, _ = subject.whole(module, x, memory, mask, packed())
        yield zero(masked[~mask], "outputs at masked positions")
        if subject.is_mixer:
            y_t, after = module.step(x[:, 0], state)
            yield true(y_t.shape == (BATCH, module.d_out) and y_t.dtype == dtype, "step gives (B, d_out) in its dtype")
            for leaf in [*leaves(module.initial_state(BATCH, memory)), *leaves(state), *leaves(after)]:
                yield true(leaf.shape[0] == BATCH, f"state leaves with the batch on axis 0, got {tuple(leaf.shape)}")
                fits = not leaf.is_floating_point() or leaf.dtype in (dtype, torch.promote_types(dtype, torch.float32))
                yield true(fits, f"state in {dtype}, or float32 where that is wider, got {leaf.dtype}")
    yield from _refusals(subject)


def _refusals(subject: Subject) -> Iterator[Finding]:
    module, x, memory = subject.module(), subject.x(), subject.memory()
    yield true(module.d_model == subject.d_model, f"attribute d_model is {subject.d_model}")
    length = f"{LENGTH - 1} positions beside an input of {LENGTH}"
    yield refused(lambda: subject.whole(module, x[..., :-1], memory), f"an input of width {subject.d_model - 1}")
    yield refused(lambda: subject.whole(module, x[0], memory), f"an input of shape {tuple(x[0].shape)}")
    yield refused(lambda: subject.whole(module, x, memory, mask=ragged().double()), "a mask that is not bool")
    yield refused(lambda: subject.whole(module, x, memory, mask=ragged()[:, 1:]), f"a mask of {length}")
    yield refused(lambda: subject.whole(module, x, memory, starts=packed().long()), "starts that are not bool")
    if memory is not None:
        yield refused(lambda: module.initial_state(BATCH), "a missing memory")
        if subject.d_memory is not None:
            narrow = memory._replace(values=memory.values[..., :-1])
            yield refused(lambda: module.initial_state(BATCH, narrow), f"a memory of width {subject.d_memory - 1}")
    elif subject.is_mixer:
        yield same(module(x)[0], subject.whole(module, x)[0], "no state given = the initial state")


def sizes(subject: Subject) -> Iterator[Finding]:
    """T of 0, 1, 2, B of 0, 1, memories of length 0 and 1, odd widths, strided and expanded inputs, none mutated."""
    yield from _small(subject)
    yield from _strided(subject)
    yield from _widths(subject)


def _small(subject: Subject) -> Iterator[Finding]:
    module = subject.module()
    longest = subject.x(2, 2)
    for batch in (0, 1, 2):
        memory = rows(subject.memory(2), slice(0, batch))
        for length in (0, 1, 2):
            x = longest[:batch, :length]
            flags = torch.ones(batch, length, dtype=torch.bool)
            for mask, starts in ((None, None), (flags, None), (None, ~flags), (flags, ~flags)):
                y, state = subject.whole(module, x, memory, mask, starts)
                yield true(y.shape == (batch, length, module.d_out), f"B = {batch}, T = {length}")
                if subject.is_mixer:
                    whole, _ = subject.whole(module, longest[:batch], rows(subject.memory(2), slice(0, batch)))
                    rest, _ = module(longest[:batch, length:], state)
                    yield close(torch.cat([y, rest], 1), whole, f"B = {batch}, T = {length}, then the rest")
    if subject.d_memory is not None:
        for length in (0, 1):
            y, _ = subject.whole(module, longest, subject.memory(2, length=length))
            yield true(bool(torch.isfinite(y).all()), f"finite outputs with a memory of {length}")


def _strided(subject: Subject) -> Iterator[Finding]:
    for dtype in (torch.float64, torch.float32):
        module, x, memory = subject.module(dtype), subject.x(dtype=dtype), subject.memory(dtype=dtype)
        mask, starts = ragged(), packed()
        expected, _ = subject.whole(module, x, memory, mask, starts)
        far = memory and Memory(*map_state(_spread, memory[:2]), memory.summary)
        inputs = [_spread(x), _spread(mask), _spread(starts)]
        kept = [t.clone() for t in inputs]
        y, _ = subject.whole(module, inputs[0], far, inputs[1], inputs[2])
        yield close(y, expected, "strided inputs")
        yield same(inputs, kept, "inputs are not mutated")
        yield close(subject.whole(module, _spread(x), far)[0], subject.whole(module, x, memory)[0], "strided, no mask")
        one = x[:1, :1].expand(BATCH, LENGTH, -1)
        yield close(
            subject.whole(module, one, memory, mask[:1].expand(BATCH, -1))[0],
            subject.whole(module, one.contiguous(), memory, mask[:1].repeat(BATCH, 1))[0],
            "expanded inputs",
        )


def _spread(tensor: Tensor) -> Tensor:
    """The same values in storage that is transposed and has gaps."""
    wide = torch.zeros(*[2 * size for size in reversed(tensor.shape)], dtype=tensor.dtype)
    view = wide.permute(*range(tensor.dim() - 1, -1, -1))[tuple(slice(None, None, 2) for _ in tensor.shape)]
    view.copy_(tensor)
    return view


def _widths(subject: Subject) -> Iterator[Finding]:
    """Odd widths for each head: 1, 3 and 17 times every head count that divides; a width may be refused by name."""
    heads = getattr(subject.config, "heads", 1)
    for per_head in (1, 3, 17):
        d_model = per_head * heads
        try:
            module = subject.scattered(d_model=d_model)
        except ValueError:
            continue
        if getattr(module, "d_memory", None) not in (None, subject.d_memory):
            continue  # the width of the memory follows d_model
        x, memory = subject.x(d_model=d_model), subject.memory()
        whole, _ = subject.whole(module, x, memory, ragged())
        right, _ = subject.whole(module, x[:, :-1], memory, ragged()[:, :-1])
        yield true(bool(torch.isfinite(whole).all()), f"finite outputs at d_model = {d_model}")
        if subject.is_mixer:
            yield close(whole[:, :-1], right, f"a prefix at d_model = {d_model}")
