"""Who sees whom: causality, padding, content under a mask, and documents packed into one row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from sightline.core.mixer import Memory
from sightline.core.state import leaves
from sightline.testing.findings import Finding, close, finite, same, true, zero
from sightline.testing.subject import (
    BATCH,
    LENGTH,
    MEMORY,
    NotApplicable,
    Subject,
    map_floats,
    normal,
    packed,
    ragged,
    rows,
    steps,
)


def causality(subject: Subject) -> Iterator[Finding]:
    """The past is bit-identical under a changed future, the gradient to the future is 0, to the past it is not."""
    if not subject.is_mixer:
        raise NotApplicable("an encoder sees the whole sequence")
    for dtype in subject.dtypes:
        module, x, memory = subject.module(dtype), subject.x(dtype=dtype), subject.memory(dtype=dtype)
        changed = 1e3 * subject.x(dtype=dtype, name="another future")
        for mask, starts in ((None, None), (ragged(), None), (ragged(), packed())):
            y, _ = subject.whole(module, x, memory, mask, starts)
            for t in (1, 6, LENGTH - 1):
                other = torch.cat([x[:, :t], changed[:, t:]], 1)
                z, _ = subject.whole(module, other, memory, mask, starts)
                yield same(z[:, :t], y[:, :t], f"outputs before {t} under a changed future")
    module, memory = subject.module(), subject.memory()
    for t in (0, 5):
        x = subject.x().requires_grad_()
        y, _ = subject.whole(module, x, memory)
        weights = normal(y[:, t].shape, "weights of outputs")
        (gradient,) = torch.autograd.grad((y[:, t] * weights).sum(), x)
        yield zero(gradient[:, t + 1 :], "gradient to the future")
        yield true(bool((gradient[:, : t + 1] != 0).any()), "the output depends on present or past inputs")


def padding(subject: Subject) -> Iterator[Finding]:
    """Padding anywhere (left, right, in holes) gives the outputs of each row alone, two more steps included."""
    lengths = (LENGTH, 6, 3, 0)
    wide = LENGTH + 2
    for dtype in subject.dtypes:
        module, memory = subject.module(dtype), subject.memory(len(lengths), dtype)
        tokens = subject.x(len(lengths), LENGTH, dtype, "tokens")
        following = subject.x(len(lengths), 2, dtype, "the next tokens")
        for kind in ("left", "right", "holes"):
            x = 3 * subject.x(len(lengths), wide, dtype, "padding")
            mask = torch.zeros(len(lengths), wide, dtype=torch.bool)
            for row, length in enumerate(lengths):
                mask[row, _places(kind, length, wide)] = True
                x[row, mask[row]] = tokens[row, :length]
            y, state = subject.whole(module, x, memory, mask)
            yield zero(y[~mask], f"outputs at {kind} padding")
            stepped = steps(module, following, state)[0] if subject.is_mixer else y
            for row, length in enumerate(lengths):
                own = rows(memory, slice(row, row + 1))
                alone, final = subject.whole(module, tokens[row : row + 1, :length], own)
                yield close(y[row, mask[row]], alone[0], f"{length} of {wide} positions, padded: {kind}")
                if subject.is_mixer:
                    expected, _ = steps(module, following[row : row + 1], final)
                    yield close(stepped[row], expected[0], f"two steps after {length} of {wide}, padded: {kind}")
    yield from _padded_memory(subject)


def _places(kind: str, length: int, wide: int) -> Tensor:
    if kind == "left":
        return torch.arange(wide - length, wide)
    if kind == "right":
        return torch.arange(length)
    return normal((wide,), f"holes {length}").argsort()[:length].sort().values


def _padded_memory(subject: Subject) -> Iterator[Finding]:
    """A memory with padding anywhere reads as the memory without it."""
    if subject.d_memory is None:
        return
    for dtype in subject.dtypes:
        module, x = subject.module(dtype), subject.x(1, dtype=dtype)
        memory = subject.memory(1, dtype, masked=False)
        if memory is None:
            return
        expected, _ = subject.whole(module, x, memory)
        for kind in ("left", "right", "holes"):
            mask = torch.zeros(1, MEMORY + 4, dtype=torch.bool)
            mask[0, _places(kind, MEMORY, MEMORY + 4)] = True
            values = 3 * normal((1, MEMORY + 4, memory.values.shape[2]), "memory padding").to(dtype)
            values[mask] = memory.values[0]
            y, _ = subject.whole(module, x, Memory(values, mask, memory.summary))
            yield close(y, expected, f"a memory padded: {kind}")


def content_under_mask(subject: Subject) -> Iterator[Finding]:
    """Content under a mask, NaN too, changes no bit; fully masked rows give zeros and finite gradients."""
    for dtype in subject.dtypes:
        module, memory = subject.module(dtype), subject.memory(dtype=dtype)
        mask = ragged()
        mask[1] = False
        clean = subject.x(dtype=dtype).masked_fill(~mask.unsqueeze(-1), 0.0)
        expected, state = subject.whole(module, clean, memory, mask)
        yield zero(expected[1], "outputs of a fully masked row")
        for content in (float("nan"), float("inf"), 1e30):
            x = clean.masked_fill(~mask.unsqueeze(-1), content)
            y, after = subject.whole(module, x, memory, mask)
            yield same(y, expected, f"outputs over {content} under the mask")
            yield same(leaves(after), leaves(state), f"state over {content} under the mask")

        def call(x: Tensor, module: Any = module, memory: Memory | None = memory, mask: Tensor = mask) -> Tensor:
            return subject.whole(module, x, memory, mask)[0]

        yield from _gradients_over(module, call, clean, mask, "the mask")
        yield from _memory_content(subject, dtype)


def _memory_content(subject: Subject, dtype: torch.dtype) -> Iterator[Finding]:
    """The same for the memory's mask, with one row that has no memory at all."""
    module, x, memory = subject.module(dtype), subject.x(dtype=dtype), subject.memory(dtype=dtype)
    if memory is not None and memory.mask is not None:
        mask = memory.mask.clone()
        mask[0] = False

        def call(values: Tensor) -> Tensor:
            return subject.whole(module, x, Memory(values, mask, memory.summary))[0]

        yield from _gradients_over(module, call, memory.values, mask, "the memory's mask")


def _gradients_over(
    module: Any, call: Callable[[Tensor], Tensor], clean: Tensor, mask: Tensor, where: str
) -> Iterator[Finding]:
    """Outputs and gradients of call(x) do not depend on what x, elsewhere `clean`, contains at masked positions."""
    results = []
    for content in (0.0, float("nan"), float("inf")):
        x = clean.masked_fill(~mask.unsqueeze(-1), content).requires_grad_()
        y = call(x)
        weights = normal(y.shape, "weights").to(y.dtype)
        gradients = torch.autograd.grad((y * weights).sum(), [x, *module.parameters()], allow_unused=True)
        results.append([y, *(g for g in gradients if g is not None)])
        yield finite(results[-1], f"outputs and gradients over {content} under {where}")
        if gradients[0] is not None:
            yield zero(gradients[0][~mask], f"gradient to {content} under {where}")
    for other in results[1:]:
        yield same(other, results[0], f"outputs and gradients, whatever is under {where}")


# Rows of documents: the lengths, and how much padding comes before each.
ROWS = (((11,), (0,)), ((4, 1, 6), (0, 0, 0)), ((3, 2, 4), (2, 1, 1)), ((0, 5, 0, 3), (1, 2, 1, 0)))
WIDE = 13


def packed_is_alone(subject: Subject) -> Iterator[Finding]:
    """Documents packed into rows, with padding among them, give what each gives alone; gradients stay inside."""
    layout, mask, starts = _documents()
    for dtype in subject.dtypes:
        module, memory = subject.module(dtype), subject.memory(len(ROWS), dtype)
        x = subject.x(len(ROWS), WIDE, dtype, "documents")
        y, state = subject.whole(module, x, memory, mask, starts)
        yield zero(y[~mask], "outputs at padding")
        following = subject.x(len(ROWS), 1, dtype, "the next token")
        for row, places in layout:
            own = rows(memory, slice(row, row + 1))
            alone, final = subject.whole(module, x[row : row + 1, places], own)
            yield close(y[row, places], alone[0], f"a document of {len(places)}")
        if subject.is_mixer:
            stepped, _ = module.step(following[:, 0], state)
            for row, places in dict(layout).items():  # the last document of each row
                _, final = subject.whole(module, x[row : row + 1, places], rows(memory, slice(row, row + 1)))
                expected, _ = module.step(following[row : row + 1, 0], final)
                yield close(stepped[row], expected[0], "the step after the last document")
            yield from _new_document_in_new_call(subject, dtype)
        dense = torch.arange(LENGTH) % 4 == 2
        y, _ = subject.whole(module, x[:1, :LENGTH], rows(memory, slice(0, 1)), None, dense.unsqueeze(0))
        alone, _ = subject.whole(module, x[:1, 6:10], rows(memory, slice(0, 1)))
        yield close(y[:, 6:10], alone, "a document without any padding")
    yield from _isolated(subject)


def _documents() -> tuple[list[tuple[int, list[int]]], Tensor, Tensor]:
    """(row, positions) of every document, row by row and in order; and mask and starts (B, T).

    A document's start is flagged at the padding before it where there is some.
    """
    layout = []
    mask, starts = torch.zeros(2, len(ROWS), WIDE, dtype=torch.bool)
    for row, (lengths, gaps) in enumerate(ROWS):
        at = 0
        for number, (length, gap) in enumerate(zip(lengths, gaps, strict=True)):
            if number or row % 2:  # a row may begin with or without a flag
                starts[row, at] = True
            layout.append((row, list(range(at + gap, at + gap + length))))
            mask[row, at + gap : at + gap + length] = True
            at += gap + length
    return layout, mask, starts


def _new_document_in_new_call(subject: Subject, dtype: torch.dtype) -> Iterator[Finding]:
    """Starts at the first position of a later call: some rows start again there, the others continue."""
    module, x, memory = subject.module(dtype), subject.x(dtype=dtype), subject.memory(dtype=dtype)
    _, state = subject.whole(module, x[:, :5], memory)
    starts = torch.zeros(BATCH, LENGTH - 5, dtype=torch.bool)
    starts[1, 0] = True
    y, _ = module(x[:, 5:], state, None, starts)
    continued, _ = subject.whole(module, x, memory)
    alone, _ = subject.whole(module, x[:, 5:], memory)
    yield close(y[1], alone[1], "a document that begins with a call")
    yield close(y[::2], continued[::2, 5:], "rows that continue beside one that starts again")


def _isolated(subject: Subject) -> Iterator[Finding]:
    """No gradient crosses the border of a document."""
    module, memory = subject.module(), subject.memory()
    x = subject.x().requires_grad_()
    starts = torch.zeros(BATCH, LENGTH, dtype=torch.bool)
    starts[:, 6] = True
    y, _ = subject.whole(module, x, memory, None, starts)
    (gradient,) = torch.autograd.grad(y[:, 6:].square().sum(), x, retain_graph=True)
    yield zero(gradient[:, :6], "gradient to the document before")
    (gradient,) = torch.autograd.grad(y[:, :6].square().sum(), x)
    yield zero(gradient[:, 6:], "gradient to the document after")
    if subject.is_mixer:
        _, before = subject.whole(module, x[:, :4].detach(), memory)
        other = map_floats(lambda t: t + 1, before)
        starts = torch.ones(BATCH, 1, dtype=torch.bool).expand(BATCH, 1)
        if memory is None:
            yield same(
                module(x[:, 4:5], other, None, starts)[0],
                module(x[:, 4:5], before, None, starts)[0],
                "a new document whatever the state held",
            )
