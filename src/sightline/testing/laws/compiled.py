"""A mechanism under `torch.compile`."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from sightline.core.state import leaves
from sightline.testing.findings import Finding, close
from sightline.testing.laws.transforms import LENGTH, small_flags
from sightline.testing.subject import BATCH, Subject, feed, floats, normal

Flags = tuple[Tensor | None, Tensor | None]


def compiles(subject: Subject, backend: str = "aot_eager") -> Iterator[Finding]:
    """Compiled, a mechanism trains and decodes as in plain Python: outputs, gradients, and what states carry on.

    The default backend captures, differentiates and functionalises as inductor does, and runs the graphs on torch's own
    kernels, so that nothing is left to a C++ compiler.
    """
    module = subject.module(torch.float32)
    with _silent_compiler():
        compiled = torch.compile(module, backend=backend, dynamic=False)
        # Of inputs without a gradient too: whether they have one decides which of torch's kernels is captured.
        for flags, sizes, learnt in (((None, None), (LENGTH - 1, 1), False), (small_flags(), (LENGTH,), True)):
            expected = _trained(subject, module, module, flags, sizes, learnt)
            results = _trained(subject, compiled, module, flags, sizes, learnt)
            suffix = "" if flags[0] is None else " with mask and starts"
            yield close(results, expected, f"outputs, states and gradients, compiled{suffix}")
        if subject.is_mixer:
            yield _decoded(subject, module, compiled)


def _trained(
    subject: Subject, module: Any, source: Any, flags: Flags, sizes: Sequence[int], learnt: bool
) -> list[Tensor]:
    """Outputs, final state and gradients of `module`, whose parameters are those of `source`."""
    x, memory = subject.x(BATCH, LENGTH, torch.float32).requires_grad_(learnt), subject.memory(dtype=torch.float32)
    if subject.is_mixer:
        y, state = feed(module, x, source.initial_state(BATCH, memory), sizes, *flags)
    else:
        y, state = module(x, *flags), None
    results = [y, *floats(state)]
    total = sum((part * normal(part.shape, f"weights {i}").to(part.dtype)).sum() for i, part in enumerate(results))
    inputs = [*([x] if learnt else []), *source.parameters()]
    return [*results, *torch.autograd.grad(torch.as_tensor(total), inputs, materialize_grads=True)]


def _decoded(subject: Subject, module: Any, compiled: Any) -> Finding:
    """A step after a prompt, on a state that grows in place."""
    x, memory = subject.x(BATCH, 3, torch.float32), subject.memory(dtype=torch.float32)
    with torch.no_grad():
        _, state = module(x[:, :2], module.initial_state(BATCH, memory))
        y, after = module(x[:, 2:], state)
        stepped, compiled_after = compiled(x[:, 2:], state)
    return close([stepped, *leaves(compiled_after)], [y, *leaves(after)], "a step after a prompt, compiled")


@contextmanager
def _silent_compiler() -> Iterator[None]:
    """A compiler with empty caches that does not report graph breaks, which are not errors.

    It does not time its guards for its log either: flushing the caches for that took a third of the law's time.
    """
    import torch._dynamo.guards

    logger = logging.getLogger("torch._dynamo")
    level = logger.level
    torch._dynamo.reset()
    logger.setLevel(logging.ERROR)
    try:
        timing = mock.patch.object(torch._dynamo.guards, "profile_guard_manager", create=True, return_value=0.0)
        with timing, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        torch._dynamo.reset()
