"""Laws beyond the first block: kernels work by blocks of 16 to 128 positions, and lose things at the borders.

All comparisons are in float64, since sums over more positions would need wider tolerances in float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from sightline.core.state import leaves
from sightline.testing.findings import Finding, close, same, true, zero
from sightline.testing.laws.chunks import gradients
from sightline.testing.laws.numerics import run_reference
from sightline.testing.subject import NotApplicable, Subject, feed, normal, rows, steps

ROWS = 2
LENGTH = 151  # odd, with nine borders of blocks of 16, two of 64 and one of 128
CHUNKS = (37, 1, 64, 49)
FUTURES = (70, 130)  # where the future of each row begins: in the second block of 64, and in the second of 128

# The documents of each row: at which positions they begin, and where the row has padding.
STARTS = ((70,), (133,))
PADDING = ((slice(75, 80), slice(148, None)), (slice(0, 3), slice(90, 92)))


def across_blocks(subject: Subject) -> Iterator[Finding]:
    """Along 151 positions: steps and chunks = whole, with gradients; causality; packed = alone; the reference.

    A declared limit on positions may be refused by `ValueError`.
    """
    module, x, memory = subject.module(), subject.x(ROWS, LENGTH), subject.memory(ROWS)
    flags = _flags()
    try:
        with torch.no_grad():
            y, state = subject.whole(module, x, memory, *flags)
    except ValueError as refusal:
        raise NotApplicable(f"refuses {LENGTH} positions: {refusal}") from refusal
    yield zero(y[~flags[0]], "outputs at padding")
    if subject.is_mixer:
        yield from _fed(subject, y, state, *flags)
        yield from _fed(subject, *_plain(subject))
        yield close(gradients(subject, CHUNKS, batch=ROWS), gradients(subject, (LENGTH,), batch=ROWS), "gradients")
        yield from _gradients_to_the_future(subject)
    yield from _packed(subject)
    if subject.reference is not None:
        expected = run_reference(subject.reference, subject.config, module, x, memory, *flags)
        yield close(y, torch.from_numpy(expected), f"the reference along {LENGTH} positions")


def _plain(subject: Subject) -> tuple[Tensor, Any]:
    with torch.no_grad():
        return subject.whole(subject.module(), subject.x(ROWS, LENGTH), subject.memory(ROWS))


def _flags() -> tuple[Tensor, Tensor]:
    """A mask and document starts (B, T)."""
    mask, starts = torch.ones(ROWS, LENGTH, dtype=torch.bool), torch.zeros(ROWS, LENGTH, dtype=torch.bool)
    for row in range(ROWS):
        starts[row, list(STARTS[row])] = True
        for hole in PADDING[row]:
            mask[row, hole] = False
    return mask, starts


def _fed(
    subject: Subject, y: Tensor, state: Any, mask: Tensor | None = None, starts: Tensor | None = None
) -> Iterator[Finding]:
    """Outputs y and final state of the whole, beside those of chunks, of single steps, and of another future."""
    module, x, memory = subject.module(), subject.x(ROWS, LENGTH), subject.memory(ROWS)
    suffix = "" if mask is None else " with mask and starts"
    another, past = 1e3 * subject.x(ROWS, LENGTH, name="another future"), _past()
    with torch.no_grad():
        first = module.initial_state(ROWS, memory)
        fed = {f"in chunks {CHUNKS}": feed(module, x, first, CHUNKS, mask, starts)}
        if mask is None:
            fed[f"in {LENGTH} steps"] = steps(module, x, first)
        changed, _ = subject.whole(module, torch.where(past.unsqueeze(2), x, another), memory, mask, starts)
    for how, (outputs, after) in fed.items():
        yield close(outputs, y, f"outputs {how}{suffix}")
        yield close(leaves(after), leaves(state), f"state {how}{suffix}")
    yield same(changed[past], y[past], f"outputs before {FUTURES} under a changed future{suffix}")


def _past() -> Tensor:
    """The positions (B, T) of each row before its future."""
    return torch.arange(LENGTH) < torch.tensor(FUTURES).unsqueeze(1)


def _gradients_to_the_future(subject: Subject) -> Iterator[Finding]:
    """From the last output of each row before its future."""
    x, past = subject.x(ROWS, LENGTH).requires_grad_(), _past()
    y, _ = subject.whole(subject.module(), x, subject.memory(ROWS))
    last = [y[row, future - 1] for row, future in enumerate(FUTURES)]
    (gradient,) = torch.autograd.grad(_score(last), x)
    yield zero(gradient[~past], f"gradient to the future, from {FUTURES}")
    yield true(bool((gradient[past] != 0).any()), "outputs depend on present or past inputs")


def _packed(subject: Subject) -> Iterator[Finding]:
    """Documents packed into a row with padding among them give outputs and gradients of each alone."""
    mask, starts = _flags()
    module, memory = subject.module(), subject.memory(ROWS)
    x = subject.x(ROWS, LENGTH).requires_grad_()
    y, _ = subject.whole(module, x, memory, mask, starts)
    packed, alone = [], []
    for row, positions in _documents(mask):
        packed.append(y[row, positions])
        own = rows(memory, slice(row, row + 1))
        alone.append(subject.whole(module, x[row : row + 1, positions], own)[0][0])
    yield close(packed, alone, f"documents of {', '.join(str(len(part)) for part in alone)} positions")
    inputs = [x, *module.parameters()]
    of_packed, of_alone = (
        torch.autograd.grad(_score(parts), inputs, materialize_grads=True, retain_graph=True)
        for parts in (packed, alone)
    )
    yield close(of_packed, of_alone, "gradients of documents")


def _documents(mask: Tensor) -> list[tuple[int, Tensor]]:
    """(row, real positions) of every document."""
    places = []
    for row in range(ROWS):
        for begin, end in pairwise((0, *STARTS[row], LENGTH)):
            places.append((row, begin + mask[row, begin:end].nonzero().squeeze(1)))
    return places


def _score(parts: Sequence[Tensor]) -> Tensor:
    """A number that depends on every output."""
    weighted = [(part * normal(part.shape, f"weights of part {i}")).sum() for i, part in enumerate(parts)]
    return torch.stack(weighted).sum()
