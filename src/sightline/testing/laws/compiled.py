"""A mechanism under `torch.compile`."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from sightline.core.state import leaves
from sightline.testing.findings import Finding, close
from sightline.testing.laws.transforms import LENGTH, small_flags
from sightline.testing.subject import BATCH, Subject, floats, normal


def compiles(subject: Subject, backend: str = "aot_eager") -> Iterator[Finding]:
    """Compiled, a mechanism trains and decodes as in plain Python: outputs, gradients, and what states carry on.

    The default backend captures, differentiates and functionalises as inductor does, and runs the graphs on torch's own
    kernels, so that nothing is left to a C++ compiler.
    """
    module = subject.module(torch.float32)
    with _silent_compiler():
        compiled = torch.compile(module, backend=backend, dynamic=False)
        expected = _trained(subject, module, module)
        yield close(_trained(subject, compiled, module), expected, "outputs, states and gradients, compiled")
        if subject.is_mixer:
            yield _decoded(subject, module, compiled)


def _trained(subject: Subject, module: Any, source: Any) -> list[Tensor]:
    """Outputs, final state and gradients of `module`, whose parameters are those of `source`.

    A first call has no flags, and inputs without a gradient: that decides which of torch's kernels is captured. A
    second one, on the state of the first, has a mask and starts, and inputs with a gradient.
    """
    memory = subject.memory(dtype=torch.float32)
    first, second = subject.x(BATCH, LENGTH, torch.float32).split(2, 1)
    mask, starts = (flag[:, 2:] for flag in small_flags())
    second.requires_grad_()
    if subject.is_mixer:
        y, state = module(first, source.initial_state(BATCH, memory))
        z, state = module(second, state, mask, starts)
    else:
        y, z, state = module(first), module(second, mask, starts), None
    results = [y, z, *floats(state)]
    total = sum((part * normal(part.shape, f"weights {i}").to(part.dtype)).sum() for i, part in enumerate(results))
    inputs = [second, *source.parameters()]
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
