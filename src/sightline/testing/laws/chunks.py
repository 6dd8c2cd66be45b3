"""A sequence fed in any chunks gives the same results as the whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from sightline.core.state import leaves, map_state
from sightline.testing.findings import Finding, close
from sightline.testing.subject import BATCH, LENGTH, Subject, feed, floats, map_floats, normal, packed, ragged, steps

CHUNKINGS = ((1,) * LENGTH, (4, 7), (2, 0, 3, 1, 5), (LENGTH - 1, 1))


def step_is_parallel(subject: Subject) -> Iterator[Finding]:
    """`step`, position by position, gives the outputs and the final state of one `forward`."""
    subject.need_mixer("step")
    for dtype in (*subject.dtypes, torch.bfloat16):
        module, x, memory = subject.module(dtype), subject.x(dtype=dtype), subject.memory(dtype=dtype)
        with torch.no_grad():
            y, state = module(x, module.initial_state(len(x), memory))
            stepped, after = steps(module, x, module.initial_state(len(x), memory))
        yield close(stepped, y, "outputs")
        yield close(_rounded(after, dtype), _rounded(state, dtype), "state")
        with torch.no_grad():  # a prompt in one piece, with padding, then single steps
            y, _ = module(x, module.initial_state(len(x), memory))
            _, state = module(x[:, :4], module.initial_state(len(x), memory), torch.ones(len(x), 4, dtype=torch.bool))
            stepped, _ = steps(module, x[:, 4:], state)
        yield close(stepped, y[:, 4:], "outputs after a prompt")


def _rounded(state: Any, dtype: torch.dtype) -> list[Tensor]:
    """The tensors of a state in the inputs' dtype: one kept in float32 is no more exact than its inputs."""
    return [leaf.to(dtype) if leaf.is_floating_point() else leaf for leaf in leaves(state)]


def chunks_are_whole(subject: Subject) -> Iterator[Finding]:
    """Any chunks give the outputs, the final state and the gradients of the whole, with masks and documents too."""
    subject.need_mixer("state between chunks")
    for mask, starts in ((None, None), (ragged(), None), (None, packed()), (ragged(), packed())):
        flags = " with " + " and ".join(n for n, f in (("mask", mask), ("starts", starts)) if f is not None)
        flags = "" if mask is None and starts is None else flags
        for dtype in subject.dtypes:
            module, x, memory = subject.module(dtype), subject.x(dtype=dtype), subject.memory(dtype=dtype)
            with torch.no_grad():
                y, state = subject.whole(module, x, memory, mask, starts)
                for sizes in CHUNKINGS:
                    outputs, after = feed(module, x, module.initial_state(len(x), memory), sizes, mask, starts)
                    yield close(outputs, y, f"outputs in chunks {sizes}{flags}")
                    yield close(leaves(after), leaves(state), f"state in chunks {sizes}{flags}")
        whole = gradients(subject, (LENGTH,), mask, starts)
        for sizes in CHUNKINGS[1:3]:
            yield close(gradients(subject, sizes, mask, starts), whole, f"gradients in chunks {sizes}{flags}")
    yield from _flags_later(subject)
    yield from _state_gradients(subject)


def _flags_later(subject: Subject) -> Iterator[Finding]:
    """Padding or documents that first appear in a later call, and calls without either after that."""
    mask, starts = ragged(), packed()
    mask[:, :4], mask[:, 8:], starts[:, :4], starts[:, 8:] = True, True, False, False
    for dtype in subject.dtypes:
        module, x, memory = subject.module(dtype), subject.x(dtype=dtype), subject.memory(dtype=dtype)
        y, _ = subject.whole(module, x, memory, mask, starts)
        first, after = module(x[:, :4], module.initial_state(len(x), memory))
        second, after = module(x[:, 4:8], after, mask[:, 4:8], starts[:, 4:8])
        third, _ = module(x[:, 8:], after)
        yield close(torch.cat([first, second, third], 1), y, "outputs where only the second call has flags")


def gradients(
    subject: Subject,
    sizes: tuple[int, ...],
    mask: Tensor | None = None,
    starts: Tensor | None = None,
    batch: int = BATCH,
) -> list[Tensor]:
    """Gradients for the inputs, the memory and all parameters, through outputs and final state of chunks of `sizes`."""
    module, x, memory = subject.module(), subject.x(batch, sum(sizes)).requires_grad_(), subject.memory(batch)
    if memory is not None:
        memory = map_floats(lambda t: t.detach().requires_grad_(), memory)
    y, state = feed(module, x, module.initial_state(len(x), memory), sizes, mask, starts)
    inputs = [x, *floats(memory), *module.parameters()]
    return list(torch.autograd.grad(_score(y, state), inputs, materialize_grads=True))


def _state_gradients(subject: Subject) -> Iterator[Finding]:
    """A state that was handed over passes the same gradient back, however the rest is fed."""
    module, x, memory = subject.module(), subject.x(), subject.memory()
    _, before = module(x[:, :4], module.initial_state(len(x), memory))
    results = []
    for sizes in ((7,), (3, 4), (1,) * 7):
        state = map_state(lambda t: t.detach().clone(), before)
        handed = [leaf.requires_grad_() for leaf in floats(state)]
        if not handed:
            return
        left = iter(handed)  # the leaves that record gradients
        y, after = feed(module, x[:, 4:], map_floats(lambda _, left=left: next(left), state), sizes)
        results.append(torch.autograd.grad(_score(y, after), handed, materialize_grads=True))
    for result, name in zip(results[1:], ("two chunks", "single positions"), strict=True):
        yield close(result, results[0], f"gradient to the state in {name}")


def _score(y: Tensor, state: Any) -> Tensor:
    """A number that depends on every output and every float of the state."""
    total = (y * normal(y.shape, "weights of outputs")).sum()
    for i, leaf in enumerate(leaves(state)):
        if leaf.is_floating_point():
            total = total + (leaf * normal(leaf.shape, f"weights of state {i}")).sum()
    return total
