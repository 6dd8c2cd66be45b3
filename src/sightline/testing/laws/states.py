"""States are values, and rows of a batch do not affect each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import torch

from sightline.core.mixer import Memory
from sightline.core.state import join, leaves, retract, select
from sightline.testing.findings import Finding, close, same
from sightline.testing.subject import Subject, feed, packed, ragged, rows, steps


def batch_order_and_size(subject: Subject) -> Iterator[Finding]:
    """A row gives the same in any order and in a batch of any size."""
    order = torch.tensor([2, 0, 1])
    for dtype in subject.dtypes:
        module, x, memory = subject.module(dtype), subject.x(dtype=dtype), subject.memory(dtype=dtype)
        for mask, starts in ((None, None), (ragged(), packed())):
            y, state = subject.whole(module, x, memory, mask, starts)
            shuffled, of_shuffled = subject.whole(module, *rows((x, memory, mask, starts), order))
            yield close(shuffled, y[order], "rows in another order")
            yield close(leaves(of_shuffled), [leaf[order] for leaf in leaves(state)], "state in another order")
            for row in range(len(x)):
                one = slice(row, row + 1)
                alone, _ = subject.whole(module, *rows((x, memory, mask, starts), one))
                yield close(alone, y[one], "a row in a batch of its own")


def purity(subject: Subject) -> Iterator[Finding]:
    """No call changes its state argument or stores one; forks, and two batches in turn, do not affect each other."""
    subject.need_mixer("state")
    for mode in (torch.no_grad, torch.inference_mode, nullcontext):
        with mode():
            yield from _forks(subject)
            yield from _unchanged_states(subject)
    yield from _two_in_turn(subject)
    yield from _across_modes(subject)


def _forks(subject: Subject) -> Iterator[Finding]:
    """Forks a state from one call, and one from single steps, whose cache has room left."""
    module, memory = subject.module(), subject.memory()
    prefix = subject.x(steps=5)
    left, right = subject.x(steps=6, name="left"), subject.x(steps=6, name="right")
    expected = [subject.whole(module, torch.cat([prefix, way], 1), memory)[0][:, 5:] for way in (left, right)]
    _, at_once = subject.whole(module, prefix, memory)
    _, in_steps = steps(module, prefix, module.initial_state(len(prefix), memory))
    for root in (at_once, in_steps):
        forks, outputs = [root, root], ([], [])
        for t in range(6):
            for side, way in enumerate((left, right)):
                y_t, forks[side] = module.step(way[:, t], forks[side])
                outputs[side].append(y_t)
        for side, name in enumerate(("first", "second")):
            yield close(torch.stack(outputs[side], 1), expected[side], f"the {name} of two interleaved forks")
        again, _ = feed(module, left, root, (2, 4))
        yield close(again, expected[0], "a third fork, in chunks, after the two")


def _two_in_turn(subject: Subject) -> Iterator[Finding]:
    """Two batches of other sequences and sizes, in turn through one module: each gives what it gives alone."""
    module, sizes = subject.module(), (3, 1, 2, 1, 4)
    mask, starts = ragged(), packed()
    both = [
        (subject.x(), subject.memory(), mask, starts),
        (subject.x(2, name="another"), subject.memory(2), None, None),
    ]
    with torch.no_grad():
        expected = [subject.whole(module, *one) for one in both]
        states, outputs, at = [module.initial_state(len(x), memory) for x, memory, _, _ in both], ([], []), 0
        for size in sizes:
            part = (slice(None), slice(at, at + size))
            for turn, (x, _, *flags) in enumerate(both):
                y, states[turn] = module(x[part], states[turn], *rows(tuple(flags), part))
                outputs[turn].append(y)
            at += size
    for turn, name in enumerate(("first", "second")):
        y, state = expected[turn]
        yield close(torch.cat(outputs[turn], 1), y, f"the {name} of two batches in turn")
        yield close(leaves(states[turn]), leaves(state), f"state of the {name} of two batches in turn")


def _unchanged_states(subject: Subject) -> Iterator[Finding]:
    module, x, memory = subject.module(), subject.x(), subject.memory()
    for mask, starts in ((None, None), (ragged(), packed())):
        _, state = subject.whole(module, x, memory, mask, starts)
        kept = [leaf.clone() for leaf in leaves(state)]
        weights = [parameter.clone() for parameter in module.parameters()]
        module(x, state)
        module(x, state, ragged(), packed())
        _, after = module.step(x[:, 0], state)
        module.step(x[:, 1], after)
        module.step(x[:1, 0], select(state, torch.tensor([1])))
        subject.whole(module, subject.x(5), subject.memory(5))
        yield same(leaves(state), kept, "a state that was given to forward, step and select")
        yield same(module.parameters(), weights, "parameters after a call")
        first, _ = module(x, state)
        yield same(module(x, state)[0], first, "the same call on the same state, twice")


def _across_modes(subject: Subject) -> Iterator[Finding]:
    """A state made without gradients can be continued with them, and gradients flow back through two forks."""
    module, memory = subject.module(), subject.memory()
    x = subject.x().requires_grad_()
    y, _ = subject.whole(module, x, memory)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            _, state = steps(module, x[:, :4], module.initial_state(len(x), memory))
        with torch.no_grad():
            rest, _ = steps(module, x[:, 4:], state)
        yield close(rest, y[:, 4:], f"a state from {mode.__name__} continued elsewhere")
    _, state = module(x[:, :4], module.initial_state(len(x), memory))
    one, after = module(x[:, 4:5], state)
    two, _ = module(x[:, 5:8], state)
    three, _ = module(x[:, 8:], after)
    (gradient,) = torch.autograd.grad(one.sum() + two.sum() + three.sum(), x)
    again = subject.whole(module, x[:, [0, 1, 2, 3, 5, 6, 7]], memory)[0][:, 4:].sum()
    again = again + subject.whole(module, x[:, [0, 1, 2, 3, 4, 8, 9, 10]], memory)[0][:, 4:].sum()
    (expected,) = torch.autograd.grad(again, x)
    yield close(gradient, expected, "the gradient through two forks")


def select_commutes(subject: Subject) -> Iterator[Finding]:
    """Selecting, repeating and dropping rows of a state is having fed those rows in the first place."""
    subject.need_mixer("state")
    for dtype in subject.dtypes:
        module, x, memory = subject.module(dtype), subject.x(dtype=dtype), subject.memory(dtype=dtype)
        for index in ([2, 0, 1], [1, 1, 0, 2, 2], [2]):
            chosen = torch.tensor(index)
            for mask, starts in ((None, None), (ragged()[:, :6], packed()[:, :6])):
                with torch.no_grad():
                    _, state = subject.whole(module, x[:, :6], memory, mask, starts)
                    _, expected = subject.whole(module, *rows((x[:, :6], memory, mask, starts), chosen))
                    selected = select(state, chosen)
                    yield close(leaves(selected), leaves(expected), f"state of rows {index}")
                    y, after = steps(module, x[chosen, 6:], selected)
                    expected_y, final = steps(module, x[chosen, 6:], expected)
                    yield close(y, expected_y, f"steps of rows {index}")
                    yield close(leaves(after), leaves(final), f"state after steps of rows {index}")


def join_is_alone(subject: Subject) -> Iterator[Finding]:
    """Rows of states with pasts and memories of different lengths, joined, continue as each does alone.

    A row of several documents and one with padding are among them; what has left the batch may shorten the padding.
    """
    subject.need_mixer("state")
    for dtype in subject.dtypes:
        module = subject.module(dtype)
        pasts = ((2, 6, None, None), (1, 0, None, None), (3, 9, ragged()[:, :9], packed()[:, :9]), (1, 3, None, None))
        states, x = [], []
        for number, (batch, length, mask, starts) in enumerate(pasts):
            past = subject.x(batch, length, dtype, f"past {number}")
            memory = _shorter(subject.memory(batch, dtype, masked=mask is not None), number)
            with torch.no_grad():
                _, state = module(past, module.initial_state(batch, memory), mask, starts)
            states.append(state)
            x.append(subject.x(batch, 4, dtype, f"future {number}"))
        with torch.no_grad():
            alone = [steps(module, future, state)[0] for future, state in zip(x, states, strict=True)]
            y, after = steps(module, torch.cat(x)[:, :2], join(states))
            yield close(y, torch.cat(alone)[:, :2], "joined rows")
            kept = torch.tensor([5, 0, 6])
            after = join([select(after, kept), states[1]])
            y, _ = feed(module, torch.cat([torch.cat(x)[kept, 2:], x[1][:, :2]]), after, (1, 1))
            expected = torch.cat([torch.cat(alone)[kept, 2:], alone[1][:, :2]])
            yield close(y, expected, "some of them, joined with another")


def _shorter(memory: Memory | None, by: int) -> Memory | None:
    """A memory without its last positions."""
    if memory is None:
        return None
    values, mask, summary = memory
    end = values.shape[1] - by
    return Memory(values[:, :end], None if mask is None else mask[:, :end], summary)


def retraction_is_rollback(subject: Subject) -> Iterator[Finding]:
    """A state whose successor is given up continues as if that had never been."""
    subject.need_mixer("state")
    module, memory = subject.module(), subject.memory()
    past, other, x = subject.x(steps=5), subject.x(steps=4, name="other"), subject.x(steps=6, name="future")
    expected = subject.whole(module, torch.cat([past, x], 1), memory)[0][:, 5:]
    for mode in (torch.no_grad, torch.inference_mode, nullcontext):
        with mode():
            _, state = steps(module, past, module.initial_state(len(past), memory))
            for retracted in (1, 4):
                _, later = module(other[:, :retracted], state)
                retract(state, later)
                y, _ = feed(module, x, state, (2, 1, 3))
                yield close(y, expected, f"after {retracted} positions were given up")
