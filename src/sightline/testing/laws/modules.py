"""A mechanism as a torch module: saved, loaded and looked into."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from sightline.core.probe import Probe
from sightline.testing.findings import Finding, close, same, true
from sightline.testing.subject import BATCH, NotApplicable, Subject, packed, ragged, steps


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
    for dtype in subject.dtypes:
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
