"""Derivatives of derivatives, for operations whose backward is written by hand, and of empty results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from sightline.core.shapes import AnyTensor

Maybe = AnyTensor | None
MaybeTensors = Sequence[Maybe]


def differentiable_gradients(
    outputs: MaybeTensors, inputs: MaybeTensors, gradients: MaybeTensors, needed: Sequence[bool]
) -> tuple[Maybe, ...]:
    """Gradients of the inputs that are needed, None for others, which can be differentiated in turn.

    `outputs` are computed from the inputs by plain operations, and have `gradients`; outputs without a graph are left
    out. An input that no output depends on has the gradient 0.
    """
    pairs = [(y, g) for y, g in zip(outputs, gradients, strict=True) if y is not None and y.requires_grad]
    learnt: Any = [x for x, need in zip(inputs, needed, strict=True) if need]
    options: dict[str, Any] = {"create_graph": True, "materialize_grads": True}
    results = iter(torch.autograd.grad([y for y, _ in pairs], learnt, [g for _, g in pairs], **options))
    return tuple(next(results) if need else None for need in needed)


def connected_zeros(shape: Sequence[int], like: AnyTensor, *parts: Maybe) -> AnyTensor:
    """Zeros in the dtype of `like` that depend on it and all parts, so that each of them gets the gradient 0.

    Ranks of several that train together need a gradient for every weight, of a batch without rows too.
    """
    zeros = like.new_zeros(shape)
    if not torch.is_grad_enabled():
        return zeros
    for part in (like, *parts):
        if part is not None and part.requires_grad:
            zeros = zeros + part.flatten()[:0].sum().to(zeros.dtype)
    return zeros
