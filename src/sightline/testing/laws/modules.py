"""A mechanism as a torch module: saved and loaded, looked into, compiled."""

from __future__ import annotations

import copy
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from sightline.core.probe import Probe
from sightline.testing.findings import Finding, close, same, true
from sightline.testing.subject import BATCH, DTYPES, NotApplicable, Subject, feed, packed, ragged, steps

COMPILED_LENGTH = 4  # loops over positions are unrolled by the compiler


def round_trip(subject: Subject) -> Iterator[Finding]:
    """A config survives JSON, and parameters loaded into a fresh module give the same bits."""
    from sightline.core.config import decode, encode

    kind = type(subject.config)
    decoded = decode(kind, json.loads(json.dumps(encode(subject.config))))
    yield true(decoded == subject.config, f"the config after JSON, got {decoded}")
    examples = getattr(kind, "examples", None)
    if examples is not None:
        yield true(all(isinstance(example, kind) for example in examples()), "examples() gives configs of its kind")
    module, x, memory = subject.module(), subject.x(), subject.memory()
    y, _ = subject.whole(module, x, memory, ragged(), packed())
    other = decoded.build(subject.d_model).double().eval()
    loaded = other.load_state_dict(module.state_dict(), strict=True)
    yield true(not loaded.missing_keys and not loaded.unexpected_keys, "the same keys in a fresh module")
    yield same(subject.whole(other, x, memory, ragged(), packed())[0], y, "outputs of a loaded module")
    yield same(subject.whole(copy.deepcopy(module), x, memory, ragged(), packed())[0], y, "outputs of a copied module")


def probe_changes_nothing(subject: Subject) -> Iterator[Finding]:
    """A hook on a probe does not change outputs or gradients; a tensor that it returns replaces the probe's."""
    if not any(isinstance(part, Probe) for part in subject.module().modules()):
        raise NotApplicable("has no probe")
    for dtype in DTYPES:
        module = subject.scattered(dtype)
        for name, probe in module.named_modules():
            if isinstance(probe, Probe):
                yield from _probed(subject, module, name, probe, dtype)


def _probed(subject: Subject, module: Any, name: str, probe: Probe, dtype: torch.dtype) -> Iterator[Finding]:
    x, memory = subject.x(dtype=dtype).requires_grad_(), subject.memory(dtype=dtype)
    calls = ((None, None), (ragged(), None), (ragged(), packed()))
    plain = [_with_gradient(subject, module, x, *flags) for flags in calls]
    seen: list[Tensor] = []
    handle = probe.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    for flags, expected in zip(calls, plain, strict=True):
        yield close(_with_gradient(subject, module, x, *flags), expected, f"outputs and gradient with {name} read")
    if subject.is_mixer:
        stepped, _ = steps(module, x, module.initial_state(BATCH, memory))
        yield close(stepped, plain[0][0], f"steps with {name} read")
    handle.remove()
    axes = probe.shape.split()
    yield true(bool(seen), f"{name} is reached")
    yield true(
        all(t.dim() == len(axes) and t.shape[axes.index("B")] == BATCH for t in seen), f"{name} is {probe.shape}"
    )
    handle = probe.register_forward_hook(lambda _module, _inputs, output: output * 0.5)
    changed = _with_gradient(subject, module, x, None, None)
    handle.remove()
    yield true(not torch.equal(changed[0], plain[0][0]), f"replacing {name} has an effect")
    yield same(_with_gradient(subject, module, x, None, None), plain[0], "outputs after the hooks are removed")


def _with_gradient(
    subject: Subject, module: Any, x: Tensor, mask: Tensor | None, starts: Tensor | None
) -> list[Tensor]:
    y, _ = subject.whole(module, x, subject.memory(dtype=x.dtype), mask, starts)
    return [y, *torch.autograd.grad(y.square().sum(), x)]


def compiles(subject: Subject) -> Iterator[Finding]:
    """`torch.compile` captures the same outputs and gradients, and a mixer's steps on a cache, as plain Python runs.

    The captured graphs run on torch's own kernels: inductor's code is not tested here.
    """
    module = subject.module(torch.float32)
    mask = torch.ones(BATCH, COMPILED_LENGTH, dtype=torch.bool)
    mask[0, :2], mask[1, 1], mask[2, -1] = False, False, False
    starts = torch.zeros_like(mask)
    starts[0, 3], starts[1, 1] = True, True
    with _silent_compiler():
        compiled = torch.compile(module, backend="eager", dynamic=False)
        for flags in ((None, None), (mask, starts)):
            x = subject.x(BATCH, COMPILED_LENGTH, torch.float32).requires_grad_()
            expected = _with_gradient(subject, module, x, *flags)
            yield close(_with_gradient(subject, compiled, x, *flags), expected, "outputs and gradient, compiled")
        if subject.is_mixer:
            with torch.no_grad():
                x, memory = subject.x(BATCH, 3, torch.float32), subject.memory(dtype=torch.float32)
                y, _ = feed(module, x, module.initial_state(BATCH, memory), (2, 1))
                chunked, _ = feed(compiled, x, module.initial_state(BATCH, memory), (2, 1))
            yield close(chunked, y, "outputs in chunks, compiled")


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
